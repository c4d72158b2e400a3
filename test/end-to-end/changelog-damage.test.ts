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
const SEED = Number(process.env.MILLRACE_TURNED_SEED ?? 6);
const KEYS = 300;
/** A restore takes half a second. One that stands still is told with its bit, not as a test that ran out of time. */
const RESTORE_MS_MAX = 30_000;
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

interface Turn {
  /** Which batch of the segment: 0 the first, 1 the last. How many there are depends on how fast the machine was. */
  readonly batch: number;
  readonly byte: number;
  readonly bit: number;
}
/** Outside the checksum, and what a reader stood still at, or was led past records by. */
const FIXED: readonly Turn[] = [
  { batch: 0, byte: 0, bit: 7 }, // a first offset below zero
  { batch: 0, byte: 0, bit: 0 }, // one past the log end: "nothing has come yet", for ever
  { batch: 0.5, byte: 0, bit: 0 },
  { batch: 1, byte: 7, bit: 7 },
  { batch: 0.5, byte: 7, bit: 6 },
  { batch: 0.5, byte: 8, bit: 7 }, // lengths
  { batch: 1, byte: 11, bit: 6 },
  { batch: 0.5, byte: 12, bit: 6 }, // a leader epoch
  { batch: 0, byte: 23, bit: 7 }, // a last offset before the first
  { batch: 1, byte: 23, bit: 6 },
];

/** Where each batch of the file begins, and where the file ends. */
function boundsOf(path: string): readonly number[] {
  const bytes = readFileSync(path);
  const bounds = [0];
  for (let at = 0; at < bytes.length; bounds.push(at)) at += 12 + bytes.readInt32BE(at + 8);
  return bounds;
}

function turnBit(path: string, at: number, bit: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, at);
  byte[0] = (byte[0] as number) ^ (1 << bit);
  writeSync(file, byte, 0, 1, at);
  closeSync(file);
}

async function inTime(running: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('STANDS STILL')), RESTORE_MS_MAX);
  });
  await Promise.race([running, late]).finally(() => clearTimeout(timer));
}

/** The rows that an instance without a disk restores, or why it does not. */
async function restored(disk: string): Promise<ReadonlyMap<string, string> | MillraceError> {
  const app = rig.create(flow, { ...options, disk });
  try {
    await app.start();
    await inTime(app.waitFor('running'));
    const rows = await app.reads.read('0_0', 'last', { kind: 'range', from: undefined, to: undefined, prefix: undefined, reverse: false, limit: 10_000 });
    return new Map(rows.map(({ key, value }) => [key as string, value as string]));
  } catch (error) {
    if (MillraceError.is(error)) return error;
    throw error;
  } finally {
    await app.close();
  }
}

test(`${FIXED.length} chosen and ${TURNS} random turned bits, one at a time: each restore is right, or fails and says where`, async () => {
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

  const chance = seededChance(SEED);
  const path = segment();
  const bounds = boundsOf(path);
  const batches = bounds.length - 1;
  const random = Array.from({ length: TURNS }, (): Turn => {
    const at = chance.integer(bounds[batches] as number);
    const batch = bounds.findLastIndex((start) => start <= at);
    return { batch: batch / (batches - 1), byte: at - (bounds[batch] as number), bit: chance.integer(8) };
  });
  let refused = 0;
  let undo = (): void => {};
  for (const [turn, { batch, byte, bit }] of [...FIXED, ...random].entries()) {
    const index = Math.round(batch * (batches - 1));
    const what = `turn ${turn} of seed ${SEED}: bit ${bit} of byte ${byte} of batch ${index} of ${batches}`;
    await rig.stopBroker();
    undo();
    undo = () => turnBit(path, (bounds[index] as number) + byte, bit);
    undo();
    await rig.start();
    const found = await restored(`turn-${turn}`).catch((error: unknown) => error);
    const place = { topic: CHANGELOG, partition: 0, offset: expect.any(Number) };
    if (!MillraceError.is(found)) expect(found, what).toEqual(rows);
    else {
      refused++;
      expect(found, what).toMatchObject({ code: 'ERR_RECORD_BATCH_CORRUPT', where: place });
    }
  }
  expect(refused).toBeGreaterThan(TURNS / 2);
});
