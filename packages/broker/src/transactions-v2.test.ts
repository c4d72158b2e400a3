// Transactions v2 (KIP-890) as a client meets them: Produce 12 and TxnOffsetCommit 5 join by themselves, EndTxn 5 hands out the next epoch.
import { memoryDisk } from '@millrace/core';
import { APIS, ERROR_CODES, NO_UUID, type ResponseBody, readBatches } from '@millrace/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { type Broker, startBroker } from './broker.ts';
import type { BrokerOptions } from './options.ts';
import { clientBatch } from './testing/log-fixture.ts';
import { RawClient, testPorts } from './testing/raw-client.ts';

const E = ERROR_CODES;
const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

type Identity = Pick<ResponseBody<typeof APIS.endTxn>, 'producerId' | 'producerEpoch'>;

async function start(options: Partial<BrokerOptions> = {}, disk = memoryDisk()) {
  const ports = testPorts(disk);
  const broker: Broker = await startBroker({ dataDir: '/data', ...options }, ports);
  const client = await RawClient.connect(ports, broker.port);
  opened.push({ close: () => broker.close().catch(() => {}) }, client);
  await client.ask(APIS.createTopics, 7, { topics: [{ name: 't', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }] });
  const { topics } = await client.ask(APIS.metadata, 12, { topics: [{ name: 't' }] });
  const topicId = topics[0]?.topicId ?? NO_UUID;
  const batchOf = ({ producerId, producerEpoch }: Identity, sequence: number) =>
    clientBatch({ records: [['k', 'v']], timestamp: Date.now(), producerId, epoch: producerEpoch, sequence, transactional: true });
  const rig = {
    broker,
    client,
    disk,
    init: async (transactionalId = 'x', current: Identity = { producerId: -1, producerEpoch: -1 }, transactionTimeoutMs = 60_000) => {
      for (;;) {
        const answer = await client.ask(APIS.initProducerId, 5, { transactionalId, transactionTimeoutMs, ...current });
        if (answer.errorCode !== E.CONCURRENT_TRANSACTIONS) return answer;
      }
    },
    send: async (who: Identity, sequence: number, version = 13, partition = 0) => {
      const topicData = [{ name: 't', topicId, partitionData: [{ index: partition, records: batchOf(who, sequence) }] }];
      const { responses } = await client.ask(APIS.produce, version, { transactionalId: 'x', acks: -1, timeoutMs: 1_000, topicData });
      return responses[0]?.partitionResponses[0]?.errorCode;
    },
    offsets: async (who: Identity, committedOffset: number, version = 5) => {
      const partitions = [{ partitionIndex: 0, committedOffset, committedMetadata: '' }];
      const body = { transactionalId: 'x', groupId: 'g', ...who, topics: [{ name: 't', partitions }] };
      return (await client.ask(APIS.txnOffsetCommit, version, body)).topics[0]?.partitions[0]?.errorCode;
    },
    end: (who: Identity, committed: boolean, version = 5) => client.ask(APIS.endTxn, version, { transactionalId: 'x', ...who, committed }),
    committedOffset: async () => {
      const groups = [{ groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }] }];
      return (await client.ask(APIS.offsetFetch, 8, { groups, requireStable: true })).groups[0]?.topics[0]?.partitions[0]?.committedOffset;
    },
    read: async (isolationLevel: number) => {
      const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }];
      const { responses } = await client.ask(APIS.fetch, 12, { maxWaitMs: 0, minBytes: 0, isolationLevel, topics: [{ topic: 't', partitions }] });
      const found = responses[0]?.partitions[0];
      const bytes = found?.records ?? Buffer.alloc(0);
      const batches = readBatches(bytes, 0, bytes.length, { checkCrc: true });
      return { lastStable: found?.lastStableOffset, epochs: batches.map(({ producerEpoch, control }) => `${control ? 'marker' : 'data'} ${producerEpoch}`) };
    },
  };
  return rig;
}

