// Random histories of a store against a naive model: a list of writes, folded. Every failure names its seed.
import { serde } from '@millrace/core';
import { expect, test } from 'vitest';
import { memoryEngine, StagedKeyValueStore, StagedWindowStore } from '../index.ts';
import { runSessionHistory } from '../testing/session-history.ts';
import { byBytes, chanceFrom, HISTORY_STORES, Host, KEYS, lifeStep, Model, type Row, stored } from '../testing/span-life.ts';
import { runVersionedHistory } from '../testing/versioned-history.ts';

const open = () => memoryEngine.open({ directory: '', stores: HISTORY_STORES, cacheBytes: 0 });

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
    runSessionHistory(seed, await open());
  },
);

test.each(Array.from({ length: 60 }, (_, index) => index + 1))('a versioned store does what a list of versions does (seed %i)', async (seed) => {
  runVersionedHistory(seed, await open());
});

function windowKey(key: string, start: number): Buffer {
  const bytes = Buffer.alloc(Buffer.byteLength(key) + 8);
  bytes.write(key, 0, 'utf8');
  bytes.writeBigInt64BE(BigInt(start), bytes.length - 8);
  return bytes;
}
