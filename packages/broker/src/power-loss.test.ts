// Power losses under load, from seeds: a whole broker with fsync on a disk that loses, keeps or cuts each unsynced write by itself and
// forgets unsynced names. Whatever was acknowledged must be there afterwards, once; so must be whatever somebody has read who looked on, and where
// the group stood when he asked. Transactions are whole or not there.
import { APIS } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { GROUP, PowerHistory } from './testing/power-history.ts';
import { PowerReader, recordsIn } from './testing/power-reader.ts';
import { LOST, PowerWorld } from './testing/power-world.ts';

const SEEDS = Number(process.env.MILLRACE_POWER_SEEDS ?? 25);
const FIRST = Number(process.env.MILLRACE_POWER_FROM ?? 1);
const LIVES = 5;
const STEPS_MAX = 80;
const CHANGES_MAX = 1_200;

test(`${SEEDS} seeds of ${LIVES} power losses each: with fsync nothing acknowledged and nothing read is lost and no transaction is torn`, async () => {
  let acknowledged = 0;
  let committed = 0;
  let read = 0;
  let losses = 0;
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const world = new PowerWorld(seed);
    const history = new PowerHistory(world);
    const reader = new PowerReader(history);
    for (let life = 0; life < LIVES; life++) {
      await world.begin(1 + world.chance.integer(CHANGES_MAX), (ask) => reader.watch(ask));
      for (let step = 0; step < STEPS_MAX && !world.off; step++) await history.step();
      if (world.off) losses += 1;
      await world.close();
      history.endLife();
    }
    await world.begin(Number.POSITIVE_INFINITY);
    expect([...history.findings, ...reader.findings, ...(await differences(world, history, reader))], `seed ${seed}`).toEqual([]);
    await world.close();
    acknowledged += history.acknowledged.size;
    read += reader.seen[0].size;
    committed += history.transactions.filter(({ outcome }) => outcome === 'committed').length;
  }
  expect(losses).toBeGreaterThan(SEEDS);
  expect(acknowledged).toBeGreaterThan(SEEDS * 5);
  expect(committed).toBeGreaterThan(SEEDS / 10);
  expect(read).toBeGreaterThan(SEEDS * 5);
}, 600_000);

/** What the broker has against what it has said. */
async function differences(world: PowerWorld, history: PowerHistory, reader: PowerReader): Promise<string[]> {
  const wrong: string[] = [];
  const all = new Map<string, string>();
  const visible = new Map<string, string>();
  const starts = new Map<string, number>();
  for (const [topic, partitions] of history.live)
    for (let partition = 0; partition < partitions; partition++) {
      const place = `${topic}-${partition}`;
      const logStart = await readInto(world, topic, partition, 0, all, wrong);
      await readInto(world, topic, partition, 1, visible, wrong);
      starts.set(place, logStart);
      if (logStart < (history.logStarts.get(place) ?? 0))
        wrong.push(`${place} starts at ${logStart}; records below ${history.logStarts.get(place)} were deleted`);
    }
  for (const [value, { topic, partition, offset }] of history.acknowledged)
    if (all.get(value) !== `${topic}-${partition}@${offset}`)
      wrong.push(`${value} was acknowledged at ${topic}-${partition}@${offset}, is at ${all.get(value)}`);
  for (const [isolation, found] of [all, visible].entries())
    for (const [value, place] of reader.seen[isolation as 0 | 1]) {
      const [partition, offset] = place.split('@') as [string, string];
      const deleted = Number(offset) < (starts.get(partition) ?? Number.POSITIVE_INFINITY); // so is what was in a topic that is gone
      if (!deleted && found.get(value) !== place) wrong.push(`${value} was read at ${place}, is at ${found.get(value)} (isolation level ${isolation})`);
    }
  for (const [at, { values, outcome }] of history.transactions.entries()) {
    const seen = values.filter((value) => visible.has(value)).length;
    if (outcome === 'committed' && seen !== values.length) wrong.push(`transaction ${at} was committed: ${seen} of ${values.length} records are visible`);
    if (outcome === 'aborted' && seen > 0) wrong.push(`transaction ${at} was aborted: ${seen} records are visible`);
    if (outcome === 'unknown' && history.gone.size === 0 && history.logStarts.size === 0 && seen > 0 && seen !== values.length)
      wrong.push(`transaction ${at} is torn: ${seen} of ${values.length} records are visible`);
  }
  for (const [key, number] of history.table) {
    const newest = all.get(`newest of ${key}`);
    if (newest === undefined || Number(newest.slice(1)) < number) wrong.push(`${key} of the table is ${newest}; v${number} was acknowledged`);
  }
  const { topics } = answered(await world.ask(APIS.metadata, 9, { topics: null }));
  for (const { name } of topics) if (name !== null && history.gone.has(name) && !history.live.has(name)) wrong.push(`${name} was deleted, and is there`);
  await checkOffsets(world, history, reader, wrong);
  return wrong;
}

/** Adds value → place of one partition; its log start. */
async function readInto(
  world: PowerWorld,
  topic: string,
  partition: number,
  isolationLevel: number,
  into: Map<string, string>,
  wrong: string[],
): Promise<number> {
  let offset = 0;
  for (;;) {
    const body = { maxWaitMs: 0, minBytes: 0, maxBytes: 10_000_000, isolationLevel };
    const asked = { topic, partitions: [{ partition, fetchOffset: offset, partitionMaxBytes: 10_000_000 }] };
    const part = answered(await world.ask(APIS.fetch, 12, { ...body, topics: [asked] })).responses[0]?.partitions[0];
    if (part === undefined || (part.errorCode !== 0 && part.errorCode !== 1)) {
      wrong.push(`${topic}-${partition} cannot be read at ${offset}: ${part?.errorCode}`);
      return -1;
    }
    if (part.errorCode === 1) {
      const asks = { replicaId: -1, topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: -2 }] }] };
      const start = answered(await world.ask(APIS.listOffsets, 6, asks)).topics[0]?.partitions[0]?.offset ?? -1;
      if (start <= offset) {
        wrong.push(`${topic}-${partition} is out of range at ${offset}, and begins at ${start}`);
        return -1;
      }
      offset = start;
      continue;
    }
    const { shown, nextOffset } = recordsIn(part);
    for (const { key, value, offset: at } of shown) {
      if (into.has(value)) wrong.push(`${value} is at ${into.get(value)} and at ${topic}-${partition}@${at}`);
      into.set(value, `${topic}-${partition}@${at}`);
      if (key !== undefined) into.set(`newest of ${key}`, value);
    }
    if (nextOffset === undefined) return part.logStartOffset;
    offset = nextOffset;
  }
}

async function checkOffsets(world: PowerWorld, history: PowerHistory, reader: PowerReader, wrong: string[]): Promise<void> {
  const topics = [...history.live.keys()].map((name) => ({ name, partitionIndexes: [0] }));
  const answer = answered(await world.ask(APIS.offsetFetch, 7, { groupId: GROUP, topics, requireStable: true }));
  for (const { name, partitions } of answer.topics) {
    const found = partitions[0]?.committedOffset ?? -1;
    const least = Math.max(history.offsets.get(name) ?? -1, reader.offsets.get(name) ?? -1);
    if (found < least || found > history.groupOffset.asked) wrong.push(`the group stands at ${found} of ${name}; ${least} was acknowledged or told`);
  }
}

function answered<T>(answer: T | typeof LOST): T {
  if (answer === LOST) throw new Error('the last life has power');
  return answer;
}
