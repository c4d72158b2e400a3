// The life of a session store, drawn from a seed, against a folded list of writes with retention. For every engine.
import { serde } from '@millrace/core';
import { expect } from 'vitest';
import { type OpenDatabase, StagedSessionStore, sessionView } from '../index.ts';
import { chanceFrom, Host, KEYS, lifeStep, Model, type Row, stored } from './span-life.ts';

const RETENTION = 150_000;

interface SessionState {
  readonly rows: Map<string, Row>;
  observed: number;
}

export function runSessionHistory(seed: number, database: OpenDatabase): void {
  const chance = chanceFrom(seed * 15_485_863);
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
  const model = new Model<SessionState>({ rows: new Map(), observed: -1 }, (state) => ({ rows: new Map(state.rows), observed: state.observed }));
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
}
