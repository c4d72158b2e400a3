// Scan options as one half-open interval, so that every engine has a single case to get right.
import { compareBytes, copyBytes } from '@millrace/core';
import type { ScanOptions } from './byte-store.ts';

/** Keys in [from, to); undefined is open. `empty`: nothing can match. */
export interface ScanBounds {
  readonly from: Uint8Array | undefined;
  readonly to: Uint8Array | undefined;
  readonly empty: boolean;
}

/** The tightest interval that the options allow; several bounds on one side are all honoured. */
export function scanBounds(options: ScanOptions): ScanBounds {
  let from = options.gte;
  if (options.gt !== undefined) {
    const after = keyAfter(options.gt);
    if (from === undefined || compareBytes(after, from) > 0) from = after;
  }
  let to = options.lt;
  if (options.lte !== undefined) {
    const after = keyAfter(options.lte);
    if (to === undefined || compareBytes(after, to) < 0) to = after;
  }
  const limited = options.limit !== undefined && options.limit <= 0;
  return { from, to, empty: limited || (to !== undefined && compareBytes(from ?? NOTHING, to) >= 0) };
}

const NOTHING = new Uint8Array(0);

/** The least key greater than `key`. */
function keyAfter(key: Uint8Array): Buffer {
  const after = Buffer.allocUnsafe(key.length + 1);
  after.set(key, 0);
  after[key.length] = 0;
  return after;
}

/** Bounds whose bytes nobody else can change: for cursors that outlive the call. */
export function ownBounds(bounds: ScanBounds): ScanBounds {
  return {
    from: bounds.from === undefined ? undefined : copyBytes(bounds.from),
    to: bounds.to === undefined ? undefined : copyBytes(bounds.to),
    empty: bounds.empty,
  };
}
