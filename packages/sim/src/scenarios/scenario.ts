// What a scenario is: a topology, what is sent to it, and what must come out, as pure functions over what was sent.
import type { Duration } from '@millrace/core';
import type { AppOptions } from '@millrace/runtime';
import type { Topology } from '@millrace/topology';
import type { Simulation } from '../simulate.ts';

export interface Scenario {
  readonly topology: Topology;
  /** What timers need to finish after the last input. */
  readonly quiet?: Duration;
  readonly tuning?: AppOptions['tuning'];
  workload(simulation: Simulation): Promise<void>;
  /** Throws with the first thing that is wrong. `exactly` false: at-least-once, where records may come again but never be missing. */
  verify(simulation: Simulation, exactly: boolean): void;
}

/** Event time of everything that is sent begins here: half a day before the simulation, so that no jump of a clock puts it into the future. */
export const EVENT_TIME_MS = Date.UTC(2023, 11, 31, 12);

export function pick<T>(simulation: Simulation, from: readonly T[]): T {
  return from[Math.floor(simulation.random() * from.length)] as T;
}

/** Throws unless both hold the same texts equally often. */
export function checkSame(what: string, found: readonly string[], wanted: readonly string[], exactly = true): void {
  const counts = new Map<string, number>();
  for (const one of wanted) counts.set(one, (counts.get(one) ?? 0) + 1);
  for (const one of found) counts.set(one, (counts.get(one) ?? 0) - 1);
  for (const [one, left] of counts) {
    if (left > 0) throw new Error(`${what}: ${one} is missing ${left} times`);
    if (left < 0 && (exactly || !wanted.includes(one))) throw new Error(`${what}: ${one} came ${-left} times too often`);
  }
}

/** Throws unless both tables are equal. */
export function checkTable(what: string, found: ReadonlyMap<string, unknown>, wanted: ReadonlyMap<string, unknown>): void {
  for (const [key, value] of wanted)
    if (JSON.stringify(found.get(key)) !== JSON.stringify(value))
      throw new Error(`${what}: ${key} is ${JSON.stringify(found.get(key)) ?? 'missing'}, and should be ${JSON.stringify(value)}`);
  for (const key of found.keys()) if (!wanted.has(key)) throw new Error(`${what}: ${key} is ${JSON.stringify(found.get(key))}, and should not be there`);
}
