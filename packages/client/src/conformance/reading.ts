// Conformance: producing without transactions and fetching (LogProducer, LogConsumer).
import type { Offset } from '@millrace/core';
import { at, batchOf, type ConformanceCase, codeOf, define, eventOf, readUntil, same } from './bench.ts';

const PARTITION_COUNT = 4;
const BATCH_COUNT = 200;

export const READING_CASES: readonly ConformanceCase[] = [
  define('what is written is read in order, from the middle of a batch on if asked, and the position ends at the log end', async (bench) => {
    const topic = await bench.topic(1);
    const producer = await bench.producer();
    const first = await producer.send(topic, 0, batchOf(['a', 'b', 'c']));
    const second = await producer.send(topic, 0, batchOf(['d']));
    same([first.baseOffset, second.baseOffset], [0, 3], 'base offsets');
    const consumer = bench.consumer('read_committed');
    const number = consumer.assign([at(topic, 0, 1)]);
    same(await readUntil(consumer, bench.ports, (seen) => seen.length >= 3), ['0:1=b', '0:2=c', '0:3=d'], 'records');
    same([number, consumer.position(at(topic)), consumer.endOffset(at(topic))], [1, 4, 4], 'assignment, position, end');
  }),

  define('many batches in flight over several partitions keep their order per partition', async (bench) => {
    const topic = await bench.topic(PARTITION_COUNT);
    const producer = await bench.producer();
    for (let index = 0; index < BATCH_COUNT; index++) void producer.send(topic, index % PARTITION_COUNT, batchOf([`v${index}`, `w${index}`]));
    await producer.flush();
    same(producer.inFlight, { batches: 0, bytes: 0 }, 'nothing in flight after flush');
    const consumer = bench.consumer('read_uncommitted');
    consumer.assign([0, 1, 2, 3].map((partition) => at(topic, partition)));
    const seen = await readUntil(consumer, bench.ports, (all) => all.length >= BATCH_COUNT * 2);
    for (let partition = 0; partition < PARTITION_COUNT; partition++) {
      const expected: string[] = [];
      for (let index = partition; index < BATCH_COUNT; index += PARTITION_COUNT) {
        for (const letter of ['v', 'w']) expected.push(`${partition}:${expected.length}=${letter}${index}`);
      }
      same(
        seen.filter((each) => each.startsWith(`${partition}:`)),
        expected,
        `partition ${partition}`,
      );
    }
  }),

  define('a parked fetch answers when a record arrives, and a partition assigned meanwhile does not wait for it', async (bench) => {
    const topic = await bench.topic(2);
    const producer = await bench.producer();
    await producer.send(topic, 1, batchOf(['there']));
    const consumer = bench.consumer('read_committed');
    consumer.assign([at(topic, 0)]);
    same(await consumer.poll(100), [], 'nothing yet');
    consumer.assign([at(topic, 0), at(topic, 1)]);
    same(await readUntil(consumer, bench.ports, (seen) => seen.length >= 1), ['1:0=there'], 'from the new partition');
    await producer.send(topic, 0, batchOf(['now']));
    same(await readUntil(consumer, bench.ports, (seen) => seen.length >= 1), ['0:0=now'], 'from the parked one');
  }),

  define('a paused partition is not handed out; resumed, it goes on where it stood', async (bench) => {
    const topic = await bench.topic(1);
    const producer = await bench.producer();
    const consumer = bench.consumer('read_committed');
    consumer.assign([at(topic)]);
    consumer.pause(at(topic));
    await producer.send(topic, 0, batchOf(['a']));
    same(await consumer.poll(300), [], 'paused');
    consumer.resume(at(topic));
    same(await readUntil(consumer, bench.ports, (seen) => seen.length >= 1), ['0:0=a'], 'resumed');
  }),

  define('assigning a kept partition at another offset reads from there, at its position undisturbed', async (bench) => {
    const topic = await bench.topic(1);
    const producer = await bench.producer();
    await producer.send(topic, 0, batchOf(['a', 'b']));
    const consumer = bench.consumer('read_committed');
    consumer.assign([at(topic)]);
    await readUntil(consumer, bench.ports, (seen) => seen.length >= 2);
    consumer.assign([at(topic, 0, consumer.position(at(topic)))]);
    same(await consumer.poll(200), [], 'nothing twice');
    same(consumer.assign([at(topic, 0, 1)]), 3, 'third assignment');
    same(await readUntil(consumer, bench.ports, (seen) => seen.length >= 1), ['0:1=b'], 'again from 1');
  }),

  define('a position outside the log is reported with the log start and end, below and above', async (bench) => {
    const topic = await bench.topic(1);
    const producer = await bench.producer();
    await producer.send(topic, 0, batchOf(['a', 'b', 'c']));
    await bench.admin.deleteRecords([at(topic, 0, 2)]);
    const consumer = bench.consumer('read_committed');
    for (const offset of [0, 9]) {
      consumer.assign([at(topic, 0, offset)]);
      const event = await eventOf(consumer, bench.ports, 'outOfRange');
      same([event.position, event.logStart, event.logEnd], [offset, 2, 3], `at ${offset}`);
    }
    consumer.assign([at(topic, 0, 2)]);
    same(await readUntil(consumer, bench.ports, (seen) => seen.length >= 1), ['0:2=c'], 'assigned inside the log');
  }),

  define('a batch above the topic limit is refused, and the next one is written all the same', async (bench) => {
    const topic = await bench.topic(1, { 'max.message.bytes': '10000' });
    const producer = await bench.producer();
    producer.begin();
    same(await codeOf(producer.send(topic, 0, batchOf(['x'.repeat(20_000)]))), 'ERR_RECORD_TOO_LARGE', 'too large');
    same(await codeOf(producer.flush()), 'ERR_RECORD_TOO_LARGE', 'flush tells the first failure');
    producer.begin();
    same((await producer.send(topic, 0, batchOf(['small']))).baseOffset, 0, 'the next batch');
    await producer.flush();
  }),

  define('a batch larger than the fetch size still comes through', async (bench) => {
    const topic = await bench.topic(1);
    const producer = await bench.producer();
    await producer.send(topic, 0, batchOf(['y'.repeat(200_000), 'z']));
    const consumer = bench.consumer('read_committed', 10_000);
    consumer.assign([at(topic)]);
    same((await readUntil(consumer, bench.ports, (seen) => seen.length >= 2)).length, 2, 'records');
  }),

  define('what is fetched and not released bounds the fetching, and release lets it go on', async (bench) => {
    const topic = await bench.topic(1);
    const producer = await bench.producer();
    for (let index = 0; index < 40; index++) void producer.send(topic, 0, batchOf([`${index}`.padEnd(10_000, '.')]));
    await producer.flush();
    const consumer = bench.consumer('read_committed', 20_000);
    consumer.assign([at(topic)]);
    let held = 0;
    let position = 0 as Offset | undefined;
    const releases: (() => void)[] = [];
    for (let idle = 0; idle < 3; ) {
      const events = await consumer.poll(150);
      idle = events.length === 0 ? idle + 1 : 0;
      for (const event of events) {
        if (event.kind !== 'data') continue;
        held += event.data.batches.length;
        position = event.data.nextOffset;
        releases.push(() => event.data.release());
      }
    }
    same(held < 10, true, `held ${held} of 40 batches`);
    for (const release of releases) release();
    const rest = await readUntil(consumer, bench.ports, (seen) => seen.length >= 40 - (position ?? 0));
    same(rest.length, 40 - (position ?? 0), 'the rest');
  }),

  define('a topic deleted and made again is reported, and its new records are not taken for the old ones', async (bench) => {
    const topic = await bench.topic(1);
    const producer = await bench.producer();
    await producer.send(topic, 0, batchOf(['old']));
    const consumer = bench.consumer('read_committed');
    consumer.assign([at(topic)]);
    await readUntil(consumer, bench.ports, (seen) => seen.length >= 1);
    await bench.admin.deleteTopics([topic]);
    while ((await bench.admin.describeTopics([topic])).size > 0) await bench.ports.timers.yield();
    await bench.admin.createTopics([{ name: topic, partitions: 1, replication: -1, config: {} }]);
    same((await eventOf(consumer, bench.ports, 'recreated')).topic, topic, 'recreated');
  }),
];
