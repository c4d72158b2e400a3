// A table update between table operators: the new value or a delete, and what was there before, as far as somebody asked.
// Each node owns one `ChangeCell` and fills it again for every update, so a change allocates nothing: read it during the call, do not keep it.

/** present: `prior` holds it; absent: there was no row; notRead: nobody asked. */
export type PriorKind = 'present' | 'absent' | 'notRead';

export interface Change {
  readonly kind: 'put' | 'delete';
  /** The new value; null for a delete. */
  readonly value: unknown;
  readonly priorKind: PriorKind;
  /** The row before; null unless `priorKind` is present. */
  readonly prior: unknown;
  /** False: an older version was written below a newer one, which still stands (versioned stores only). */
  readonly isLatest: boolean;
}

export class ChangeCell implements Change {
  kind: 'put' | 'delete' = 'delete';
  value: unknown = null;
  priorKind: PriorKind = 'notRead';
  prior: unknown = null;
  isLatest = true;

  /** `value` null or undefined is a delete. */
  withoutPrior(value: unknown, isLatest = true): this {
    return this.#set(value, 'notRead', null, isLatest);
  }

  /** `prior` null or undefined: there was no row. */
  withPrior(value: unknown, prior: unknown, isLatest = true): this {
    return prior === null || prior === undefined ? this.#set(value, 'absent', null, isLatest) : this.#set(value, 'present', prior, isLatest);
  }

  #set(value: unknown, priorKind: PriorKind, prior: unknown, isLatest: boolean): this {
    const deleted = value === null || value === undefined;
    this.kind = deleted ? 'delete' : 'put';
    this.value = deleted ? null : value;
    this.priorKind = priorKind;
    this.prior = prior;
    this.isLatest = isLatest;
    return this;
  }
}
