// The machine's clock, timers and chance: the one place that reads them.
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import type { Chance } from '../chance.ts';
import type { Clock } from '../clock.ts';
import type { TimestampMs } from '../ids.ts';
import type { Timers } from '../timers.ts';

export const systemClock: Clock = {
  nowMs: () => Date.now() as TimestampMs,
  monotonicMs: () => performance.now(),
};

export const systemTimers: Timers = {
  after(delayMs, run) {
    const handle = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
  every(periodMs, run) {
    const handle = setInterval(run, periodMs);
    return { cancel: () => clearInterval(handle) };
  },
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};

export const systemChance: Chance = {
  float: () => Math.random(),
  integer: (below) => randomInt(below),
  bytes: (size) => randomBytes(size),
  uuid: () => randomUUID(),
};
