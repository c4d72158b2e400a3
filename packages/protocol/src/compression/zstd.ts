// zstd where Node brings it (22.15 and 23.8 on); there is no sane way to have it in plain JavaScript.
// Owns: the look at what this Node can do.  Never: returns more than the caller's bound (zlib stops at it).
import * as zlib from 'node:zlib';
import type { CompressionCodec } from './codec.ts';

/** The functions of newer Nodes, which the types of the oldest supported one do not know. */
interface ZstdFunctions {
  readonly zstdCompressSync?: (bytes: Buffer) => Buffer;
  readonly zstdDecompressSync?: (bytes: Buffer, options: { maxOutputLength: number }) => Buffer;
}

/** undefined on a Node without zstd. */
export function createZstdCodec(functions: ZstdFunctions = zlib as ZstdFunctions): CompressionCodec | undefined {
  const { zstdCompressSync, zstdDecompressSync } = functions;
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined) return undefined;
  return {
    compress: (bytes) => zstdCompressSync(bytes),
    decompress: (bytes, maxBytes) => zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, maxBytes) }),
  };
}