describe.each(['never', 'perBatchGroup'] as const)('with fsync %s', (fsync) => {
  test('data and offsets join by themselves, and each end brings the next epoch, which the marker carries', async () => {
    const { init, send, offsets, end, read, committedOffset } = await start({ fsync });
    const first = await init();
    expect([await send(first, 0, 12), await send(first, 1, 12), await offsets(first, 7)]).toEqual([0, 0, 0]);
    expect((await read(1)).lastStable).toBe(0);
    const second = await end(first, true);
    expect(second).toMatchObject({ errorCode: 0, producerId: first.producerId, producerEpoch: 1 });
    expect(await committedOffset()).toBe(7);
    expect([await send(second, 0), await offsets(second, 8)]).toEqual([0, 0]);
    expect(await end(second, false)).toMatchObject({ errorCode: 0, producerEpoch: 2 });
    expect(await committedOffset()).toBe(7);
    expect((await read(0)).epochs).toEqual(['data 0', 'data 0', 'marker 1', 'data 1', 'marker 2']);
    expect((await read(1)).lastStable).toBe(5);
  });

  test('batches sent behind one another without waiting keep their order', async () => {
    const { init, send } = await start({ fsync });
    const me = await init();
    const sent = [0, 1, 2, 3, 4].map((sequence) => send(me, sequence, 12, sequence < 3 ? 0 : 1));
    expect(await Promise.all(sent)).toEqual([0, 0, 0, E.OUT_OF_ORDER_SEQUENCE_NUMBER, E.OUT_OF_ORDER_SEQUENCE_NUMBER]);
  });
});

test('an end whose answer was lost is answered again; with the other outcome it is invalid', async () => {
  const { init, send, end } = await start();
  const first = await init();
  await send(first, 0);
  const answer = await end(first, true);
  expect(await end(first, true)).toEqual(answer);
  expect((await end(first, false)).errorCode).toBe(E.INVALID_TXN_STATE);
  await send(answer, 0);
  expect((await end(first, true)).errorCode).toBe(E.PRODUCER_FENCED);
  expect((await end(answer, true)).errorCode).toBe(0);
});

test('what comes late from a transaction that has ended is refused, whatever version it comes in', async () => {
  const { init, send, offsets, end } = await start();
  const first = await init();
  await send(first, 0);
  await end(first, true);
  expect([await send(first, 1), await send(first, 1, 11), await offsets(first, 1)]).toEqual([
    E.INVALID_PRODUCER_EPOCH,
    E.INVALID_PRODUCER_EPOCH,
    E.INVALID_PRODUCER_EPOCH,
  ]);
});

test('a producer whose transaction took too long is fenced until it aborts, and then goes on under the next epoch', async () => {
  const { client, init, send, offsets, end } = await start({ transactions: { sweepIntervalMs: 10 } });
  const me = await init('x', { producerId: -1, producerEpoch: -1 }, 20);
  await send(me, 0);
  const state = async () => (await client.ask(APIS.describeTransactions, 0, { transactionalIds: ['x'] })).transactionStates[0]?.transactionState;
  while ((await state()) !== 'CompleteAbort');
  expect([await send(me, 1), await offsets(me, 1), (await end(me, true)).errorCode]).toEqual([
    E.INVALID_PRODUCER_EPOCH,
    E.INVALID_PRODUCER_EPOCH,
    E.INVALID_TXN_STATE,
  ]);
  const next = await end(me, false);
  expect(next).toMatchObject({ errorCode: 0, producerEpoch: me.producerEpoch + 1 });
  expect(await send(next, 0)).toBe(0);
});

test('initialised again while open: two epochs on, and the old producer is out', async () => {
  const { init, send, end } = await start();
  const old = await init();
  await send(old, 0);
  const next = await init();
  expect(next).toMatchObject({ producerId: old.producerId, producerEpoch: old.producerEpoch + 2 });
  const answers = [await send(old, 1), (await end(old, true)).errorCode, (await end(old, false)).errorCode];
  expect(answers).toEqual([E.INVALID_PRODUCER_EPOCH, E.PRODUCER_FENCED, E.PRODUCER_FENCED]);
  expect([await send(next, 0), (await end(next, true)).errorCode]).toEqual([0, 0]);
});

