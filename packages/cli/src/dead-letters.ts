// Dead letters as they lie in their topic: what each one says of its failure, and how it goes back to where it came from.
// Owns: the reading of the headers.  Never: connects to anything.
import { createHeaders, type RecordHeaders } from '@millrace/core';
import type { RecordReader } from '@millrace/protocol';

const PREFIX = '__streams.errors.';

export interface DeadLetter {
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Without those that tell of the failure. */
  readonly headers: RecordHeaders;
  readonly exception: string;
  readonly message: string;
  /** Undefined below a timer: there was no input record. */
  readonly source: { readonly topic: string; readonly partition: number; readonly offset: number } | undefined;
}

/** The current record of `reader`, bytes copied. */
export function deadLetterOf(reader: RecordReader, partition: number): DeadLetter {
  const headers = [...reader.headers()];
  const told = new Map(headers.filter(([name]) => name.startsWith(PREFIX)).map(([name, value]) => [name.slice(PREFIX.length), text(value)]));
  const topic = told.get('topic');
  return {
    partition,
    offset: reader.offset,
    timestamp: reader.timestamp,
    key: part(reader, reader.keyStart, reader.keyLength),
    value: part(reader, reader.valueStart, reader.valueLength),
    headers: createHeaders(
      headers.filter(([name]) => !name.startsWith(PREFIX)).map(([name, value]) => [name, value === null ? null : Buffer.from(value)] as const),
    ),
    exception: told.get('exception') ?? '',
    message: told.get('message') ?? '',
    source: topic === undefined ? undefined : { topic, partition: Number(told.get('partition')), offset: Number(told.get('offset')) },
  };
}

/** As one line of JSON: bytes as text where they are text, else as base64. */
export function showDeadLetter({ key, value, headers, ...rest }: DeadLetter): string {
  return JSON.stringify({ ...rest, key: shown(key), value: shown(value), headers: [...headers].map(([name, bytes]) => [name, shown(bytes)]) });
}

function part({ buffer }: RecordReader, start: number, length: number): Buffer | null {
  return length < 0 ? null : Buffer.from(buffer.subarray(start, start + length));
}

function text(bytes: Uint8Array | null): string {
  return bytes === null ? '' : Buffer.from(bytes).toString('utf8');
}

function shown(bytes: Uint8Array | null): string | { readonly base64: string } | null {
  if (bytes === null) return null;
  const asText = Buffer.from(bytes).toString('utf8');
  return Buffer.from(asText, 'utf8').equals(bytes) ? asText : { base64: Buffer.from(bytes).toString('base64') };
}
