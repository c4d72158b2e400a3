// Chance that repeats: the same seed gives the same history on every machine. For tests and simulation, never for secrets.
import type { Chance } from '../chance.ts';

/** Chance from a 32-bit seed (sfc32: period of about 2^128, small, equal on every platform). */
export function seededChance(seed: number): Chance {
  let a = seed | 0;
  let b = 0x9e3779b9;
  let c = 0x243f6a88;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round++) next(); // near seeds start alike and part within these rounds
  const bytes = (size: number): Uint8Array => Uint8Array.from({ length: size }, () => next() & 0xff);
  return {
    float: () => next() / 0x100000000,
    integer: (below) => Math.floor((next() / 0x100000000) * below),
    bytes,
    uuid() {
      const raw = Buffer.from(bytes(16));
      raw[6] = ((raw[6] as number) & 0x0f) | 0x40;
      raw[8] = ((raw[8] as number) & 0x3f) | 0x80;
      const hex = raw.toString('hex');
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    },
  };
}