test('nothing open: an abort bumps the epoch all the same, a commit is invalid', async () => {
  const { init, end } = await start();
  const first = await init();
  expect((await end(first, true)).errorCode).toBe(E.INVALID_TXN_STATE);
  const second = await end(first, false);
  expect(second).toMatchObject({ errorCode: 0, producerEpoch: 1 });
  expect(await end(first, false)).toEqual(second);
  expect(await end(second, false)).toMatchObject({ errorCode: 0, producerEpoch: 2 });
});

test('a batch that must have been added before says so in the words of its version', async () => {
  const { init, send } = await start();
  const me = await init();
  expect([await send(me, 0, 10), await send(me, 0, 11), await send(me, 0, 12)]).toEqual([E.INVALID_TXN_STATE, E.TRANSACTION_ABORTABLE, 0]);
});

test('a producer nobody knows, and a topic id nobody knows', async () => {
  const { client, send } = await start();
  expect(await send({ producerId: 99, producerEpoch: 0 }, 0)).toBe(E.INVALID_PRODUCER_ID_MAPPING);
  const records = clientBatch({ records: [['k', 'v']] });
  const topicData = [{ topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitionData: [{ index: 0, records }] }];
  const { responses } = await client.ask(APIS.produce, 13, { acks: -1, timeoutMs: 1, topicData });
  expect(responses[0]).toMatchObject({ topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitionResponses: [{ errorCode: E.UNKNOWN_TOPIC_ID }] });
});

test('old and new forms may follow one another under one id', async () => {
  const { client, init, send, end, read } = await start();
  const me = await init();
  const topics = [{ name: 't', partitions: [0] }];
  await client.ask(APIS.addPartitionsToTxn, 3, { transactionalId: 'x', ...me, topics });
  expect([await send(me, 0, 11), (await end(me, true, 4)).errorCode]).toEqual([0, 0]);
  expect(await send(me, 1, 12)).toBe(0);
  const next = await end(me, true);
  expect(next).toMatchObject({ errorCode: 0, producerEpoch: 1 });
  await client.ask(APIS.addPartitionsToTxn, 3, { transactionalId: 'x', ...next, topics });
  expect([await send(next, 0, 11), (await end(next, false, 4)).errorCode]).toEqual([0, 0]);
  expect((await read(0)).epochs).toEqual(['data 0', 'marker 0', 'data 0', 'marker 1', 'data 1', 'marker 1']);
});

test('while markers are being written the next transaction is told to come again', async () => {
  const { init, send, offsets, end } = await start({ transactions: { markerDelayMs: 200 } });
  const first = await init();
  await send(first, 0);
  const second = await end(first, true);
  expect([await send(second, 0), await offsets(second, 1)]).toEqual([E.CONCURRENT_TRANSACTIONS, E.CONCURRENT_TRANSACTIONS]);
  expect((await end(first, true)).errorCode).toBe(E.CONCURRENT_TRANSACTIONS);
  let code: number | undefined = E.CONCURRENT_TRANSACTIONS;
  while (code === E.CONCURRENT_TRANSACTIONS) code = await send(second, 0);
  expect(code).toBe(0);
});

test('a transaction that was decided before a kill is completed at the start, under the epoch that was promised', async () => {
  const killed = await start({ transactions: { markerDelayMs: 60_000 } });
  const first = await killed.init();
  await killed.send(first, 0);
  const second = await killed.end(first, true);
  killed.disk.crash('keep');
  const { send, read } = await start({}, killed.disk);
  let code: number | undefined = E.CONCURRENT_TRANSACTIONS;
  while (code === E.CONCURRENT_TRANSACTIONS) code = await send(second, 0);
  expect(code).toBe(0);
  expect((await read(0)).epochs).toEqual(['data 0', 'marker 1', 'data 1']);
});
