// Chance as a port: a seed makes a history repeatable.

export interface Chance {
  /** Uniform in [0, 1). */
  float(): number;
  /** Uniform integer in [0, below). */
  integer(below: number): number;
  /** `size` unpredictable bytes (in the real adapter: from the system's secure source). */
  bytes(size: number): Uint8Array;
  /** A random version 4 UUID in text form. */
  uuid(): string;
}

/** Back-off before attempt `attempt` (1, 2, …): doubles from `firstMs` to `maxMs`, then takes ±20 % of chance so that clients do not march in step. */
export function backoffMs(chance: Chance, attempt: number, firstMs: number, maxMs: number): number {
  const plain = Math.min(maxMs, firstMs * 2 ** Math.min(30, attempt - 1));
  return Math.max(1, Math.round(plain * (0.8 + 0.4 * chance.float())));
}
