// The `serde` namespace users write: serde.string(), serde.json(schema) …
import { json } from './json.ts';
import { boolean, float32, float64, int16, int32, int64, safeInt } from './numbers.ts';
import { string, uuid } from './text.ts';
import { bytes, none, nullable, of, sessionWindowed, windowed } from './wrappers.ts';

/**
 * Between values and bytes; equal formats give equal bytes.
 *
 * @example
 * ```ts
 * const orders = topic('orders', { key: serde.string(), value: serde.json<{ readonly cents: number }>() });
 * const totals = store.keyValue('totals', { key: serde.string(), value: serde.safeInt() });
 * ```
 */
export const serde = {
  string,
  json,
  bytes,
  uuid,
  boolean,
  int16,
  int32,
  float32,
  float64,
  int64,
  safeInt,
  none,
  nullable,
  windowed,
  sessionWindowed,
  of,
} as const;
