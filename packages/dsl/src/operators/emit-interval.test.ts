import { serde } from '@millrace/core';
import { META_STORE, openMemoryDatabase, StagedKeyValueStore } from '@millrace/state';
import type { NodeContext } from '@millrace/topology';
import { expect, test } from 'vitest';
import { FinalWindows } from './final-windows.ts';
import { UnmatchedRows } from './unmatched-rows.ts';
import { unmatchedKeySerde, unmatchedValuesSerde } from './unmatched-serdes.ts';

const HOUR = 3_600_000;

test('final windows are looked for again at once when the wall clock is set back', () => {
  let now = 10 * HOUR;
  const context = { wallClockMs: () => now, emitIntervalMs: 1000, progress: () => undefined, setProgress() {} } as unknown as NodeContext;
  const given: number[] = [];
  const finals = new FinalWindows(context, 'st', {
    range: (last, closesAt) => [last ?? 0, closesAt],
    releasedBelow: (closesAt) => closesAt,
    give: (_from, to) => void given.push(to),
    release() {},
  });
  finals.advance(100);
  now -= HOUR;
  finals.advance(200);
  expect(given).toEqual([100, 200]);
});

test('rows without partner are looked for again at once when the wall clock is set back', () => {
  let now = 10 * HOUR;
  const store = new StagedKeyValueStore({
    name: 's',
    key: unmatchedKeySerde(serde.string() as never),
    value: unmatchedValuesSerde(serde.string() as never, serde.string() as never),
    database: openMemoryDatabase({ directory: '', stores: [META_STORE, 's'], cacheBytes: 0 }),
    currentTimestamp: () => 0,
  });
  const context = { wallClockMs: () => now, emitIntervalMs: 1000, record: { timestamp: 0 } } as unknown as NodeContext;
  const rows = new UnmatchedRows(store as never, { beforeMs: 10, afterMs: 10, graceMs: 0 } as never, context);
  const given: unknown[] = [];
  const look = (at: number): void => {
    rows.observedTime = at;
    rows.giveClosed(10, (key) => void given.push(key));
  };
  rows.keep('a', '1', true, 0);
  look(100);
  now -= HOUR;
  rows.keep('b', '2', true, 100);
  look(200);
  expect(given).toEqual(['a', 'b']);
});
