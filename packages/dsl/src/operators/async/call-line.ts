// Which pending records may be called now, and whose outcome may be applied: by the three orders.
// Owns: the line of records in arrival order, and the lines per key.  Never: calls, or knows time.
// L1 a record leaves only when its outcome has been applied.  L2 order `key`: only the first of a key is out.  L3 order `input`: outcomes
// leave in arrival order.
import type { CallOrder } from './call-settings.ts';

/** A place in the line. */
export interface Waiting {
  /** Arrival number; grows. */
  readonly number: number;
  /** Equal for records of one key. */
  readonly keyText: string;
  state: 'waiting' | 'out' | 'answered';
}

export class CallLine<T extends Waiting> {
  readonly #order: CallOrder;
  /** Arrival order; a Set, so that leaving from the middle costs nothing. */
  readonly #all = new Set<T>();
  /** May be called as soon as there is room, in arrival order. */
  readonly #ready = new Set<T>();
  /** Order `key`: those behind the first of their key. */
  readonly #behind = new Map<string, T[]>();
  /** Orders `key` and `none`: answered, in the order of their answers. */
  readonly #answered = new Set<T>();

  constructor(order: CallOrder) {
    this.#order = order;
  }

  get size(): number {
    return this.#all.size;
  }

  /** In arrival order. */
  all(): Iterable<T> {
    return this.#all;
  }

  add(one: T): void {
    this.#all.add(one);
    if (this.#order !== 'key') {
      this.#ready.add(one);
      return;
    }
    const behind = this.#behind.get(one.keyText);
    if (behind !== undefined) behind.push(one);
    else {
      this.#behind.set(one.keyText, []);
      this.#ready.add(one);
    }
  }

  /** The next to call; it counts as out. */
  next(): T | undefined {
    for (const one of this.#ready) {
      this.#ready.delete(one);
      one.state = 'out';
      return one;
    }
    return undefined;
  }

  answered(one: T): void {
    one.state = 'answered';
    this.#answered.add(one);
  }

  /** The next whose outcome may be applied; it has left the line when this returns. */
  take(): T | undefined {
    const one = this.#order === 'input' ? first(this.#all) : first(this.#answered);
    if (one === undefined || one.state !== 'answered') return undefined;
    this.#answered.delete(one);
    this.#all.delete(one);
    if (this.#order === 'key') this.#letNext(one.keyText);
    return one;
  }

  #letNext(keyText: string): void {
    const behind = this.#behind.get(keyText);
    const next = behind?.shift();
    if (next === undefined) this.#behind.delete(keyText);
    else this.#ready.add(next);
  }
}

function first<T>(set: Set<T>): T | undefined {
  for (const one of set) return one;
  return undefined;
}
