// What people see: progress while loading, the worst days as a table, or one JSON line per result.
import type { DelaySummary } from './topology.ts';

export interface ResultRow {
  readonly state: string;
  /** 2001-01-31 */
  readonly day: string;
  readonly flights: number;
  readonly delayed: number;
  readonly averageDelay: number;
}

export function resultRow(state: string, windowStart: number, summary: DelaySummary): ResultRow {
  return {
    state,
    day: new Date(windowStart).toISOString().slice(0, 10),
    flights: summary.flights,
    delayed: summary.delayed,
    averageDelay: summary.averageDelay,
  };
}

/** By state, then day; code-unit order, the same on every machine. */
export function sortRows(rows: readonly ResultRow[]): readonly ResultRow[] {
  return [...rows].sort((left, right) => compare(left.state, right.state) || compare(left.day, right.day));
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

const WORST = 12;
const FLIGHTS_AT_LEAST = 10;

/** The days with the worst average delay, of states with enough flights to mean something. */
export function worstDays(rows: readonly ResultRow[]): string {
  const worst = rows
    .filter((row) => row.flights >= FLIGHTS_AT_LEAST)
    .sort((left, right) => right.averageDelay - left.averageDelay || compare(left.state, right.state) || compare(left.day, right.day))
    .slice(0, WORST);
  const lines = worst.map(
    (row) =>
      `  ${row.state.padEnd(6)} ${row.day}  ${String(row.flights).padStart(7)}  ${String(row.delayed).padStart(7)}  ${row.averageDelay.toFixed(2).padStart(13)}`,
  );
  return [`  state  day         flights  delayed  average (min)`, ...lines].join('\n');
}

/** A bar on a terminal, a plain line per tenth otherwise. Writes to standard error, so that results stay alone on standard output. */
export function progressPrinter(stream: NodeJS.WriteStream): (label: string, done: number, total: number) => void {
  const lastTenth = new Map<string, number>();
  return (label, done, total) => {
    const share = total === 0 ? 1 : done / total;
    if (stream.isTTY) {
      const filled = Math.round(share * 30);
      stream.write(`\r\x1b[K${label} [${'█'.repeat(filled)}${'░'.repeat(30 - filled)}] ${done}/${total}${share >= 1 ? '\n' : ''}`);
      return;
    }
    const tenth = Math.floor(share * 10);
    if (lastTenth.get(label) === tenth) return;
    lastTenth.set(label, tenth);
    stream.write(`${label}: ${done} of ${total}\n`);
  };
}

/** Many stores are restored side by side; people want one number. */
export function restoreProgress(show: (done: number, total: number) => void): (store: string, restored: number, remaining: number) => void {
  const stores = new Map<string, { readonly restored: number; readonly remaining: number }>();
  return (store, restored, remaining) => {
    if (restored + remaining === 0) return;
    stores.set(store, { restored, remaining });
    let done = 0;
    let total = 0;
    for (const one of stores.values()) {
      done += one.restored;
      total += one.restored + one.remaining;
    }
    show(done, total);
  };
}
