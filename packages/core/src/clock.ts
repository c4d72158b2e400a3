// Time as a port: event time and timeouts never read the machine directly, so a simulation can own both.
import type { TimestampMs } from './ids.ts';

export interface Clock {
  /** Wall clock, ms since the epoch. May jump. For event time, logs and retention only. */
  nowMs(): TimestampMs;
  /** Monotonic ms from an arbitrary start, with fractions. For timeouts and measuring. */
  monotonicMs(): number;
}
