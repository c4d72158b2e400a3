// Which compression codecs this process has, by Kafka's number (0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd).
// Owns: the registry.  Never: lets decompressed data grow past the caller's bound.
// gzip comes from node:zlib, snappy and lz4 are our own, zstd is there where Node has it; registerCodec replaces any by a faster one.
import { assert, MillraceError } from '@millrace/core';
import { batchError } from '../wire-error.ts';
import type { CompressionCodec } from './codec.ts';
import { gzipCodec } from './gzip.ts';
import { lz4Codec } from './lz4.ts';
import { snappyCodec } from './snappy.ts';
import { createZstdCodec } from './zstd.ts';

export const COMPRESSIONS = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
export type CompressionName = keyof typeof COMPRESSIONS;
export type CompressionId = (typeof COMPRESSIONS)[CompressionName];

const codecs = new Map<number, CompressionCodec>([
  [COMPRESSIONS.gzip, gzipCodec],
  [COMPRESSIONS.snappy, snappyCodec],
  [COMPRESSIONS.lz4, lz4Codec],
]);
const zstd = createZstdCodec();
if (zstd !== undefined) codecs.set(COMPRESSIONS.zstd, zstd);

/** 'none', 'gzip', …; a number that stands for nothing gives 'unknown'. */
export function compressionName(id: number): CompressionName | 'unknown' {
  const found = Object.entries(COMPRESSIONS).find(([, known]) => known === id);
  return found === undefined ? 'unknown' : (found[0] as CompressionName);
}

/**
 * Adds or replaces a codec for this thread. Worker threads have registries of their own: call it in the file that makes the topology, which each of
 * them loads. `decompress` must not give more than it is told, or a hostile batch can take all memory.
 *
 * @example
 * ```ts
 * declare const zstd: { compress(bytes: Uint8Array): Uint8Array; decompress(bytes: Uint8Array, bytesMax: number): Uint8Array };
 * registerCodec(COMPRESSIONS.zstd, {
 *   compress: (bytes) => Buffer.from(zstd.compress(bytes)),
 *   decompress: (bytes, bytesMax) => Buffer.from(zstd.decompress(bytes, bytesMax)),
 * });
 * ```
 */
export function registerCodec(id: CompressionId, codec: CompressionCodec): void {
  assert(id !== COMPRESSIONS.none, 'codec 0 means "not compressed" and cannot be replaced');
  codecs.set(id, codec);
}

export function hasCodec(id: number): boolean {
  return id === COMPRESSIONS.none || codecs.has(id);
}

/** Throws ERR_PROTOCOL (Kafka's UNSUPPORTED_COMPRESSION_TYPE) when the codec is missing. */
export function compress(id: number, bytes: Buffer): Buffer {
  return id === COMPRESSIONS.none ? bytes : codecOf(id).compress(bytes);
}

/**
 * Throws ERR_PROTOCOL (Kafka's UNSUPPORTED_COMPRESSION_TYPE) when the codec is missing, ERR_RECORD_BATCH_CORRUPT when the input is
 * damaged or would become larger than `maxBytes`.
 */
export function decompress(id: number, bytes: Buffer, maxBytes: number): Buffer {
  if (id === COMPRESSIONS.none) return bytes;
  const codec = codecOf(id);
  try {
    return codec.decompress(bytes, maxBytes);
  } catch (cause) {
    if (MillraceError.is(cause)) throw cause;
    throw batchError(
      `${compressionName(id)} data of ${bytes.length} bytes does not decompress within ${maxBytes} bytes`,
      { compression: compressionName(id) },
      cause,
    );
  }
}

function codecOf(id: number): CompressionCodec {
  const codec = codecs.get(id);
  if (codec !== undefined) return codec;
  const name = compressionName(id);
  const fix =
    name === 'unknown'
      ? 'the batch names a codec that Kafka does not define'
      : `this process has no ${name} codec: ${name === 'zstd' ? 'Node has it from 22.15 on; ' : ''}register one with registerCodec(COMPRESSIONS.${name}, …) where the topology is made, or set compression.type to gzip, snappy, lz4 or none on producer and topic`;
  throw new MillraceError('ERR_PROTOCOL', `UNSUPPORTED_COMPRESSION_TYPE: batch compressed with ${name} (${id}); ${fix}`, { compression: id, kafkaCode: 76 });
}
