// The states of an instance and who makes each move. One table, one function that moves.
//
//   created ─start→ rebalancing ⇄ running            instance.ts: assignment taken up / all tasks run
//   created|rebalancing|running ─close→ stopping → stopped
//   rebalancing|running ─failure→ failing → failed   a worker gave up, or the environment is wrong
import { assert } from '@millrace/core';

/** Kafka Streams' CREATED, REBALANCING, RUNNING, PENDING_SHUTDOWN, NOT_RUNNING, PENDING_ERROR, ERROR. */
export type AppState = 'created' | 'rebalancing' | 'running' | 'stopping' | 'stopped' | 'failing' | 'failed';

export const APP_MOVES: Readonly<Record<AppState, readonly AppState[]>> = {
  created: ['rebalancing', 'stopping', 'failing'],
  rebalancing: ['running', 'stopping', 'failing'],
  running: ['rebalancing', 'stopping', 'failing'],
  stopping: ['stopped'],
  stopped: [],
  failing: ['failed'],
  failed: [],
};

/** True if `to` can still be reached from `from`. */
export function canReach(from: AppState, to: AppState): boolean {
  const seen = new Set<AppState>([from]);
  const open: AppState[] = [from];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const next of APP_MOVES[at]) {
      if (!seen.has(next)) {
        seen.add(next);
        open.push(next);
      }
    }
  }
  return seen.has(to);
}

export class Lifecycle {
  #state: AppState = 'created';
  readonly #onMove: (from: AppState, to: AppState) => void;
  constructor(onMove: (from: AppState, to: AppState) => void) {
    this.#onMove = onMove;
  }
  get state(): AppState {
    return this.#state;
  }
  move(to: AppState): void {
    const from = this.#state;
    if (from === to) return;
    assert(APP_MOVES[from].includes(to), `no move from ${from} to ${to}`);
    this.#state = to;
    this.#onMove(from, to);
  }
  /** Moves where the table allows it; says whether it did. */
  moveIfAllowed(to: AppState): boolean {
    if (!APP_MOVES[this.#state].includes(to)) return false;
    this.move(to);
    return true;
  }
}
