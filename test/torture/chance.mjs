// Seeded chance, and waiting with a bound.
import { setTimeout as wait } from 'node:timers/promises';

/** A small seeded generator (mulberry32): uniform in [0, 1). */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** True when `promise` is fulfilled in time. */
export async function within(promise, ms) {
  const over = new AbortController();
  try {
    const late = wait(ms, false, { signal: over.signal }).catch(() => false);
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    over.abort();
  }
}
