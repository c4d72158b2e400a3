// Headers as the bytes they came in: they mostly pass through, so they are decoded only when somebody asks.
// Owns: its bytes (a copy: the frame they came in goes back to a pool).  Never: changes them.
// Block: count (zigzag varint), then name length, name, value length (-1 = null), value.
import { createHeaders, MillraceError, noHeaders, type RecordHeaders } from '@millrace/core';
import { Reader } from '../reader.ts';
import { batchError } from '../wire-error.ts';
import { type Writer, withWriter } from '../writer.ts';

type Entry = readonly [name: string, value: Uint8Array | null];

export class EncodedHeaders implements RecordHeaders {
  /** The encoded block, count included. */
  readonly block: Buffer;
  readonly size: number;
  #decoded: RecordHeaders | undefined;

  constructor(block: Buffer, size: number) {
    this.block = block;
    this.size = size;
  }

  get(name: string): Uint8Array | undefined {
    return this.#headers().get(name);
  }
  text(name: string): string | undefined {
    return this.#headers().text(name);
  }
  with(name: string, value: Uint8Array | string): RecordHeaders {
    return this.#headers().with(name, value);
  }
  without(name: string): RecordHeaders {
    return this.#headers().without(name);
  }
  [Symbol.iterator](): Iterator<Entry> {
    return this.#headers()[Symbol.iterator]();
  }
  #headers(): RecordHeaders {
    this.#decoded ??= createHeaders(decodeHeaderBlock(this.block, 0, this.block.length));
    return this.#decoded;
  }
}

/** Headers from an encoded block in `buffer[start, end)`; copies the block. Throws ERR_RECORD_BATCH_CORRUPT. */
export function headersFromBlock(buffer: Buffer, start: number, end: number, count: number): RecordHeaders {
  if (count === 0) return noHeaders;
  checkHeaderBlock(buffer, start, end);
  const block = Buffer.allocUnsafe(end - start);
  buffer.copy(block, 0, start, end);
  return new EncodedHeaders(block, count);
}

/** Walks a block without decoding it. Throws ERR_RECORD_BATCH_CORRUPT unless it fills `[start, end)` exactly. */
export function checkHeaderBlock(buffer: Buffer, start: number, end: number): void {
  walk(buffer, start, end, () => {});
}

function decodeHeaderBlock(buffer: Buffer, start: number, end: number): Entry[] {
  const entries: Entry[] = [];
  walk(buffer, start, end, (nameAt, nameEnd, valueAt, valueEnd) => {
    entries.push([buffer.toString('utf8', nameAt, nameEnd), valueAt === -1 ? null : buffer.subarray(valueAt, valueEnd)]);
  });
  return entries;
}

function walk(buffer: Buffer, start: number, end: number, visit: (nameAt: number, nameEnd: number, valueAt: number, valueEnd: number) => void): void {
  const reader = new Reader(buffer, start, end);
  try {
    const count = reader.varint();
    if (count < 0 || count * 2 > reader.remaining) throw batchError(`${count} headers cannot fit in ${reader.remaining} bytes`, { at: start });
    for (let index = 0; index < count; index++) {
      const nameLength = reader.varint();
      if (nameLength < 0) throw batchError('record header without a name', { at: reader.position });
      const nameAt = reader.take(nameLength);
      const valueLength = reader.varint();
      if (valueLength < -1) throw batchError(`record header value of ${valueLength} bytes`, { at: reader.position });
      const valueAt = valueLength === -1 ? -1 : reader.take(valueLength);
      visit(nameAt, nameAt + nameLength, valueAt, valueAt + valueLength);
    }
  } catch (cause) {
    if (MillraceError.is(cause) && cause.code === 'ERR_RECORD_BATCH_CORRUPT') throw cause;
    throw batchError('record headers do not fit their record', { at: start }, cause);
  }
  if (reader.remaining !== 0) throw batchError(`${reader.remaining} bytes left over after the headers of a record`, { at: reader.position });
}

const EMPTY_BLOCK = Buffer.from([0]);
/** Blocks of headers built in memory, so that forwarding one record to many places encodes them once. */
const blocks = new WeakMap<RecordHeaders, Buffer>();

/** The encoded block of any headers. */
export function headerBlock(headers: RecordHeaders): Buffer {
  if (headers === noHeaders) return EMPTY_BLOCK;
  if (headers instanceof EncodedHeaders) return headers.block;
  let block = blocks.get(headers);
  if (block === undefined) blocks.set(headers, (block = withWriter((writer) => encodeHeaders(writer, headers))));
  return block;
}

function encodeHeaders(writer: Writer, headers: RecordHeaders): Buffer {
  writer.varint(headers.size);
  for (const [name, value] of headers) {
    const bytes = Buffer.from(name, 'utf8');
    writer.varint(bytes.length);
    writer.raw(bytes);
    writer.varint(value === null ? -1 : value.length);
    if (value !== null) writer.raw(value);
  }
  return writer.finish(false);
}
