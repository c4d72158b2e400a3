// Joins of two tables by equal keys: a change of either side meets the row of the other side as it is now (semantics 12.2).
// "Now" is what the other side has handed on: a change of it that still waits for the commit will meet this one in its turn. Would both
// already see each other, then no delete would be handed on where both rows go within one commit, and rows before would never have been shown.
// One operator per side. The time of a result is the later of both; equal results are not swallowed; a delete is handed on even
// where no result had been shown, except where it can be told that there was none.
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { type Change, ChangeCell } from '../change.ts';
import type { RowReader, RowView } from '../draft/table-rows.ts';
import type { ErasedJoiner } from '../erased.ts';

export interface TableJoinSideSettings {
  /** Rows of the other side. */
  readonly view: RowView;
  /** Takes this side's value first. */
  readonly joiner: ErasedJoiner;
  /** A row of this side without partner gives a result. */
  readonly aloneHere: boolean;
  /** A row of the other side without partner gives a result. */
  readonly aloneThere: boolean;
  /** Read once the program is complete. */
  readonly sendsPrior: boolean;
}

export function tableJoinSideOperator(settings: TableJoinSideSettings): ProcessorFactory {
  const { view, joiner, aloneHere, aloneThere, sendsPrior } = settings;
  return (context): NodeProcessor => {
    const rows = view.open(context, 'shown');
    const cell = new ChangeCell();
    const { record } = context;
    return {
      process(key, given) {
        const { value, prior, isLatest } = given as Change;
        if (!isLatest) {
          context.drop('skipped', 'an older version of a row has been written: the newest one stays joined');
          return;
        }
        const found = rows.find(key);
        if (!found && (!aloneHere || (value === null && prior === null))) return;
        const other = found ? rows.value : undefined;
        const at = found && rows.timestamp > record.timestamp ? rows.timestamp : record.timestamp;
        const joined = (own: unknown): unknown => {
          if (own !== null) return joiner(own, other, key);
          return found && aloneThere ? joiner(undefined, other, key) : null;
        };
        const now = joined(value);
        context.forwardAt(key, sendsPrior ? cell.withPrior(now, joined(prior)) : cell.withoutPrior(now), at);
      },
    };
  };
}

export interface JoinedRowSettings {
  readonly joiner: ErasedJoiner;
  readonly leftAlone: boolean;
  readonly rightAlone: boolean;
}

/** Rows of a join that keeps none: joined again at every look. */
export class JoinedRow implements RowReader {
  value: unknown = undefined;
  timestamp = -1;
  readonly #left: RowReader;
  readonly #right: RowReader;
  readonly #settings: JoinedRowSettings;
  constructor(left: RowReader, right: RowReader, settings: JoinedRowSettings) {
    this.#left = left;
    this.#right = right;
    this.#settings = settings;
  }
  find(key: unknown): boolean {
    const { joiner, leftAlone, rightAlone } = this.#settings;
    const hasLeft = this.#left.find(key);
    if (!hasLeft && !rightAlone) return false;
    const hasRight = this.#right.find(key);
    if (!hasRight && !(hasLeft && leftAlone)) return false;
    this.value = joiner(hasLeft ? this.#left.value : undefined, hasRight ? this.#right.value : undefined, key);
    this.timestamp = Math.max(hasLeft ? this.#left.timestamp : -1, hasRight ? this.#right.timestamp : -1);
    return this.value !== null && this.value !== undefined;
  }
}
