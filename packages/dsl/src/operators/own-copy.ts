// What outlives the call it came in: serde.bytes() gives a view on the batch, whose memory is used again.
import { copyBytes, type Windowed } from '@millrace/core';

/** The value itself, but for bytes, also those in a windowed key: a copy of them. */
export function ownCopy(value: unknown): unknown {
  if (value instanceof Uint8Array) return copyBytes(value);
  if (typeof value !== 'object' || value === null || !('window' in value)) return value;
  const { key, window } = value as Windowed<unknown>;
  return key instanceof Uint8Array ? { key: copyBytes(key), window } : value;
}
