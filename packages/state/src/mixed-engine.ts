// Several engines behind one task: each store lies in the engine it was declared with, all others in the app's.
// Owns: which store lies where; a database per engine and task, in the task's one folder (each engine has a folder of its own in there).
// M1 a store's rows and everything `$meta` says of that store (checkpoint, layout) lie in one database and go there in one atomic write.
// M2 over several engines a batch is not atomic, and need not be: each store is level with its own changelog offset, whatever the others hold.
// What `$meta` says of the task itself lies in the first database that outlives its worker.
// An engine that cannot be shared between threads (memory) has its part in the worker alone: see `holds`.
import { assert, MillraceError } from '@millrace/core';
import type { ByteStore, ByteStoreEngine, Database, DatabaseTicket, OpenDatabase, OpenOptions } from './byte-store.ts';
import { WriteBatch } from './byte-store.ts';
import { META_STORE } from './checkpoint.ts';
import { openMemoryDatabase } from './memory-byte-store.ts';

interface Part {
  readonly engine: ByteStoreEngine;
  readonly stores: readonly string[];
}

/** `app` holds what `byStore` does not name. Throws ERR_ENGINE_UNAVAILABLE for another engine than memory that cannot be shared. */
export function mixedEngine(app: ByteStoreEngine, byStore: ReadonlyMap<string, ByteStoreEngine>): ByteStoreEngine {
  const engines = [...new Set([app, ...byStore.values()])];
  const foreign = engines.find((engine) => !engine.shareable && engine.name !== 'memory');
  if (foreign !== undefined)
    throw new MillraceError('ERR_ENGINE_UNAVAILABLE', `engine '${foreign.name}' cannot be shared between threads, so it cannot lie beside other engines`, {
      engine: foreign.name,
    });
  const partsOf = (stores: readonly string[]): readonly Part[] => {
    const own = stores.filter((name) => name !== META_STORE);
    return engines.flatMap((engine) => {
      const mine = own.filter((name) => (byStore.get(name) ?? app) === engine);
      return mine.length === 0 ? [] : [{ engine, stores: mine }];
    });
  };
  const name = `mixed(${engines.map((engine) => engine.name).join('+')})`;
  return {
    name,
    durable: app.durable,
    shareable: engines.some((engine) => engine.shareable),
    async open(options: OpenOptions) {
      const parts: OpenPart[] = [];
      try {
        for (const { engine, stores } of partsOf(options.stores).filter(({ engine: one }) => one.shareable))
          parts.push({ stores, database: await engine.open({ ...options, stores: [META_STORE, ...stores] }), isLasting: true });
      } catch (error) {
        for (const { database } of parts) await database.close();
        throw error;
      }
      return new OpenMixed({ engine: name, directory: options.directory, stores: options.stores, handle: parts.map(({ database }) => database.ticket) }, parts);
    },
    attach(ticket: DatabaseTicket) {
      if (ticket.engine !== name) return app.attach(ticket); // of the app's engine alone: global stores
      const tickets = ticket.handle as readonly DatabaseTicket[];
      const parts = partsOf(ticket.stores).map(({ engine, stores }): PartDatabase => {
        const shared = tickets.find((one) => stores.every((store) => one.stores.includes(store)));
        if (shared !== undefined) return { stores, database: engine.attach(shared), isLasting: true };
        const memory = { directory: `${ticket.directory}#${++opened}`, stores: [META_STORE, ...stores], cacheBytes: 0 };
        return { stores, database: openMemoryDatabase(memory), isLasting: false };
      });
      return new MixedDatabase(parts);
    },
  };
}
let opened = 0;

interface PartDatabase {
  readonly stores: readonly string[];
  readonly database: Database;
  /** Outlives the thread that uses it. */
  readonly isLasting: boolean;
}
interface OpenPart extends PartDatabase {
  readonly database: OpenDatabase;
}

class MixedDatabase implements Database {
  protected readonly parts: readonly PartDatabase[];
  readonly #byStore: ReadonlyMap<string, Database>;

  constructor(parts: readonly PartDatabase[]) {
    this.parts = parts;
    this.#byStore = new Map(parts.flatMap(({ stores, database }) => stores.map((store) => [store, database] as const)));
  }

  holds(store: string): boolean {
    return this.#byStore.has(store);
  }
  keyBytesMaxOf(store: string): number | undefined {
    return this.#byStore.get(store)?.keyBytesMax;
  }

  store(name: string): ByteStore {
    if (name === META_STORE) return this.#meta();
    const database = this.#byStore.get(name);
    assert(database !== undefined, `store ${name} does not lie in this thread`);
    return database.store(name);
  }

  write(batch: WriteBatch): void {
    const split = new Map<Database, WriteBatch>();
    for (const operation of batch.operations) {
      const key = 'key' in operation ? operation.key : operation.from;
      const database = operation.store === META_STORE ? this.#metaOf(key) : this.#byStore.get(operation.store);
      if (database === undefined) continue;
      const own = split.get(database) ?? new WriteBatch();
      own.operations.push(operation);
      split.set(database, own);
    }
    for (const [database, own] of split) database.write(own);
  }

  detach(): void {
    for (const { database } of this.parts) database.detach();
  }

  /** Of one store by the name behind the slash; else of the task. Undefined: of a store that is not here. */
  #metaOf(key: Uint8Array): Database | undefined {
    const text = Buffer.from(key).toString('utf8');
    const slash = text.indexOf('/');
    if (slash >= 0) return this.#byStore.get(text.slice(slash + 1));
    return (this.parts.find(({ isLasting }) => isLasting) ?? this.parts[0])?.database;
  }

  #meta(): ByteStore {
    const get = (key: Uint8Array): Buffer | undefined => this.#metaOf(key)?.store(META_STORE).get(key);
    return {
      get,
      getMany: (keys) => keys.map(get),
      scan: () => unreachable('$meta is not read as a whole'),
      approximateCount: () => unreachable('$meta is not counted'),
    };
  }
}

function unreachable(why: string): never {
  assert(false, why);
}

class OpenMixed extends MixedDatabase implements OpenDatabase {
  readonly ticket: DatabaseTicket;
  readonly #open: readonly OpenPart[];

  constructor(ticket: DatabaseTicket, parts: readonly OpenPart[]) {
    super(parts);
    this.ticket = ticket;
    this.#open = parts;
  }

  async holdWrites(): Promise<() => void> {
    const releases: (() => void)[] = [];
    try {
      for (const { database } of this.#open) releases.push(await database.holdWrites());
    } catch (error) {
      for (const release of releases) release();
      throw error;
    }
    return () => {
      for (const release of releases) release();
    };
  }

  async close(): Promise<void> {
    for (const { database } of this.#open) await database.close();
  }
}
