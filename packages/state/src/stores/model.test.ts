// Random histories of a store against a naive model: a list of writes, folded. Every failure names its seed.
import { serde } from '@millrace/core';
import { expect, test } from 'vitest';
import {
  META_STORE,
  memoryEngine,
  type OpenDatabase,
  putCheckpoint,
  readCheckpoint,
  StagedKeyValueStore,
  StagedSessionStore,
  type StagedStore,
  StagedWindowStore,
  sessionView,
  WriteBatch,
} from '../index.ts';
import { RecordingLog } from '../testing/recording-log.ts';

type Chance = (below: number) => number;

function chanceFrom(seed: number): Chance {
  let state = seed | 0;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0;
    const mixed = Math.imul(state ^ (state >>> 12), 0x297a2d39);
    return ((mixed ^ (mixed >>> 15)) >>> 0) % below;
  };
}

interface Row {
  readonly value: { readonly n: number };
  readonly timestamp: number;
}

/** The runtime's part in short: closes, commits, settles with a checkpoint, drops and replays. */
class Host<S extends StagedStore> {
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
class Model<T> {
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

const open = () => memoryEngine.open({ directory: '', stores: [META_STORE, 's'], cacheBytes: 0 });

/** One step in the life of a span, now and then; true if it was one. */
function lifeStep<S extends StagedStore, T>(chance: Chance, host: Host<S>, model: Model<T>): boolean {
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

const KEYS = ['', 'a', 'ab', 'abc', 'b', 'é', '\u{1f600}', '\ud800', '\ufffd', 'z'];
const stored = (key: string): string => Buffer.from(key, 'utf8').toString('utf8');
const byBytes = (left: string, right: string): number => Buffer.compare(Buffer.from(left, 'utf8'), Buffer.from(right, 'utf8'));

test.each(Array.from({ length: 60 }, (_, index) => index + 1))('a key-value store does what a folded list of writes does (seed %i)', async (seed) => {
  const chance = chanceFrom(seed * 7919);
  const database = await open();
  const everyWrite = seed % 5 === 0;
  const host = new Host(database, () => {
    const store = new StagedKeyValueStore<string, { readonly n: number }>({
      name: 's',
      key: serde.string(),
      value: serde.json<{ readonly n: number }>(),
      database,
      currentTimestamp: () => 5,
      cacheBytesMax: seed % 3 === 0 ? 0 : 900,
      logEveryWrite: everyWrite,
    });
    if (seed % 2 === 0) store.keepPrior();
    return store;
  });
  const model = new Model<Map<string, Row>>(new Map(), (state) => new Map(state));
  for (let step = 0; step < 600; step++) {
    if (lifeStep(chance, host, model)) continue;
    const { store } = host;
    const key = KEYS[chance(KEYS.length)] as string;
    const row: Row = { value: { n: step }, timestamp: step };
    const expected = model.open.get(stored(key));
    const place = `seed ${seed} step ${step} key ${JSON.stringify(key)}`;
    switch (chance(9)) {
      case 0:
      case 1:
        store.put(key, row.value, row.timestamp);
        model.open.set(stored(key), row);
        break;
      case 2:
        expect(store.delete(key), place).toEqual(expected?.value);
        model.open.delete(stored(key));
        break;
      case 3: {
        const entry = store.find(key);
        expect(entry.present, place).toBe(expected !== undefined);
        store.get(KEYS[chance(KEYS.length)] as string); // may push the entry out
        store.writeEntry(entry, row.value, row.timestamp);
        model.open.set(stored(key), row);
        break;
      }
      case 4:
        expect(store.putIfAbsent(key, row.value), place).toEqual(expected?.value);
        if (expected === undefined) model.open.set(stored(key), { value: row.value, timestamp: 5 });
        break;
      case 5: {
        const other = KEYS[chance(KEYS.length)] as string;
        const reverse = chance(2) === 0;
        const limit = chance(3) === 0 ? chance(4) : undefined;
        const bounds = chance(2) === 0 ? { prefix: key } : { from: key, to: other };
        const inside = (held: string): boolean =>
          'prefix' in bounds
            ? Buffer.from(held).subarray(0, Buffer.from(key).length).equals(Buffer.from(key))
            : byBytes(held, stored(key)) >= 0 && byBytes(held, stored(other)) <= 0;
        const rows = [...model.open.keys()].filter(inside).sort(byBytes);
        if (reverse) rows.reverse();
        const wanted = rows.slice(0, limit ?? rows.length).map((held) => ({ key: held, ...(model.open.get(held) as Row) }));
        expect([...store.range({ ...bounds, reverse, limit })], place).toEqual(wanted);
        break;
      }
      default:
        expect(store.entry(key), place).toEqual(expected === undefined ? undefined : { key: stored(key), ...expected });
    }
    expect(host.store.cachedBytes).toBeLessThanOrEqual(1400);
  }
  // At the end all is committed and settled: the disk is the fold of the changelog.
  if (host.isClosing) host.commit();
  host.close();
  host.commit();
  host.settle();
  expect(host.store.stagedBytes).toBe(0);
  const fold = new Map<string, string>();
  for (const record of host.log.committed) {
    if (record.value === null) fold.delete(record.key.toString('utf8'));
    else fold.set(record.key.toString('utf8'), `${record.timestamp}:${record.value.toString('utf8')}`);
  }
  const disk = new Map<string, string>();
  const rows = database.store('s').scan({});
  while (rows.next()) disk.set(rows.key.toString('utf8'), `${Number(rows.value.readBigInt64BE(0))}:${rows.value.subarray(8).toString('utf8')}`);
  expect(Object.fromEntries(disk), `seed ${seed}`).toEqual(Object.fromEntries(fold));
  expect(new Set(disk.keys())).toEqual(new Set(model.open.keys()));
});

interface WindowState {
  readonly rows: Map<string, Row>;
  observed: number;
}

const RETENTION = 150_000;

test.each(Array.from({ length: 60 }, (_, index) => index + 1))(
  'a window store does what a folded list of writes with retention does (seed %i)',
  async (seed) => {
    const chance = chanceFrom(seed * 104_729);
    const database = await open();
    const host = new Host(
      database,
      () =>
        new StagedWindowStore<string, { readonly n: number }>({
          name: 's',
          key: serde.string(),
          value: serde.json<{ readonly n: number }>(),
          database,
          currentTimestamp: () => 5,
          cacheBytesMax: seed % 3 === 0 ? 0 : 1200,
          windowSizeMs: 1000,
          retentionMs: RETENTION,
          logEveryWrite: seed % 5 === 0,
        }),
    );
    const model = new Model<WindowState>({ rows: new Map(), observed: -1 }, (state) => ({ rows: new Map(state.rows), observed: state.observed }));
    const visible = (start: number): boolean => start > model.open.observed - RETENTION;
    const apply = (key: string, start: number, row: Row | undefined): void => {
      model.open.observed = Math.max(model.open.observed, start);
      if (row === undefined) model.open.rows.delete(`${stored(key)}@${start}`);
      else model.open.rows.set(`${stored(key)}@${start}`, row);
    };
    let time = 0;
    for (let step = 0; step < 600; step++) {
      time += chance(3) === 0 ? chance(8000) : 0;
      if (lifeStep(chance, host, model)) continue;
      const { store } = host;
      const key = KEYS[chance(5)] as string;
      const start = Math.max(0, Math.floor((time - chance(200_000)) / 10_000) * 10_000);
      const row: Row = { value: { n: step }, timestamp: step };
      const expected = visible(start) ? model.open.rows.get(`${stored(key)}@${start}`) : undefined;
      const place = `seed ${seed} step ${step} key ${JSON.stringify(key)} start ${start}`;
      switch (chance(8)) {
        case 0:
        case 1:
          store.write(key, start, row.value, row.timestamp);
          apply(key, start, row);
          break;
        case 2:
          store.delete(key, start);
          apply(key, start, undefined);
          break;
        case 3: {
          const entry = store.find(key, start);
          expect(entry.present, place).toBe(expected !== undefined);
          store.get(KEYS[chance(5)] as string, start);
          store.writeEntry(entry, row.value, row.timestamp);
          apply(key, start, row);
          break;
        }
        case 4:
        case 5: {
          const all = chance(2) === 0;
          const from = Math.max(0, time - chance(250_000));
          const to = from + chance(150_000);
          const reverse = chance(2) === 0;
          const limit = chance(3) === 0 ? chance(5) : undefined;
          const segment = (at: number): number => Math.floor(at / 75_000);
          const rows = [...model.open.rows.entries()]
            .map(([id, held]) => ({ key: id.slice(0, id.lastIndexOf('@')), start: Number(id.slice(id.lastIndexOf('@') + 1)), held }))
            .filter((held) => visible(held.start) && held.start >= from && held.start <= to && (all || held.key === stored(key)))
            .sort(
              (left, right) => segment(left.start) - segment(right.start) || Buffer.compare(windowKey(left.key, left.start), windowKey(right.key, right.start)),
            );
          if (reverse) rows.reverse();
          const wanted = rows
            .slice(0, limit ?? rows.length)
            .map((held) => ({ key: { key: held.key, window: { start: held.start, end: held.start + 1000 } }, ...held.held }));
          const found = all ? store.fetchAll({ from, to, reverse, limit }) : store.fetch(key, { from, to, reverse, limit });
          expect([...found], place).toEqual(wanted);
          break;
        }
        default:
          expect(store.get(key, start), place).toEqual(expected?.value);
      }
    }
    if (host.isClosing) host.commit();
    host.close();
    host.commit();
    host.settle();
    expect(host.store.stagedBytes).toBe(0);
    expect(host.store.memory().observedTime).toBe(model.open.observed);
    // On disk: the model's rows, but for those past retention in segments that are wholly past it.
    const disk = new Set<string>();
    const rows = database.store('s').scan({});
    while (rows.next()) {
      const start = Number(rows.key.readBigInt64BE(rows.key.length - 12));
      expect(Number(rows.key.readBigInt64BE(0)), `seed ${seed}: segment`).toBe(Math.floor(start / 75_000));
      expect(start).toBeGreaterThanOrEqual(Math.floor(Math.max(0, model.open.observed - RETENTION + 1) / 75_000) * 75_000);
      if (visible(start)) disk.add(`${rows.key.subarray(8, -12).toString('utf8')}@${start}`);
    }
    const wanted = [...model.open.rows.keys()].filter((id) => visible(Number(id.slice(id.lastIndexOf('@') + 1))));
    expect(disk, `seed ${seed}`).toEqual(new Set(wanted));
  },
);

test.each(Array.from({ length: 60 }, (_, index) => index + 1))(
  'a session store does what a folded list of writes with retention does (seed %i)',
  async (seed) => {
    const chance = chanceFrom(seed * 15_485_863);
    const database = await open();
    const host = new Host(database, () => {
      const store = new StagedSessionStore<string, { readonly n: number }>({
        name: 's',
        key: serde.string(),
        value: serde.json<{ readonly n: number }>(),
        database,
        currentTimestamp: () => 5,
        cacheBytesMax: seed % 3 === 0 ? 0 : 1200,
        retentionMs: RETENTION,
        logEveryWrite: seed % 5 === 0,
      });
      if (seed % 2 === 0) store.keepPrior();
      return store;
    });
    const model = new Model<WindowState>({ rows: new Map(), observed: -1 }, (state) => ({ rows: new Map(state.rows), observed: state.observed }));
    const visible = (end: number): boolean => end > model.open.observed - RETENTION;
    const apply = (key: string, window: { start: number; end: number }, row: Row | undefined): void => {
      model.open.observed = Math.max(model.open.observed, window.end);
      const id = `${stored(key)}@${window.start}@${window.end}`;
      if (row === undefined) model.open.rows.delete(id);
      else model.open.rows.set(id, row);
    };
    const sessions = () =>
      [...model.open.rows].map(([id, held]) => {
        const [key, start, end] = id.split('@') as [string, string, string];
        return { key: { key, window: { start: Number(start), end: Number(end) } }, value: held.value, timestamp: Number(end) };
      });
    const inOrder = (left: ReturnType<typeof sessions>[number], right: ReturnType<typeof sessions>[number]): number =>
      left.key.window.end - right.key.window.end || left.key.window.start - right.key.window.start;
    let time = 0;
    for (let step = 0; step < 600; step++) {
      time += chance(3) === 0 ? chance(8000) : 0;
      if (lifeStep(chance, host, model)) continue;
      const { store } = host;
      const key = KEYS[chance(5)] as string;
      const start = Math.max(0, Math.floor((time - chance(200_000)) / 10_000) * 10_000);
      const window = { start, end: start + chance(3) * 20_000 };
      const row: Row = { value: { n: step }, timestamp: step };
      const expected = visible(window.end) ? model.open.rows.get(`${stored(key)}@${start}@${window.end}`) : undefined;
      const place = `seed ${seed} step ${step} key ${JSON.stringify(key)} session ${start}-${window.end}`;
      switch (chance(8)) {
        case 0:
        case 1:
          store.put({ key, window }, row.value);
          apply(key, window, row);
          break;
        case 2:
          store.delete({ key, window });
          apply(key, window, undefined);
          break;
        case 3: {
          const entry = store.find(key, window);
          expect(entry.present, place).toBe(expected !== undefined);
          store.get(KEYS[chance(5)] as string, window);
          store.writeEntry(entry, row.value, row.timestamp);
          apply(key, window, row);
          break;
        }
        case 4:
        case 5: {
          const own = sessions()
            .filter((held) => visible(held.timestamp) && held.key.key === stored(key))
            .sort(inOrder);
          const bounds = { earliestEnd: Math.max(0, time - chance(250_000)), latestStart: time - chance(100_000) };
          const wanted = own.filter(({ key: { window: held } }) => held.end >= bounds.earliestEnd && held.start <= bounds.latestStart);
          expect([...store.findSessions(key, bounds)], place).toEqual(wanted);
          const from = bounds.earliestEnd;
          const range = { from, to: from + 100_000, reverse: chance(2) === 0 };
          const inside = own.filter(({ key: { window: held } }) => held.start >= from && held.start <= range.to);
          expect([...store.fetch(key, range)], place).toEqual(range.reverse ? inside.reverse() : inside);
          break;
        }
        default:
          expect(store.get(key, window), place).toEqual(expected?.value);
      }
    }
    if (host.isClosing) host.commit();
    host.close();
    host.commit();
    host.settle();
    expect(host.store.stagedBytes).toBe(0);
    expect(host.store.memory().observedTime).toBe(model.open.observed);
    const left = sessions().filter((held) => visible(held.timestamp));
    const idOf = (row: { readonly key: { readonly key: string; readonly window: object } }): string => JSON.stringify(row.key);
    expect([...host.store.fetchAll()].sort((a, b) => idOf(a).localeCompare(idOf(b)))).toEqual(left.sort((a, b) => idOf(a).localeCompare(idOf(b))));
    const view = sessionView<string, { readonly n: number }>(database, {
      name: 's',
      key: serde.string(),
      value: serde.json<{ readonly n: number }>(),
      retentionMs: RETENTION,
    });
    expect([...view.fetchAll()]).toEqual([...host.store.fetchAll()]);
    for (const key of KEYS.slice(0, 5)) expect([...view.fetch(key, { reverse: true })]).toEqual([...host.store.fetch(key, { reverse: true })]);
  },
);

function windowKey(key: string, start: number): Buffer {
  const bytes = Buffer.alloc(Buffer.byteLength(key) + 8);
  bytes.write(key, 0, 'utf8');
  bytes.writeBigInt64BE(BigInt(start), bytes.length - 8);
  return bytes;
}
