// With `fsync: 'perBatchGroup'` nobody is shown what a power loss could still take. The device of these tests is slow: a sync ends when told to.
import { memoryDisk } from '@millrace/core';
import { APIS, ERROR_CODES } from '@millrace/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { type Broker, startBroker } from './broker.ts';
import { clientBatch } from './testing/log-fixture.ts';
import { RawClient, testPorts } from './testing/raw-client.ts';

const started: Broker[] = [];
const releases: (() => void)[] = [];
afterEach(async () => {
  for (const release of releases.splice(0)) release();
  for (const broker of started.splice(0)) await broker.close();
});
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

/** A disk whose syncs wait, from `hold` on, until `release`. */
function heldDisk() {
  const disk = memoryDisk();
  let release = (): void => {};
  return {
    disk,
    hold: (): void => {
      const held = new Promise<void>((resolve) => (release = resolve));
      disk.syncsTake(() => held);
      releases.push(release);
    },
    release: (): void => {
      disk.syncsTake(() => Promise.resolve());
      release();
    },
  };
}

async function begin(disk = heldDisk(), fsync: 'never' | 'perBatchGroup' = 'perBatchGroup') {
  const ports = testPorts(disk.disk);
  const broker = await startBroker({ dataDir: '/data', fsync }, ports);
  started.push(broker);
  const connect = () => RawClient.connect(ports, broker.port);
  return { ...disk, client: await connect(), reader: await connect() };
}
type Rig = Awaited<ReturnType<typeof begin>>;

const topic = { name: 't', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
const createTopic = ({ client }: Rig) => client.ask(APIS.createTopics, 7, { topics: [topic] });
const send = ({ client }: Rig, timestamp = 1_000, acks = -1) =>
  client.ask(APIS.produce, 9, {
    acks,
    timeoutMs: 1_000,
    topicData: [{ name: 't', partitionData: [{ index: 0, records: clientBatch({ records: [['k', 'v']], timestamp }) }] }],
  });
async function fetch({ reader }: Rig, fetchOffset: number, extra: { readonly isolationLevel?: number; readonly maxWaitMs?: number } = {}) {
  const topics = [{ topic: 't', partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1_000_000 }] }];
  const { responses } = await reader.ask(APIS.fetch, 12, { maxWaitMs: 0, minBytes: 1, maxBytes: 1_000_000, isolationLevel: 0, topics, ...extra });
  const part = responses[0]?.partitions[0];
  return { errorCode: part?.errorCode, bytes: part?.records?.length ?? 0, highWatermark: part?.highWatermark, lastStable: part?.lastStableOffset };
}
async function offsetAt({ reader }: Rig, timestamp: number, isolationLevel = 0): Promise<number | undefined> {
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, timestamp }] }];
  const answer = await reader.ask(APIS.listOffsets, 7, { replicaId: -1, isolationLevel, topics });
  return answer.topics[0]?.partitions[0]?.offset;
}
async function deleteTo({ reader }: Rig, offset: number) {
  const answer = await reader.ask(APIS.deleteRecords, 2, { timeoutMs: 1_000, topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset }] }] });
  return answer.topics[0]?.partitions[0];
}

/** One batch is on the device, and the sync of the next one is held: times 1,000 and 2,000. */
async function beginWithOneHeld(): Promise<Rig> {
  const rig = await begin();
  await createTopic(rig);
  await send(rig, 1_000);
  rig.hold();
  void send(rig, 2_000);
  await turn();
  return rig;
}

describe('a batch whose sync has not ended', () => {
  test('is not fetched; a fetch that waits gets it when the sync ends', async () => {
    const rig = await beginWithOneHeld();
    expect(await fetch(rig, 0)).toMatchObject({ errorCode: 0, highWatermark: 1, lastStable: 1 });
    expect(await fetch(rig, 1)).toEqual({ errorCode: 0, bytes: 0, highWatermark: 1, lastStable: 1 });
    let answered = false;
    const waiting = fetch(rig, 1, { maxWaitMs: 60_000 }).then((part) => {
      answered = true;
      return part;
    });
    await turn();
    expect(answered).toBe(false);
    rig.release();
    expect(await waiting).toMatchObject({ errorCode: 0, highWatermark: 2, lastStable: 2 });
    expect((await waiting).bytes).toBeGreaterThan(0);
  });

  test('is not told of by ListOffsets: latest, latest stable, by time, largest time', async () => {
    const rig = await beginWithOneHeld();
    const told = async (): Promise<unknown[]> => [await offsetAt(rig, -1), await offsetAt(rig, -1, 1), await offsetAt(rig, 1_500), await offsetAt(rig, -3)];
    expect(await told()).toEqual([1, 1, -1, -1]);
    rig.release();
    await turn();
    expect(await told()).toEqual([2, 2, 1, 1]);
  });

  test('cannot be deleted, and "all" does not mean it', async () => {
    const rig = await beginWithOneHeld();
    const answers = [deleteTo(rig, 2), deleteTo(rig, -1)];
    await turn();
    rig.release();
    expect(await answers[0]).toMatchObject({ errorCode: ERROR_CODES.OFFSET_OUT_OF_RANGE });
    expect(await answers[1]).toMatchObject({ errorCode: 0, lowWatermark: 1 });
  });

  test('is seen though nobody waits for it: acks=0', async () => {
    const rig = await begin();
    await createTopic(rig);
    rig.hold();
    void send(rig, 1_000, 0);
    await turn();
    expect((await fetch(rig, 0)).bytes).toBe(0);
    rig.release();
    expect((await fetch(rig, 0, { maxWaitMs: 60_000 })).bytes).toBeGreaterThan(0);
  });

  test("is seen at once with 'never'", async () => {
    const rig = await begin(heldDisk(), 'never');
    await createTopic(rig);
    rig.hold();
    await send(rig);
    expect(await fetch(rig, 0)).toMatchObject({ highWatermark: 1, lastStable: 1 });
    expect(await offsetAt(rig, -1)).toBe(1);
  });

  test('is never seen when the device has refused it', async () => {
    const rig = await begin();
    await createTopic(rig);
    rig.disk.syncsTake(() => Promise.reject(new Error('EIO')));
    expect((await send(rig)).responses[0]?.partitionResponses[0]?.errorCode).toBe(ERROR_CODES.KAFKA_STORAGE_ERROR);
    await send(rig);
    expect(await fetch(rig, 0)).toEqual({ errorCode: 0, bytes: 0, highWatermark: 0, lastStable: 0 });
    started.pop();
  });
});

