// emit: 'onWindowClose': one final result per window, handed on when the operator's time has passed its end and grace (semantics 8.9).
// Owns how far results have been handed on; that bound goes with the input offsets, so a restart neither repeats nor loses a window.
// F1 nothing is looked for more often than `emitIntervalMs` of wall clock, nor unless the closing time has moved.
// F2 rows that are handed on are released: the store holds closed rows until then, however far time has jumped.
// Emission needs input: idle input closes nothing, unless its source has `idleAfter`. Results carry the headers of the record that closed their windows.
import type { StagedSessionStore, StagedWindowStore } from '@millrace/state';
import type { NodeContext } from '@millrace/topology';
import { ChangeCell } from '../change.ts';
import type { WindowSettings } from '../windows.ts';
import { firstWindowStart } from './window-starts.ts';

interface Closing {
  /** Rows to look at by time, both included; undefined: none can have closed. `last`: closing time of the look before. */
  range(last: number | undefined, closesAt: number): readonly [from: number, to: number] | undefined;
  /** Rows below this time are never looked at again once `closesAt` has been handed on. */
  releasedBelow(closesAt: number): number;
  /** Hands on what has closed in a range. */
  give(from: number, to: number, last: number | undefined, closesAt: number): void;
  release(below: number): void;
}

export class FinalWindows {
  readonly #context: NodeContext;
  readonly #name: string;
  readonly #closing: Closing;
  #lookAgainAtMs = 0;
  #last: number | undefined;

  constructor(context: NodeContext, store: string, closing: Closing) {
    this.#context = context;
    this.#name = store;
    this.#closing = closing;
    this.#last = context.progress(store);
    if (this.#last !== undefined) closing.release(closing.releasedBelow(this.#last));
  }

  /** Where the operator's own time goes on after a restart: `behindMs` past the last closing time; -1: nothing was handed on yet. */
  resumedTime(behindMs: number): number {
    return this.#last === undefined ? -1 : this.#last + behindMs;
  }

  /** After each record: windows that ended before `closesAt` (the operator's time minus grace) go on. */
  advance(closesAt: number): void {
    const now = this.#context.wallClockMs();
    const { emitIntervalMs } = this.#context;
    if (now < this.#lookAgainAtMs && now >= this.#lookAgainAtMs - emitIntervalMs) return; // a clock that was set back is no reason to wait
    this.#lookAgainAtMs = now + emitIntervalMs;
    const last = this.#last;
    if (last !== undefined && last >= closesAt) return;
    const range = this.#closing.range(last, closesAt);
    if (range === undefined) return;
    this.#closing.give(range[0], range[1], last, closesAt);
    this.#last = closesAt;
    this.#context.setProgress(this.#name, closesAt);
    this.#closing.release(this.#closing.releasedBelow(closesAt));
  }
}

interface FinalSettings<Store> {
  readonly context: NodeContext;
  readonly name: string;
  readonly store: Store;
  readonly sendsPrior: boolean;
}

/** Final results of time windows. `endOf`: end of the window that starts at a time. */
export function finalTimeWindows(
  settings: FinalSettings<StagedWindowStore<unknown, unknown>>,
  windows: WindowSettings,
  endOf: (start: number) => number,
): FinalWindows {
  const { context, name, store, sendsPrior } = settings;
  const { sizeMs, advanceMs } = windows;
  const isSliding = windows.kind === 'sliding';
  const cell = new ChangeCell();
  const startsAround = (at: number): string => `${firstWindowStart(at, sizeMs, advanceMs)} ${Math.floor(at / advanceMs)}`;
  return new FinalWindows(context, name, {
    range(last, closesAt) {
      // A sliding window holds its end, so it closes one later.
      const to = closesAt - sizeMs - (isSliding ? 1 : 0);
      const before = Math.max(0, (last ?? 0) - sizeMs);
      if (windows.kind === 'custom') return [before, closesAt];
      if (to < 0) return undefined;
      if (isSliding || last === undefined) return [before, to];
      return startsAround(to) === startsAround(before) ? undefined : [before + 1, to];
    },
    releasedBelow: (closesAt) => Math.max(0, closesAt - sizeMs),
    give(from, to, last, closesAt) {
      for (const row of store.closedRows(from, to)) {
        const { start } = row.key.window;
        const end = endOf(start);
        if (windows.kind === 'custom' && (end > closesAt || end <= (last ?? 0))) continue;
        context.forwardAt({ key: row.key.key, window: { start, end } }, priorless(cell, row.value, sendsPrior), row.timestamp);
      }
    },
    release: (below) => store.releaseBelow(below),
  });
}

/** Final results of sessions. */
export function finalSessions(settings: FinalSettings<StagedSessionStore<unknown, unknown>>): FinalWindows {
  const { context, name, store, sendsPrior } = settings;
  const cell = new ChangeCell();
  return new FinalWindows(context, name, {
    range(last, closesAt) {
      const from = Math.max(0, last ?? 0);
      return closesAt - 1 < from ? undefined : [from, closesAt - 1];
    },
    releasedBelow: (closesAt) => Math.max(0, closesAt),
    give(from, to) {
      for (const row of store.closedRows(from, to)) context.forwardAt(row.key, priorless(cell, row.value, sendsPrior), row.key.window.end);
    },
    release: (below) => store.releaseBelow(below),
  });
}

/** A final result is the first of its window. */
function priorless(cell: ChangeCell, value: unknown, sendsPrior: boolean): ChangeCell {
  return sendsPrior ? cell.withPrior(value, null) : cell.withoutPrior(value);
}
