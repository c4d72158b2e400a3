// Whether the committed updates of the flight example tell the story of each flight once.
import { expect } from 'vitest';
import type { CommittedUpdate } from './committed-updates.ts';

/** Rows of the file, each of which has its airport. */
export const FLIGHTS = 20_000;

/** Every committed update of a state and day has more flights than the one before: none was applied twice, none lost on the way. */
export function expectGrowingUpdates(updates: readonly CommittedUpdate[]): void {
  const last = new Map<string, number>();
  for (const { key, value } of updates) {
    const flights = (JSON.parse(value) as { flights: number }).flights;
    expect(flights).toBeGreaterThan(last.get(key) ?? 0);
    last.set(key, flights);
  }
  expect([...last.values()].reduce((sum, flights) => sum + flights, 0)).toBe(FLIGHTS);
}
