// What aggregate, count and reduce have in common: a row's next value from the one before and a record.
import type { ErasedAdder } from '../erased.ts';

export interface ErasedFold {
  /** The value before the first record; undefined: the first record's value is the first aggregate (reduce). */
  readonly initial: (() => unknown) | undefined;
  readonly add: ErasedAdder;
}

export const countFold: ErasedFold = { initial: () => 0, add: (count) => (count as number) + 1 };
