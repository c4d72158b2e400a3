// Rows and metadata as JSON: 64-bit integers as strings, binary as base64 with "encoding", windows as start and end in ms.
import type { AnswerMeta, Row } from './host.ts';

/** Largest list body; rows beyond it are cut off and `truncated` says so. */
export const LIST_BYTES_MAX = 8 * 1024 * 1024;

export function rowText(row: Row): string {
  return JSON.stringify(rowData(row), replaceBig);
}

/** One row with its metadata: the reply of a point read. */
export function pointText(row: Row, store: string, meta: AnswerMeta): string {
  return `${JSON.stringify({ ...rowData(row), meta: { store, ...meta } }, replaceBig)}\n`;
}

export interface PartitionNote {
  readonly partition: number;
  readonly source?: AnswerMeta['source'];
  readonly instance?: string;
  readonly lag?: number;
  readonly position?: string;
  readonly error?: string;
}

/** The reply of a list: rows as ready texts, so that rows of other instances pass through unread. */
export function listText(
  rows: readonly string[],
  meta: { readonly store: string; readonly partial: boolean; readonly truncated: boolean; readonly partitions: readonly PartitionNote[] },
): string {
  return `{"items":[${rows.join(',')}],"nextCursor":null,"meta":${JSON.stringify(meta)}}\n`;
}

export interface FittingRows {
  readonly rows: readonly string[];
  readonly bytes: number;
  readonly truncated: boolean;
}

/** As many of `rows` as the bound on the body allows, or what is left of it. */
export function withinBytes(rows: readonly string[], bytesMax = LIST_BYTES_MAX): FittingRows {
  let bytes = 0;
  for (let at = 0; at < rows.length; at++) {
    const more = Buffer.byteLength(rows[at] as string) + 1;
    if (bytes + more > bytesMax) return { rows: rows.slice(0, at), bytes, truncated: true };
    bytes += more;
  }
  return { rows, bytes, truncated: false };
}

function rowData(row: Row): object {
  return {
    ...shown('key', row.key, 'keyEncoding'),
    ...(row.window === undefined ? {} : { window: row.window }),
    ...shown('value', row.value, 'encoding'),
    ...(row.timestamp === undefined ? {} : { timestamp: row.timestamp }),
  };
}

function shown(name: string, value: unknown, encodingName: string): object {
  if (value instanceof Uint8Array) return { [name]: Buffer.from(value).toString('base64'), [encodingName]: 'base64' };
  return { [name]: value === undefined ? null : value };
}

function replaceBig(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
