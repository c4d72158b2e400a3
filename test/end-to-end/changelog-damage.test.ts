// A changelog that has rotted on the broker's disk (fault row S6): bits of its log turn while the broker is down. A store that has to be restored
// from it is right, or is not there and the error names topic, partition and offset. It is never wrong.
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError, seededChance, serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppRig } from './app-rig.ts';

/** Under a clean stop: after an unclean one the broker scans its newest segment and cuts it where it is damaged. */
const TURNS = Number(process.env.MILLRACE_TURNED_BITS ?? 8);
const KEYS = 300;
const CHANGELOG = 'rot-last-changelog';

const rig = new AppRig();
beforeAll(() => rig.start());
afterAll(() => rig.close());

const text = { key: serde.string(), value: serde.string() };
const last = store.keyValue('last', text);
const flow = topology('rot', (t) => {
  t.stream(topic('in', text))
    .groupByKey()
    .reduce((_, value) => value, { store: last })
    .toStream()
    .to(topic('out', text));
});
const options = { engine: 'memory', internalTopics: { partitions: 1 }, errors: { onWorkerFailure: 'stopInstance' }, tuning: { taskTimeout: 100 } } as const;

/** The largest segment of the changelog's only partition. */
function segment(): string {
  const topics = join(rig.folder, 'broker', 'topics');
  const ours = readdirSync(topics).find((id) => readFileSync(join(topics, id, 'topic.json'), 'utf8').includes(CHANGELOG)) as string;
  const partition = join(topics, ours, '0');
  const logs = readdirSync(partition).filter((name) => name.endsWith('.log'));
  const [largest] = logs.map((name) => join(partition, name)).sort((left, right) => statSync(right).size - statSync(left).size);
  return largest as string;
}

function turnBit(path: string, at: number, bit: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, at);
  byte[0] = (byte[0] as number) ^ (1 << bit);
  writeSync(file, byte, 0, 1, at);
  closeSync(file);
}

/** The rows that an instance without a disk restores, or why it does not. */
async function restored(disk: string): Promise<ReadonlyMap<string, string> | MillraceError> {
  const app = rig.create(flow, { ...options, disk });
  try {
    await app.start();
    await app.waitFor('running');
    const rows = await app.reads.read('0_0', 'last', { kind: 'range', from: undefined, to: undefined, prefix: undefined, reverse: false, limit: 10_000 });
    return new Map(rows.map(({ key, value }) => [key as string, value as string]));
  } catch (error) {
    if (MillraceError.is(error)) return error;
    throw error;
  } finally {
    await app.close();
  }
}

test(`${TURNS} turned bits, one at a time: each restore is right, or fails and says where`, async () => {
  await rig.createTopicsWith(1, { 'retention.ms': '-1' }, 'in', 'out');
  const rows = new Map(Array.from({ length: KEYS }, (_, at) => [`key-${at}`, `value-${at}`]));
  const app = await rig.app(flow, { ...options, disk: 'first' });
  for (let from = 0; from < KEYS; from += 30)
    await rig.send(
      'in',
      [...rows].slice(from, from + 30).map(([key, value]) => ({ key, value, timestamp: from })),
    );
  await app.drained();
  await app.close();
  expect(await restored('whole')).toEqual(rows);

  const chance = seededChance(6);
  const path = segment();
  let refused = 0;
  let undo = (): void => {};
  for (let turn = 0; turn < TURNS; turn++) {
    const [at, bit] = [chance.integer(statSync(path).size), chance.integer(8)];
    await rig.stopBroker();
    undo();
    undo = () => turnBit(path, at, bit);
    undo();
    await rig.start();
    const found = await restored(`turn-${turn}`);
    const place = { topic: CHANGELOG, partition: 0, offset: expect.any(Number) };
    if (!MillraceError.is(found)) expect(found, `bit ${bit} at ${at}`).toEqual(rows);
    else {
      refused++;
      expect(found, `bit ${bit} at ${at}`).toMatchObject({ code: 'ERR_RECORD_BATCH_CORRUPT', where: place });
    }
  }
  expect(refused).toBeGreaterThan(TURNS / 2);
});
