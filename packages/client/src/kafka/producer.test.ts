import { MillraceError, noHeaders, type Offset } from '@millrace/core';
import { BatchPool, type RecordBatchView, RecordReader, readBatches } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import type { ProducerOptions } from '../options.ts';
import type { LogProducer, OffsetToCommit } from '../port.ts';
import { perPartition, ScriptedBroker, type SeenRequest } from '../testing/scripted-broker.ts';
import { createProducer } from './open.ts';

const pool = new BatchPool();
const GROUP = { groupId: 'g', memberId: 'm', generation: 4, instanceId: undefined };
const OFFSETS: readonly OffsetToCommit[] = [{ topic: 't', partition: 0, offset: 9 as Offset, leaderEpoch: -1, metadata: '' }];

function batch(...values: readonly string[]) {
  const builder = pool.take();
  for (const value of values) builder.appendText(1, null, 0, 0, value, noHeaders);
  return builder;
}
async function setUp(options: ProducerOptions = { transactionalId: 'tx' }, prepare: (broker: ScriptedBroker) => void = () => {}) {
  const broker = new ScriptedBroker();
  broker.topic('t', 3);
  prepare(broker);
  await broker.listen();
  const producer = createProducer(broker.connection, options, broker.ports);
  await broker.run(producer.initialise());
  return { broker, producer };
}
async function codeOf(broker: ScriptedBroker, promise: Promise<unknown>): Promise<string> {
  try {
    await broker.run(promise);
    return 'no error';
  } catch (error) {
    return MillraceError.is(error) ? error.code : String(error);
  }
}
/** An answer to a produce request in which every partition says `code`. */
const refuseWith =
  (code: number) =>
  ({ body }: SeenRequest) => ({
    responses: body.topicData.map((topic: { name: string; partitionData: { index: number }[] }) => ({
      name: topic.name,
      partitionResponses: topic.partitionData.map(({ index }) => ({ index, errorCode: code, baseOffset: -1, logAppendTimeMs: -1 })),
    })),
  });
/** First value of each batch of a partition, in log order. */
function logOf(broker: ScriptedBroker, partition = 0): readonly string[] {
  return broker.partition('t', partition).batches.map((bytes) =>
    bytes
      .subarray(-4, -1)
      .toString()
      .replace(/^[^a-z0-9]+/, ''),
  );
}
/** Every value of a partition, in log order. */
function valuesOf(broker: ScriptedBroker, partition = 0): readonly string[] {
  const values: string[] = [];
  const reader = new RecordReader();
  for (const bytes of broker.partition('t', partition).batches) {
    reader.reset(readBatches(bytes, 0, bytes.length, { checkCrc: false })[0] as RecordBatchView);
    while (reader.next()) values.push(reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength));
  }
  return values;
}
const names = (broker: ScriptedBroker): readonly string[] =>
  broker.requests.map(({ name }) => name).filter((name) => !['ApiVersions', 'Metadata', 'FindCoordinator'].includes(name));

