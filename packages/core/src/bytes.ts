// Byte strings: order, equality, joining. Order is unsigned lexicographic everywhere (stores, changelogs, describe).

/** Up to here bytes are compared one by one. */
const LOOP_BYTES = 24;

/** <0, 0, >0 by unsigned bytes; a prefix sorts before what it begins. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  // A call into native code costs as much as a loop over some 30 bytes, and keys differ early.
  const length = Math.min(left.length, right.length, LOOP_BYTES);
  for (let at = 0; at < length; at++) {
    const difference = (left[at] as number) - (right[at] as number);
    if (difference !== 0) return difference;
  }
  return left.length <= LOOP_BYTES || right.length <= LOOP_BYTES ? left.length - right.length : Buffer.compare(left, right);
}

export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && Buffer.compare(left, right) === 0;
}

/** A copy that shares no memory with `bytes`. */
export function copyBytes(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafe(bytes.length);
  copy.set(bytes);
  return copy;
}

/** The Buffer over the same memory (no copy). */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The least byte string greater than every string that begins with `prefix`; undefined if there is none (all 0xff or empty). */
export function prefixEnd(prefix: Uint8Array): Buffer | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const end = copyBytes(prefix.subarray(0, length));
  end[length - 1] = (end[length - 1] as number) + 1;
  return end;
}
