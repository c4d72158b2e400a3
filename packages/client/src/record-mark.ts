// By what a single record is known again that a broker has refused: whoever made it may make it a second time, and then be asked about it.
// Never: tells two records apart for certain; equal keys and values have equal marks.
import { crc32c } from '@millrace/protocol';

/** Of key and value as bytes; null and empty count as different. */
export function recordMark(key: Buffer | null, value: Buffer | null): string {
  return `${markOf(key)}/${markOf(value)}`;
}

function markOf(bytes: Buffer | null): string {
  return bytes === null ? '-' : `${bytes.length}.${crc32c(bytes, 0, bytes.length).toString(36)}`;
}