describe('sending', () => {
  test('batches sent in one turn to several partitions of a leader go in one request, later ones gather until it is answered', async () => {
    const { broker, producer } = await setUp({});
    const first = [0, 1, 2].map((partition) => producer.send('t', partition, batch('a')));
    broker.script('produce', () => 'default');
    await broker.run(Promise.all(first));
    expect(broker.seen('produce').length).toBe(1);
    for (let index = 0; index < 4; index++) void producer.send('t', index % 3, batch(`b${index}`));
    await broker.run(producer.flush());
    expect(producer.inFlight).toEqual({ batches: 0, bytes: 0 });
    expect(broker.partition('t', 0).end).toBe(3);
  });

  test('a full request does not wait for the answer to the one before', async () => {
    const { broker, producer } = await setUp({ requestBytesMax: 1_000 });
    await broker.run(producer.send('t', 0, batch('first')));
    broker.network.delay(50);
    const all = Array.from({ length: 10 }, (_, index) => producer.send('t', 0, batch(`${index}`.repeat(900))));
    await broker.time.advance(60);
    expect(broker.seen('produce').length).toBe(1 + 5);
    await broker.run(Promise.all(all));
    expect(broker.partition('t').batches.length).toBe(1 + 10);
  });

  test.each([3, 5, 6, 7, 9, 13, 19, 20, 56])(
    'order survives error %i in the middle of a pipeline: what was behind it is sent again behind it',
    async (code) => {
      const { broker, producer } = await setUp({ requestBytesMax: 10 });
      broker.script('produce', () => 'default', refuseWith(code));
      const sent = ['v00', 'v01', 'v02', 'v03', 'v04', 'v05'].map((value) => producer.send('t', 0, batch(value)));
      const acks = await broker.run(Promise.all(sent));
      expect(logOf(broker)).toEqual(['v00', 'v01', 'v02', 'v03', 'v04', 'v05']);
      expect(acks.map(({ baseOffset }) => baseOffset)).toEqual([0, 1, 2, 3, 4, 5]);
    },
  );

  test('a lost connection after the broker has appended: the same batches again are acknowledged with their first offsets', async () => {
    const { broker, producer } = await setUp({ requestBytesMax: 10 });
    broker.script('produce', (request) => {
      const { records } = request.body.topicData[0].partitionData[0];
      broker.append('t', 0, records);
      broker.partition('t').sequences.set(broker.producerId, { epoch: 0, next: 1, recent: [{ first: 0, base: 0 }] });
      return 'close';
    });
    const sent = ['v00', 'v01', 'v02'].map((value) => producer.send('t', 0, batch(value)));
    const acks = await broker.run(Promise.all(sent));
    expect(acks.map(({ baseOffset }) => baseOffset)).toEqual([0, 1, 2]);
    expect(logOf(broker)).toEqual(['v00', 'v01', 'v02']);
  });

  test('a refused batch leaves no hole: those behind it take its sequence', async () => {
    const { broker, producer } = await setUp({ requestBytesMax: 10 });
    producer.begin();
    broker.script('produce', () => 'default', refuseWith(10));
    const sent = ['v00', 'big', 'v02', 'v03'].map((value) => producer.send('t', 0, batch(value)));
    const results = await broker.run(Promise.allSettled(sent));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect(logOf(broker)).toEqual(['v00', 'v02', 'v03']);
    expect(await codeOf(broker, producer.flush())).toBe('ERR_RECORD_TOO_LARGE');
  });

  test.each([
    ['outside a transaction', {}],
    ['in a transaction', { transactionalId: 'tx' }],
  ])('a batch larger than the topic takes is sent in parts, %s: same order, nothing twice, what was behind it after it', async (_what, options) => {
    const { broker, producer } = await setUp({ ...options, requestBytesMax: 100 });
    broker.batchBytesMax = 200;
    producer.begin();
    const numbered = (from: number, count: number) => Array.from({ length: count }, (_, index) => `v${String(from + index).padStart(4, '0')}`);
    const groups = [numbered(0, 1), numbered(1, 40), numbered(41, 3), numbered(44, 60), numbered(104, 1)];
    const acks = await broker.run(Promise.all(groups.map((values) => producer.send('t', 0, batch(...values)))));
    expect(valuesOf(broker)).toEqual(numbered(0, 105));
    expect(acks.map(({ baseOffset, nextOffset }) => [baseOffset, nextOffset])).toEqual([
      [0, 1],
      [1, 41],
      [41, 44],
      [44, 104],
      [104, 105],
    ]);
    expect(producer.inFlight).toEqual({ batches: 0, bytes: 0 });
    expect(Math.max(...broker.partition('t').batches.map(({ length }) => length))).toBeLessThanOrEqual(200);
    await broker.run(producer.flush());
    const before = broker.seen('produce').length;
    await broker.run(producer.send('t', 0, batch(...numbered(105, 40))));
    const { length } = broker.partition('t').batches;
    expect(broker.seen('produce').length - before, 'the next large one is split before it is sent').toBeLessThan(length);
    expect(valuesOf(broker)).toEqual(numbered(0, 145));
  });

  test('a single record that is too large is refused with its size; the rest of its batch went out before and after', async () => {
    const { broker, producer } = await setUp({});
    broker.batchBytesMax = 300;
    const big = 'x'.repeat(400);
    const sent = producer.send('t', 0, batch('a', 'b', big, 'c'));
    expect(await codeOf(broker, sent)).toBe('ERR_RECORD_TOO_LARGE');
    const error = (await sent.catch((reason: unknown) => reason)) as MillraceError;
    expect(error.where).toMatchObject({ topic: 't', partition: 0, kafkaCode: 10 });
    expect(error.where.bytes).toBeGreaterThan(400);
    while (producer.inFlight.batches > 0) await broker.time.advance(5);
    expect(valuesOf(broker)).toEqual(['a', 'b', 'c']);
    expect(await codeOf(broker, producer.send('t', 0, batch('d')))).toBe('no error');
  });

  test('what was put back behind a batch that is refused in the end takes its sequence', async () => {
    const { broker, producer } = await setUp({ requestBytesMax: 10 });
    broker.script('produce', () => 'default', refuseWith(19));
    broker.batchBytesMax = 200;
    const sent = ['v00', 'x'.repeat(300), 'v02', 'v03'].map((value) => producer.send('t', 0, batch(value)));
    const results = await broker.run(Promise.allSettled(sent));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect(valuesOf(broker)).toEqual(['v00', 'v02', 'v03']);
  });

  test('an acknowledgement names the leader epoch under which the batch was sent', async () => {
    const { broker, producer } = await setUp({});
    expect(await broker.run(producer.send('t', 0, batch('a')))).toMatchObject({ leaderEpoch: 5 });
    broker.leaderEpoch = 6;
    broker.script('produce', refuseWith(6));
    await broker.run(producer.send('t', 0, batch('b')));
    await broker.time.advance(200); // the metadata that the refusal asked for
    expect(await broker.run(producer.send('t', 0, batch('c')))).toMatchObject({ leaderEpoch: 6 });
  });

  test('out of order with nothing ahead of it ends the producer until it is initialised again', async () => {
    const { broker, producer } = await setUp({});
    broker.script('produce', refuseWith(45));
    expect(await codeOf(broker, producer.send('t', 0, batch('a')))).toBe('ERR_SEQUENCE');
    expect(await codeOf(broker, producer.send('t', 0, batch('b')))).toBe('ERR_SEQUENCE');
    await broker.run(producer.initialise());
    expect(await codeOf(broker, producer.send('t', 0, batch('c')))).toBe('no error');
  });

  test('a topic that does not exist is reported in the end, not waited for without bound', async () => {
    const { broker, producer } = await setUp({});
    expect(await codeOf(broker, producer.send('missing', 0, batch('a')))).toBe('ERR_TOPIC_MISSING');
    expect(await codeOf(broker, producer.send('t', 0, batch('b')))).toBe('no error');
  });
});

