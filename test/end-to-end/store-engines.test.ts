// Stores of one task in different engines, each named where it is declared: they work, are read from outside, and come back after a restart.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import type { RunningApp } from '@millrace/runtime';
import { storeEngine } from '@millrace/state';
import { lmdbEngine } from '@millrace/state-lmdb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppRig } from './app-rig.ts';

const rig = new AppRig();
beforeAll(() => rig.start());
afterAll(() => rig.close());

const text = serde.string();
const number = { key: text, value: serde.safeInt() };
const words = topic('words', { key: text, value: text });
const ENGINES = { inRocks: 'rocksdb', inLmdb: 'lmdb', inMemory: 'memory', appWide: undefined } as const;
const counting = topology('counting', (t) => {
  const grouped = t.stream(words).groupByKey();
  for (const [name, engine] of Object.entries(ENGINES))
    grouped.count({ store: store.keyValue(name, { ...number, ...(engine === undefined ? {} : { engine }) }), emit: 'onUpdate' });
  // Buffers of a join, too.
  t.stream(words)
    .join(t.stream(topic('others', { key: text, value: text })), (a, b) => a + b, { within: '1s', grace: 0, engine: 'memory', storeName: 'pairs' })
    .forEach(() => {});
});

async function countOf(app: RunningApp, name: string): Promise<unknown> {
  const at = app.reads.locatePartition(name, app.reads.partitionOf(name, 'k1'));
  return (await app.reads.read(at.taskId, name, { kind: 'entry', key: 'k1' }))[0]?.value;
}

async function settled(app: RunningApp, names: readonly string[], wanted: number): Promise<void> {
  for (const name of names) while ((await countOf(app, name)) !== wanted) await new Promise<void>((resolve) => setImmediate(resolve));
}

test('each store lies where it says, and all are level after a restart', async () => {
  await rig.createTopics(2, 'delete', 'words', 'others');
  const send = (count: number): Promise<void> =>
    rig.send(
      'words',
      Array.from({ length: count }, (_, at) => ({ key: `k${at % 5}`, value: 'x', timestamp: at })),
    );
  await send(50);
  const first = await rig.app(counting, { engine: 'lmdb', disk: 'mixed' });
  await first.drained();
  await settled(first, Object.keys(ENGINES), 10);
  await first.close();

  const tasks = readdirSync(join(rig.folder, 'mixed', 'counting'), { recursive: true }).map(String);
  expect(tasks.some((path) => path.endsWith(join('0_0', 'lmdb')))).toBe(true);
  expect(tasks.some((path) => path.endsWith(join('0_0', 'rocksdb')))).toBe(true);

  await send(25);
  const second = await rig.app(counting, { engine: 'lmdb', disk: 'mixed' });
  await second.drained();
  await settled(second, Object.keys(ENGINES), 15);
  await second.close();
});

test('an engine of one’s own may be a value', async () => {
  await rig.createTopics(1, 'delete', 'own-words');
  const own = storeEngine({ ...lmdbEngine, name: 'own' });
  const built = topology('own-engine', (t) => {
    t.stream(topic('own-words', { key: text, value: text }))
      .groupByKey()
      .count({ store: store.keyValue('counts', { ...number, engine: own }) });
  });
  await rig.send('own-words', [{ key: 'k1', value: 'x', timestamp: 1 }]);
  const app = await rig.app(built, { engine: 'memory', disk: 'own' });
  await app.drained();
  await settled(app, ['counts'], 1);
  await app.close();
  expect(readdirSync(join(rig.folder, 'own', 'own-engine'), { recursive: true }).some((path) => String(path).endsWith(join('0_0', 'lmdb')))).toBe(true);
});

test('what is no engine is refused where it is written', () => {
  expect(() => store.keyValue('none', { ...number, engine: 'leveldb' as never })).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }));
  const rows = store.keyValue('rows', { key: text, value: text, engine: 'lmdb' });
  expect(() => topology('global', (t) => void t.globalTable(words, { store: rows }))).toThrow(/engine/);
});
