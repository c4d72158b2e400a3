// One random history of a key-value store with `ttl` against a naive model: every read filters by time, nothing ever sweeps.
// With `entriesMax` the model only says what may be there: which row the bound takes first is another test's.
import { serde } from '@millrace/core';
import { expect } from 'vitest';
import { ExpiringStore, keyValueView, type OpenDatabase } from '../index.ts';
import { byBytes, chanceFrom, Host, KEYS, lifeStep, Model, type Row, stored } from './span-life.ts';

const TTL_MS = 1000;

interface State {
  readonly rows: Map<string, Row>;
  streamTime: number;
}

export function runExpiringHistory(seed: number, database: OpenDatabase, steps = 500): void {
  const chance = chanceFrom(seed * 7919);
  const entriesMax = seed % 4 === 0 ? 4 : undefined;
  const model = new Model<State>({ rows: new Map(), streamTime: -1 }, ({ rows, streamTime }) => ({ rows: new Map(rows), streamTime }));
  const options = {
    name: 's',
    key: serde.string(),
    value: serde.json<{ readonly n: number }>(),
    ttlMs: TTL_MS,
    entriesMax,
    database,
    currentTimestamp: () => model.open.streamTime,
    streamTime: () => model.open.streamTime,
    cacheBytesMax: seed % 3 === 0 ? 0 : 1200,
    logEveryWrite: seed % 5 === 0,
  };
  const host = new Host(database, () => new ExpiringStore<string, { readonly n: number }>(options));
  const lives = ({ timestamp }: Row): boolean => timestamp + TTL_MS > model.open.streamTime;
  const rowOf = (key: string): Row | undefined => {
    const row = model.open.rows.get(stored(key));
    return row !== undefined && lives(row) ? row : undefined;
  };
  /** Undefined is allowed where the bound may have taken a row. */
  const check = (found: unknown, wanted: unknown, place: string): void => {
    if (entriesMax === undefined || found !== undefined) expect(found, place).toEqual(wanted);
  };
  for (let step = 0; step < steps; step++) {
    if (chance(4) === 0) model.open.streamTime += chance(chance(10) === 0 ? 3000 : 200);
    if (lifeStep(chance, host, model)) continue;
    const { store } = host;
    const key = KEYS[chance(KEYS.length)] as string;
    const expected = rowOf(key);
    const place = `seed ${seed} step ${step} key ${JSON.stringify(key)}`;
    switch (chance(7)) {
      case 0:
      case 1: {
        const row: Row = { value: { n: step }, timestamp: Math.max(0, model.open.streamTime - chance(1500)) };
        const written = store.write(key, row.value, row.timestamp);
        expect(written, place).toBe(lives(row) ? 'latest' : 'tooOld');
        if (lives(row)) model.open.rows.set(stored(key), row);
        break;
      }
      case 2:
        check(store.delete(key), expected?.value, place);
        model.open.rows.delete(stored(key));
        break;
      case 3:
        store.expire(1 + chance(3));
        break;
      case 4: {
        const reverse = chance(2) === 0;
        const limit = chance(3) === 0 ? chance(4) : undefined;
        const wanted = [...model.open.rows].filter(([, row]) => lives(row)).sort(([left], [right]) => byBytes(left, right));
        if (reverse) wanted.reverse();
        const found = [...store.range({ reverse, limit })];
        const all = wanted.map(([held, row]) => ({ key: held, ...row }));
        if (entriesMax === undefined) expect(found, place).toEqual(all.slice(0, limit ?? all.length));
        else {
          expect(all, place).toEqual(expect.arrayContaining(found));
          expect(found.length, place).toBeLessThanOrEqual(entriesMax);
        }
        break;
      }
      default:
        check(store.entry(key), expected === undefined ? undefined : { key: stored(key), ...expected }, place);
    }
  }
  checkEnd(seed, database, host, () => new Map([...model.open.rows].filter(([, row]) => lives(row))), entriesMax !== undefined);
}

/** All is swept, committed and settled: disk, changelog and views hold what lives, and nothing else. */
function checkEnd(
  seed: number,
  database: OpenDatabase,
  host: Host<ExpiringStore<string, { readonly n: number }>>,
  living: () => ReadonlyMap<string, Row>,
  isBounded: boolean,
): void {
  while (host.store.expire(2) > 0);
  if (host.isClosing) host.commit();
  host.close();
  host.commit();
  host.settle();
  const fold = new Map<string, Row>();
  for (const { key, value, timestamp } of host.log.committed) {
    if (value === null) fold.delete(key.toString('utf8'));
    else fold.set(key.toString('utf8'), { value: JSON.parse(value.toString('utf8')) as { n: number }, timestamp });
  }
  const wanted = [...living()];
  if (isBounded) expect(wanted, `seed ${seed}`).toEqual(expect.arrayContaining([...fold]));
  else expect(Object.fromEntries(fold), `seed ${seed}`).toEqual(Object.fromEntries(wanted));
  const view = keyValueView<string, { readonly n: number }>(database, {
    name: 's',
    key: serde.string(),
    value: serde.json<{ readonly n: number }>(),
    ttlMs: TTL_MS,
  });
  const seen = new Map([...view.range()].map(({ key, value, timestamp }) => [key, { value, timestamp }]));
  expect(Object.fromEntries(seen), `seed ${seed}`).toEqual(Object.fromEntries(fold));
}