describe('transactions', () => {
  test('partitions are added once, in few requests, before their first batch; offsets and end follow', async () => {
    const { broker, producer } = await setUp();
    producer.begin();
    for (const partition of [0, 1, 0, 1]) void producer.send('t', partition, batch('a'));
    await broker.run(producer.flush());
    await broker.run(producer.sendOffsets(GROUP, OFFSETS));
    await broker.run(producer.end(true));
    expect(names(broker).filter((name) => name !== 'Produce')).toEqual([
      'InitProducerId',
      'AddPartitionsToTxn',
      'AddOffsetsToTxn',
      'TxnOffsetCommit',
      'EndTxn',
    ]);
    expect(broker.seen('addPartitionsToTxn')[0]?.body.topics).toEqual([{ name: 't', partitions: [0, 1] }]);
    expect(broker.seen('txnOffsetCommit')[0]?.body).toMatchObject({ groupId: 'g', memberId: 'm', generationId: 4, groupInstanceId: null });
    expect(broker.seen('produce').every(({ version, body }) => version === 11 && body.transactionalId === 'tx')).toBe(true);
  });

  test('the first batch of a partition in a transaction goes alone; the rest is pipelined after its acknowledgement', async () => {
    const { broker, producer } = await setUp({ transactionalId: 'tx', requestBytesMax: 10 });
    broker.network.delay(20);
    producer.begin();
    for (let index = 0; index < 5; index++) void producer.send('t', 0, batch(`v0${index}`));
    const flushed = producer.flush();
    while (broker.seen('produce').length === 0) await broker.time.advance(5);
    await broker.time.advance(15);
    expect(broker.seen('produce').length).toBe(1);
    await broker.run(flushed);
    expect(logOf(broker)).toEqual(['v00', 'v01', 'v02', 'v03', 'v04']);
  });

  test('EndTxn does not overtake a batch that waits for a retry', async () => {
    const { broker, producer } = await setUp();
    broker.script('produce', refuseWith(19), refuseWith(51), refuseWith(19));
    producer.begin();
    void producer.send('t', 0, batch('a'));
    await broker.run(producer.end(true));
    expect(names(broker).slice(-2)).toEqual(['Produce', 'EndTxn']);
    expect(broker.partition('t').end).toBe(1);
  });

  test('a transaction in which nothing happened ends without a request', async () => {
    const { broker, producer } = await setUp();
    for (const commit of [true, false]) {
      producer.begin();
      await broker.run(producer.end(commit));
    }
    expect(names(broker)).toEqual(['InitProducerId']);
  });

  test('[51] on every control request is asked again until it passes', async () => {
    const { broker, producer } = await setUp();
    broker.script('addPartitionsToTxn', ({ body }) => ({
      resultsByTopic: body.topics.map((topic: { name: string; partitions: number[] }) => ({
        name: topic.name,
        resultsByPartition: topic.partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: 51 })),
      })),
    }));
    broker.script(
      'addOffsetsToTxn',
      () => ({ errorCode: 51 }),
      () => ({ errorCode: 51 }),
    );
    broker.script('txnOffsetCommit', ({ body }) => ({ topics: perPartition(body.topics, 51) }));
    broker.script(
      'endTxn',
      () => ({ errorCode: 51 }),
      () => ({ errorCode: 14 }),
    );
    broker.script('initProducerId', () => ({ errorCode: 51, producerId: -1, producerEpoch: -1 }));
    producer.begin();
    void producer.send('t', 0, batch('a'));
    await broker.run(producer.sendOffsets(GROUP, OFFSETS));
    await broker.run(producer.end(true));
    await broker.run(producer.initialise());
    const count = (name: Parameters<typeof broker.seen>[0]) => broker.seen(name).length;
    expect([count('addPartitionsToTxn'), count('addOffsetsToTxn'), count('txnOffsetCommit'), count('endTxn'), count('initProducerId')]).toEqual([
      2, 3, 2, 3, 3,
    ]);
  });

  test.each(['drop', 'close'] as const)('EndTxn without an answer (%s) is indefinite: not repeated, nothing goes on but initialise', async (fault) => {
    const { broker, producer } = await setUp();
    producer.begin();
    void producer.send('t', 0, batch('a'));
    broker.script('endTxn', () => fault);
    expect(await codeOf(broker, producer.end(true))).toBe('ERR_TRANSACTION_INDEFINITE');
    expect(await codeOf(broker, producer.send('t', 0, batch('b')))).toBe('ERR_TRANSACTION_INDEFINITE');
    expect(() => producer.begin()).toThrow(/nobody knows/);
    expect(broker.seen('endTxn').length).toBe(1);
    await broker.run(producer.initialise());
    expect(broker.seen('initProducerId')[1]?.body).toMatchObject({ producerId: -1, producerEpoch: -1, transactionTimeoutMs: 10_000 });
    await transactionOf(broker, producer, 'c');
  });

  test.each(['addPartitionsToTxn', 'addOffsetsToTxn', 'txnOffsetCommit'] as const)('%s without an answer is indefinite too', async (name) => {
    const { broker, producer } = await setUp();
    producer.begin();
    broker.script(name, () => 'drop');
    const sent = producer.send('t', 0, batch('a'));
    const codes = [await codeOf(broker, name === 'addPartitionsToTxn' ? sent : producer.sendOffsets(GROUP, OFFSETS))];
    codes.push(await codeOf(broker, producer.end(true)));
    expect(codes).toEqual(['ERR_TRANSACTION_INDEFINITE', 'ERR_TRANSACTION_INDEFINITE']);
    await broker.run(producer.initialise());
    await transactionOf(broker, producer, 'c');
  });

  test('a request that could not even be sent is repeated: a coordinator away for a moment costs nothing', async () => {
    const { broker, producer } = await setUp();
    producer.begin();
    await broker.run(producer.send('t', 0, batch('a')));
    broker.network.cut();
    await broker.time.advance(1);
    await broker.run(producer.end(true));
    expect(broker.seen('endTxn').length).toBe(1);
  });

  test('a generation that has turned leaves the transaction open: the same offsets go again under the new one', async () => {
    const { broker, producer } = await setUp();
    producer.begin();
    broker.script('txnOffsetCommit', ({ body }) => ({ topics: perPartition(body.topics, 22) }));
    expect(await codeOf(broker, producer.sendOffsets(GROUP, OFFSETS))).toBe('ERR_GENERATION');
    await broker.run(producer.sendOffsets({ ...GROUP, generation: 5 }, OFFSETS));
    await broker.run(producer.end(true));
    expect(broker.seen('addOffsetsToTxn').length).toBe(1);
    expect(broker.seen('txnOffsetCommit').map(({ body }) => body.generationId)).toEqual([4, 5]);
  });

  test('a commit is refused while a batch of the transaction has failed; the abort waits for what is in flight and takes a new epoch', async () => {
    const { broker, producer } = await setUp();
    producer.begin();
    void producer.send('t', 0, batch('a'));
    await broker.run(producer.flush());
    broker.script('produce', refuseWith(87));
    expect(await codeOf(broker, producer.send('t', 1, batch('b')))).toBe('ERR_RECORD_REJECTED');
    expect(await codeOf(broker, producer.end(true))).toBe('ERR_RECORD_REJECTED');
    expect(broker.seen('endTxn').length).toBe(0);
    await broker.run(producer.end(false));
    expect(names(broker).slice(-2)).toEqual(['EndTxn', 'InitProducerId']);
    await transactionOf(broker, producer, 'c');
  });

  test('an abort drops what waits and waits for what is in flight, so that nothing lands after it', async () => {
    const { broker, producer } = await setUp();
    broker.network.delay(30);
    producer.begin();
    const sent = [producer.send('t', 0, batch('v00')), producer.send('t', 0, batch('v01'))];
    while (broker.seen('produce').length === 0) await broker.time.advance(5);
    const [first, second] = await broker.run(Promise.all([Promise.allSettled(sent), producer.end(false)]).then(([settled]) => settled));
    expect([first?.status, second?.status]).toEqual(['fulfilled', 'rejected']);
    expect(names(broker).slice(-2)).toEqual(['Produce', 'EndTxn']);
    expect(logOf(broker)).toEqual(['v00']);
  });

  test.each([47, 90, 49])('error %i on a batch means fenced: all batches are rejected with it, and initialise takes the id back', async (code) => {
    const { broker, producer } = await setUp();
    producer.begin();
    broker.script('produce', refuseWith(code));
    const sent = [0, 1].map((partition) => codeOf(broker, producer.send('t', partition, batch('a'))));
    expect(await sent[0]).toBe('ERR_PRODUCER_FENCED');
    expect(await codeOf(broker, producer.end(true))).toBe('ERR_PRODUCER_FENCED');
    await broker.run(producer.initialise());
    await transactionOf(broker, producer, 'c');
    await Promise.all(sent);
  });

  test('an abort that finds nothing open counts as aborted and takes a new epoch', async () => {
    const { broker, producer } = await setUp();
    producer.begin();
    await broker.run(producer.send('t', 0, batch('a')));
    broker.script('endTxn', () => ({ errorCode: 48 }));
    await broker.run(producer.end(false));
    await transactionOf(broker, producer, 'c');
    expect(broker.seen('initProducerId').length).toBe(2);
  });

  test('a message of a later transaction is never mixed with an answer that an abandoned one still waited for', async () => {
    const { broker, producer } = await setUp();
    producer.begin();
    broker.script('produce', () => 'drop');
    const lost = producer.send('t', 0, batch('old'));
    await broker.time.advance(100);
    await broker.run(producer.initialise());
    expect(await codeOf(broker, lost)).toBe('ERR_TRANSACTION_ABORTABLE');
    await transactionOf(broker, producer, 'new');
    await broker.time.advance(5_000);
    expect(logOf(broker)).toEqual(['new']);
    expect(producer.inFlight).toEqual({ batches: 0, bytes: 0 });
  });
});

