// Conformance: transactions, offsets in them, fencing, and what a read_committed reader sees.
import { type Offset, partitionKey } from '@millrace/core';
import { at, batchOf, type ConformanceCase, codeOf, define, NO_GROUP, readUntil, same, WAIT_MS } from './bench.ts';

export const TRANSACTION_CASES: readonly ConformanceCase[] = [
  define('a committed transaction shows, an aborted one never does, and the position passes both', async (bench) => {
    const topic = await bench.topic(1);
    const producer = await bench.producer(bench.name('tx'));
    for (const [value, commit] of [
      ['one', true],
      ['two', false],
      ['three', true],
      ['four', false],
    ] as const) {
      producer.begin();
      await producer.send(topic, 0, batchOf([`${value}a`, `${value}b`]));
      await producer.end(commit);
    }
    const committed = bench.consumer('read_committed');
    committed.assign([at(topic)]);
    const seen = await readUntil(committed, bench.ports, () => committed.position(at(topic)) === 12);
    same(seen, ['0:0=onea', '0:1=oneb', '0:6=threea', '0:7=threeb'], 'read_committed');
    const all = bench.consumer('read_uncommitted');
    all.assign([at(topic)]);
    same((await readUntil(all, bench.ports, (records) => records.length >= 8)).length, 8, 'read_uncommitted');
  }),

  define('an open transaction holds back the last stable offset, not the log end', async (bench) => {
    const topic = await bench.topic(1);
    const open = await bench.producer(bench.name('tx'));
    const plain = await bench.producer();
    open.begin();
    await open.send(topic, 0, batchOf(['open']));
    await plain.send(topic, 0, batchOf(['plain']));
    const key = partitionKey(topic, 0);
    same((await bench.admin.listOffsets([at(topic)], 'latest')).get(key), 2, 'log end');
    same((await bench.admin.listOffsets([at(topic)], 'latestStable')).get(key), 0, 'last stable offset');
    await open.end(true);
    const consumer = bench.consumer('read_committed');
    consumer.assign([at(topic)]);
    same(await readUntil(consumer, bench.ports, (seen) => seen.length >= 2), ['0:0=open', '0:1=plain'], 'after the commit');
  }),

  define('many transactions one after the other over many partitions, each batch pipelined, all show once', async (bench) => {
    const topic = await bench.topic(8);
    const producer = await bench.producer(bench.name('tx'));
    for (let round = 0; round < 10; round++) {
      producer.begin();
      for (let index = 0; index < 40; index++) void producer.send(topic, index % 8, batchOf([`${round}.${index}`]));
      await producer.end(true);
    }
    const consumer = bench.consumer('read_committed');
    consumer.assign([0, 1, 2, 3, 4, 5, 6, 7].map((partition) => at(topic, partition)));
    const seen = await readUntil(consumer, bench.ports, (records) => records.length >= 400);
    const values = seen.map((each) => each.slice(each.indexOf('=') + 1));
    same(new Set(values).size, 400, 'each value once');
    const ofZero = seen.filter((each) => each.startsWith('0:')).map((each) => each.slice(each.indexOf('=') + 1));
    const expected: string[] = [];
    for (let round = 0; round < 10; round++) for (let index = 0; index < 40; index += 8) expected.push(`${round}.${index}`);
    same(ofZero, expected, 'order in partition 0');
  }),

  define('offsets in a transaction count when it commits and not when it aborts', async (bench) => {
    const topic = await bench.topic(1);
    const groupId = bench.name('group');
    const producer = await bench.producer(bench.name('tx'));
    const committed = async (asOfNow?: 'asOfNow') => (await bench.admin.committedOffsets(groupId, [at(topic)], asOfNow)).get(partitionKey(topic, 0));
    const commit = async (offset: number, keep: boolean) => {
      producer.begin();
      await producer.send(topic, 0, batchOf(['x']));
      await producer.sendOffsets({ groupId, ...NO_GROUP }, [{ topic, partition: 0, offset: offset as Offset, leaderEpoch: -1, metadata: `m${offset}` }]);
      await producer.end(keep);
    };
    await commit(5, true);
    same(await committed(), { offset: 5, metadata: 'm5' }, 'committed');
    await commit(6, false);
    same(await committed(), { offset: 5, metadata: 'm5' }, 'aborted');
    producer.begin();
    await producer.sendOffsets({ groupId, ...NO_GROUP }, [{ topic, partition: 0, offset: 7 as Offset, leaderEpoch: -1, metadata: '' }]);
    same(await committed('asOfNow'), { offset: 5, metadata: 'm5' }, 'while the transaction is open');
    await producer.end(true);
    same(await committed(), { offset: 7, metadata: '' }, 'a transaction of offsets alone');
  }),

  define('offsets of a generation that has turned are refused and the transaction stays open', async (bench) => {
    const topic = await bench.topic(1);
    const groupId = bench.name('group');
    const producer = await bench.producer(bench.name('tx'));
    producer.begin();
    const stale = { groupId, memberId: 'gone', generation: 3, instanceId: undefined };
    const code = await codeOf(producer.sendOffsets(stale, [{ topic, partition: 0, offset: 1 as Offset, leaderEpoch: -1, metadata: '' }]));
    same(['ERR_GENERATION', 'ERR_MEMBERSHIP_LOST'].includes(code), true, `code ${code}`);
    await producer.send(topic, 0, batchOf(['x']));
    await producer.end(false);
  }),

  define('a transaction in which nothing happened ends, either way, and the producer goes on', async (bench) => {
    const topic = await bench.topic(1);
    const producer = await bench.producer(bench.name('tx'));
    for (const commit of [true, false]) {
      producer.begin();
      await producer.end(commit);
    }
    producer.begin();
    await producer.send(topic, 0, batchOf(['x']));
    await producer.end(true);
  }),

  define('initialising an id again aborts what the old producer left open and fences it', async (bench) => {
    const topic = await bench.topic(1);
    const id = bench.name('tx');
    const old = await bench.producer(id);
    old.begin();
    await old.send(topic, 0, batchOf(['left open']));
    const next = await bench.producer(id);
    next.begin();
    await next.send(topic, 0, batchOf(['new']));
    await next.end(true);
    same(await codeOf(old.end(true)), 'ERR_PRODUCER_FENCED', 'the old one cannot commit');
    same(await codeOf(old.send(topic, 0, batchOf(['zombie']))), 'ERR_PRODUCER_FENCED', 'nor write');
    const consumer = bench.consumer('read_committed');
    consumer.assign([at(topic)]);
    const seen = await readUntil(consumer, bench.ports, (records) => records.length >= 1);
    same(
      seen.map((each) => each.split('=')[1]),
      ['new'],
      'only the new one shows',
    );
  }),

  define('fencing the id of somebody who vanished ends the open transaction at once', async (bench) => {
    const topic = await bench.topic(1);
    const id = bench.name('tx');
    const vanished = await bench.producer(id);
    vanished.begin();
    await vanished.send(topic, 0, batchOf(['left open']));
    await bench.admin.fenceTransactionalId(id);
    const key = partitionKey(topic, 0);
    const deadlineMs = bench.ports.clock.monotonicMs() + 5_000;
    while ((await bench.admin.listOffsets([at(topic)], 'latestStable')).get(key) !== 2 && bench.ports.clock.monotonicMs() < deadlineMs)
      await bench.ports.timers.yield();
    same((await bench.admin.listOffsets([at(topic)], 'latestStable')).get(key), 2, 'last stable offset: behind record and marker');
  }),

  define('a transaction that took too long is aborted and cannot commit; after an abort its producer goes on', async (bench) => {
    const topic = await bench.topic(1);
    const producer = await bench.producer(bench.name('tx'), 1_000);
    producer.begin();
    await producer.send(topic, 0, batchOf(['too slow']));
    const key = partitionKey(topic, 0);
    const deadlineMs = bench.ports.clock.monotonicMs() + WAIT_MS;
    while ((await bench.admin.listOffsets([at(topic)], 'latestStable')).get(key) !== 2 && bench.ports.clock.monotonicMs() < deadlineMs)
      await bench.ports.timers.yield();
    const code = await codeOf(producer.end(true));
    same(['ERR_TRANSACTION_ABORTABLE', 'ERR_PRODUCER_FENCED'].includes(code), true, `it cannot commit: ${code}`);
    if (code === 'ERR_TRANSACTION_ABORTABLE') await producer.end(false);
    else await producer.initialise();
    producer.begin();
    await producer.send(topic, 0, batchOf(['in time']));
    await producer.end(true);
    const consumer = bench.consumer('read_committed');
    consumer.assign([at(topic)]);
    const seen = await readUntil(consumer, bench.ports, (records) => records.length >= 1);
    same(
      seen.map((each) => each.split('=')[1]),
      ['in time'],
      'only what was committed',
    );
  }),

  define('a producer that failed a batch aborts, and its next transaction is whole', async (bench) => {
    const topic = await bench.topic(1, { 'max.message.bytes': '10000' });
    const producer = await bench.producer(bench.name('tx'));
    producer.begin();
    await producer.send(topic, 0, batchOf(['fine']));
    same(await codeOf(producer.send(topic, 0, batchOf(['x'.repeat(20_000)]))), 'ERR_RECORD_TOO_LARGE', 'too large');
    same(await codeOf(producer.end(true)), 'ERR_RECORD_TOO_LARGE', 'it cannot commit');
    await producer.end(false);
    producer.begin();
    for (let index = 0; index < 20; index++) void producer.send(topic, 0, batchOf([`n${index}`]));
    await producer.end(true);
    const consumer = bench.consumer('read_committed');
    consumer.assign([at(topic)]);
    const seen = await readUntil(consumer, bench.ports, (records) => records.length >= 20);
    same(
      seen.map((each) => each.split('=')[1]),
      Array.from({ length: 20 }, (_, index) => `n${index}`),
      'the second transaction',
    );
  }),
];
