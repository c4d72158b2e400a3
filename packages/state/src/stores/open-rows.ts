// The iterators of one store that are still open: they end at the latest when the callback that opened them has returned.
// Owns the set of them.  Never: reads rows.
import type { Rows } from './contract.ts';

export class OpenRows {
  readonly #open = new Set<Rows<unknown>>();
  readonly #onOpen: (() => void) | undefined;

  /** `onOpen` is told of each iterator that opens: somebody has to end it. */
  constructor(onOpen: (() => void) | undefined) {
    this.#onOpen = onOpen;
  }

  add<R extends Rows<unknown>>(rows: R): R {
    this.#open.add(rows);
    this.#onOpen?.();
    return rows;
  }

  /** For an iterator that has come to its end by itself. */
  readonly closed = (rows: Rows<unknown>): void => {
    this.#open.delete(rows);
  };

  end(): void {
    for (const rows of this.#open) rows.return?.();
  }
}