describe('transaction.version 2', () => {
  const two = (broker: ScriptedBroker): void => {
    broker.transactionVersion = 2;
  };

  test('nothing is added by hand; each end brings the epoch for the next transaction, whose sequences start at 0', async () => {
    const { broker, producer } = await setUp({ transactionalId: 'tx' }, two);
    for (const value of ['one', 'two']) {
      await transactionOf(broker, producer, value);
    }
    expect(names(broker)).toEqual(['InitProducerId', 'Produce', 'TxnOffsetCommit', 'EndTxn', 'Produce', 'TxnOffsetCommit', 'EndTxn']);
    expect(broker.seen('endTxn').map(({ version, body }) => [version, body.producerEpoch])).toEqual([
      [5, 0],
      [5, 1],
    ]);
    expect(broker.seen('produce').map(({ version }) => version)).toEqual([12, 12]);
    expect(broker.partition('t').batches.map((bytes) => [bytes.readInt16BE(51), bytes.readInt32BE(53)])).toEqual([
      [0, 0],
      [1, 0],
    ]);
  });

  test('a lower level is no such promise: partitions are added by hand', async () => {
    const { broker, producer } = await setUp({ transactionalId: 'tx' }, (each) => {
      each.transactionVersion = 1;
    });
    await transactionOf(broker, producer, 'one');
    expect(names(broker)).toContain('AddPartitionsToTxn');
    expect(broker.seen('endTxn')[0]?.version).toBe(4);
  });
});

async function transactionOf(broker: ScriptedBroker, producer: LogProducer, value: string): Promise<void> {
  producer.begin();
  await broker.run(producer.send('t', 0, batch(value)));
  await broker.run(producer.sendOffsets(GROUP, OFFSETS));
  await broker.run(producer.end(true));
}