test('the end of a transaction is seen when its marker is on the device, and the offsets in it are told of no earlier', async () => {
  const rig = await begin();
  const { client, reader } = rig;
  await createTopic(rig);
  const { producerId, producerEpoch } = await client.ask(APIS.initProducerId, 4, { transactionalId: 'x', transactionTimeoutMs: 60_000 });
  const me = { transactionalId: 'x', producerId, producerEpoch };
  await client.ask(APIS.addPartitionsToTxn, 3, { ...me, topics: [{ name: 't', partitions: [0] }] });
  await client.ask(APIS.addOffsetsToTxn, 3, { ...me, groupId: 'g' });
  const records = clientBatch({ records: [['k', 'v']], timestamp: Date.now(), producerId, epoch: producerEpoch, transactional: true });
  await client.ask(APIS.produce, 9, { transactionalId: 'x', acks: -1, timeoutMs: 1_000, topicData: [{ name: 't', partitionData: [{ index: 0, records }] }] });
  const committed = { partitionIndex: 0, committedOffset: 7, committedLeaderEpoch: -1, committedMetadata: '' };
  const offsets = { groupId: 'g', generationId: -1, memberId: '', groupInstanceId: null, topics: [{ name: 't', partitions: [committed] }] };
  await client.ask(APIS.txnOffsetCommit, 3, { ...me, ...offsets });
  // The second sync from here on is that of the markers: the first is that of the Prepare record.
  let syncs = 0;
  const ends: (() => void)[] = [];
  rig.disk.syncsTake(() => (syncs++ === 0 ? Promise.resolve() : new Promise((resolve) => ends.push(resolve))));
  releases.push(() => {
    for (const end of ends) end();
  });
  const ended = client.ask(APIS.endTxn, 3, { ...me, committed: true });
  await turn();
  expect(ends.length).toBe(2); // data and offsets
  expect(await fetch(rig, 0, { isolationLevel: 1 })).toMatchObject({ bytes: 0, highWatermark: 1, lastStable: 0 });
  const asked = { groups: [{ groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }] }], requireStable: true };
  let told: number | undefined;
  const telling = reader.ask(APIS.offsetFetch, 8, asked).then(({ groups }) => (told = groups[0]?.topics[0]?.partitions[0]?.committedOffset));
  await turn();
  expect(told).toBeUndefined();
  rig.disk.syncsTake(() => Promise.resolve());
  for (const end of ends.splice(0)) end();
  expect((await ended).errorCode).toBe(0);
  expect(await telling).toBe(7);
  expect(await fetch(rig, 0, { isolationLevel: 1 })).toMatchObject({ highWatermark: 2, lastStable: 2 });
});

describe('after a kill', () => {
  test('what is found is on the device before anybody reads it', async () => {
    const disk = heldDisk();
    const rig = await begin(disk);
    await createTopic(rig);
    rig.hold();
    void send(rig);
    await turn();
    started.pop();
    disk.disk.kill();
    disk.release();
    const again = await begin(disk);
    expect(await fetch(again, 0)).toMatchObject({ highWatermark: 1 });
    started.pop();
    disk.disk.crash('drop');
    expect(await fetch(await begin(disk), 0)).toMatchObject({ highWatermark: 1 });
  });

  test('a device that refuses it ends the start', async () => {
    const disk = heldDisk();
    const rig = await begin(disk);
    await createTopic(rig);
    await send(rig);
    started.pop();
    disk.disk.kill();
    disk.disk.syncsTake(() => Promise.reject(new Error('EIO')));
    await expect(begin(disk)).rejects.toThrow('EIO');
    disk.release();
    expect(await fetch(await begin(disk), 0)).toMatchObject({ highWatermark: 1 });
  });

  test('records of a time without fsync are on the device too, though the broker was closed since', async () => {
    const disk = heldDisk();
    const rig = await begin(disk, 'never');
    await createTopic(rig);
    await send(rig);
    started.pop();
    disk.disk.kill();
    await begin(disk, 'never');
    await started.pop()?.close();
    const again = await begin(disk);
    expect(await fetch(again, 0)).toMatchObject({ highWatermark: 1 });
    started.pop();
    disk.disk.crash('drop');
    expect(await fetch(await begin(disk), 0)).toMatchObject({ highWatermark: 1 });
  });
});
