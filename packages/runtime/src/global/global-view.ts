// A global store as tasks read it: the rows that are on disk now. Writes are refused: only its own processor makes them.
import { MillraceError } from '@millrace/core';
import { type Database, type Entry, type KeyValueReadView, type KeyValueStore, keyValueView, type Range, type Rows } from '@millrace/state';
import type { Topology } from '@millrace/topology';

export class GlobalView implements KeyValueStore<unknown, unknown> {
  readonly kind = 'keyValue';
  readonly name: string;
  readonly #rows: KeyValueReadView<unknown, unknown>;

  constructor(name: string, rows: KeyValueReadView<unknown, unknown>) {
    this.name = name;
    this.#rows = rows;
  }

  get(key: unknown): unknown {
    return this.entry(key)?.value;
  }
  entry(key: unknown): Entry<unknown, unknown> | undefined {
    return key === null || key === undefined ? undefined : this.#rows.get(key);
  }
  range(range?: Range<unknown>): Rows<Entry<unknown, unknown>> {
    const rows = this.#rows.range(range);
    return Object.assign(rows, { [Symbol.dispose]: () => void rows.return(undefined) });
  }
  approximateCount(): number {
    return this.#rows.approximateCount();
  }
  put(): never {
    return this.#refuse();
  }
  putIfAbsent(): never {
    return this.#refuse();
  }
  putAll(): never {
    return this.#refuse();
  }
  delete(): never {
    return this.#refuse();
  }

  #refuse(): never {
    throw new MillraceError(
      'ERR_PROCESS',
      `store "${this.name}" is a global one: tasks read it, and only its own processor writes it. Write to its topic instead.`,
      { store: this.name },
    );
  }
}

/** Views of all global stores over a database that is kept elsewhere. */
export function globalViews(topology: Topology, database: Database): (name: string) => GlobalView | undefined {
  const views = new Map(
    topology.globals.flatMap(({ store }) => {
      const spec = topology.stores.get(store);
      return spec === undefined ? [] : [[store, new GlobalView(store, keyValueView<unknown, unknown>(database, spec))] as const];
    }),
  );
  return (name) => views.get(name);
}
