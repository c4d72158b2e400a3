// Random histories of a staged store, for tests against a naive model: chance from a seed, the runtime's part, and what a model knows of each span.
import { type OpenDatabase, putCheckpoint, readCheckpoint, type StagedStore, WriteBatch } from '../index.ts';
import { RecordingLog } from './recording-log.ts';

/** Of every database that a history runs on; its store is called `s`. */
export const HISTORY_STORES: readonly string[] = ['$meta', 's'];

export type Chance = (below: number) => number;

export function chanceFrom(seed: number): Chance {
  let state = seed | 0;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0;
    const mixed = Math.imul(state ^ (state >>> 12), 0x297a2d39);
    return ((mixed ^ (mixed >>> 15)) >>> 0) % below;
  };
}

export interface Row {
  readonly value: { readonly n: number };
  readonly timestamp: number;
}

/** The runtime's part in short: closes, commits, settles with a checkpoint, drops and replays. */
export class Host<S extends StagedStore> {
  readonly log = new RecordingLog();
  store: S;
  readonly #database: OpenDatabase;
  readonly #create: () => S;
  isClosing = false;
  constructor(database: OpenDatabase, create: () => S) {
    this.#database = database;
    this.#create = create;
    this.store = create();
  }
  close(): void {
    this.store.close(this.log);
    this.isClosing = true;
  }
  commit(): void {
    this.store.committed();
    this.log.commit();
    this.isClosing = false;
  }
  settle(): void {
    const batch = new WriteBatch();
    this.store.settle(batch);
    putCheckpoint(batch, 's', { changelogOffset: this.log.committed.length, topicId: 't', leaderEpoch: 0, ...this.store.memory(), levelAtMs: 0 });
    this.#database.write(batch);
    this.store.settled();
  }
  /** A failed commit: everything staged goes, the store replays from its checkpoint. */
  drop(): void {
    this.store.drop();
    this.#restore();
  }
  /** A crash: a new store over what is on disk. */
  crash(): void {
    this.store = this.#create();
    this.#restore();
  }
  #restore(): void {
    this.log.abort();
    this.isClosing = false;
    const checkpoint = readCheckpoint(this.#database, 's');
    if (checkpoint === 'corrupt') throw new Error('corrupt checkpoint');
    if (checkpoint !== undefined) this.store.restoreMemory(checkpoint);
    const batch = new WriteBatch();
    this.log.replay(this.store, batch, checkpoint?.changelogOffset ?? 0);
    putCheckpoint(batch, 's', { changelogOffset: this.log.committed.length, topicId: 't', leaderEpoch: 0, ...this.store.memory(), levelAtMs: 0 });
    this.#database.write(batch);
  }
}

/** What the model knows of each span, newest last. */
export class Model<T> {
  committed: T;
  closing: T | undefined;
  open: T;
  readonly #copy: (state: T) => T;
  constructor(empty: T, copy: (state: T) => T) {
    this.committed = copy(empty);
    this.open = copy(empty);
    this.#copy = copy;
  }
  close(): void {
    this.closing = this.#copy(this.open);
  }
  commit(): void {
    this.committed = this.closing as T;
    this.closing = undefined;
  }
  drop(): void {
    this.open = this.#copy(this.committed);
    this.closing = undefined;
  }
}

/** One step in the life of a span, now and then; true if it was one. */
export function lifeStep<S extends StagedStore, T>(chance: Chance, host: Host<S>, model: Model<T>): boolean {
  switch (chance(30)) {
    case 0:
      if (host.isClosing) {
        host.commit();
        model.commit();
      } else {
        host.close();
        model.close();
      }
      return true;
    case 1:
      host.settle();
      return true;
    case 2:
      if (chance(4) > 0) return false;
      host.drop();
      model.drop();
      return true;
    case 3:
      if (chance(4) > 0) return false;
      host.crash();
      model.drop();
      return true;
    case 4:
      host.store.setCacheMax(chance(3) * 700);
      return true;
    default:
      return false;
  }
}

export const KEYS = ['', 'a', 'ab', 'abc', 'b', 'é', '\u{1f600}', '\ud800', '\ufffd', 'z'];
export const stored = (key: string): string => Buffer.from(key, 'utf8').toString('utf8');
export const byBytes = (left: string, right: string): number => Buffer.compare(Buffer.from(left, 'utf8'), Buffer.from(right, 'utf8'));
