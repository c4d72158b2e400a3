// Conformance: topics, offsets and groups from the outside (LogAdmin).
import { MillraceError, type Offset, partitionKey } from '@millrace/core';
import { recordMark } from '../record-mark.ts';
import { at, batchOf, type ConformanceCase, codeOf, define, NO_GROUP, readUntil, same } from './bench.ts';

export const TOPIC_CASES: readonly ConformanceCase[] = [
  define('a created topic is described with its partitions and config; creating it again changes nothing; deleted, it is absent', async (bench) => {
    const topic = await bench.topic(3, { 'cleanup.policy': 'compact', 'retention.ms': '-1' });
    await bench.admin.createTopics([{ name: topic, partitions: 7, replication: -1, config: {} }]);
    const described = (await bench.admin.describeTopics([topic, `${topic}-missing`])).get(topic);
    same([described?.partitions, described?.internal], [3, false], 'partitions and internal');
    same((await bench.admin.describeTopics([topic, `${topic}-missing`])).size, 1, 'a missing topic is absent');
    same((await bench.admin.describeTopics(undefined)).has(topic), true, 'listed among all topics');
    const config = await bench.admin.topicConfig(topic);
    same([config['cleanup.policy'], config['retention.ms']], ['compact', '-1'], 'config');
    await bench.admin.deleteTopics([topic, `${topic}-missing`]);
    while ((await bench.admin.describeTopics([topic])).size > 0) await bench.ports.timers.yield();
  }),

  define('an illegal topic name is refused with the name in the message', async (bench) => {
    same(await codeOf(bench.admin.createTopics([{ name: 'not/legal', partitions: 1, replication: -1, config: {} }])), 'ERR_TOPIC_INVALID', 'code');
  }),

  define('earliest, latest and by-time offsets follow what was written and what was deleted', async (bench) => {
    const topic = await bench.topic(2);
    const producer = await bench.producer();
    await producer.send(topic, 0, batchOf(['a', 'b'], 1_000));
    await producer.send(topic, 0, batchOf(['c'], 5_000));
    const both = [at(topic, 0), at(topic, 1)];
    const list = async (spec: Parameters<typeof bench.admin.listOffsets>[1]) => {
      const found = await bench.admin.listOffsets(both, spec);
      return [found.get(partitionKey(topic, 0)), found.get(partitionKey(topic, 1))];
    };
    same(await list('earliest'), [0, 0], 'earliest');
    same(await list('latest'), [3, 0], 'latest');
    same(await list('latestStable'), [3, 0], 'latest stable');
    same(await list({ atMs: 2_000 }), [2, 0], 'first record at or after 2 s');
    same(await list({ atMs: 9_000 }), [3, 0], 'beyond the last record: the end');
    await bench.admin.deleteRecords([at(topic, 0, 2)]);
    same(await list('earliest'), [2, 0], 'earliest after deleting');
  }),

  define('offsets committed outside a transaction are read back with their metadata; others are absent', async (bench) => {
    const topic = await bench.topic(2);
    const groupId = bench.name('group');
    same([...(await bench.admin.committedOffsets(groupId, [at(topic, 0)]))], [], 'before the first commit');
    await bench.admin.commitOffsets({ groupId, ...NO_GROUP }, [{ topic, partition: 0, offset: 7 as Offset, leaderEpoch: -1, metadata: 'seven' }]);
    const found = await bench.admin.committedOffsets(groupId, [at(topic, 0), at(topic, 1)]);
    same([...found], [[partitionKey(topic, 0), { offset: 7, metadata: 'seven' }]], 'committed');
  }),

  define(
    'the end of a leader epoch is the log end while that epoch lasts; an epoch that never was is unknown; an acknowledgement names its epoch',
    async (bench) => {
      const topic = await bench.topic(1);
      const producer = await bench.producer();
      const ack = await producer.send(topic, 0, batchOf(['a', 'b']));
      same([ack.baseOffset, ack.nextOffset, ack.leaderEpoch >= 0], [0, 2, true], 'acknowledgement');
      const endOf = async (leaderEpoch: number) => (await bench.admin.epochEnds([{ topic, partition: 0, leaderEpoch }])).get(partitionKey(topic, 0));
      same(await endOf(ack.leaderEpoch), 2, 'the current epoch');
      same(await endOf(ack.leaderEpoch + 1000), -1, 'an epoch that never was');
      same((await bench.admin.epochEnds([])).size, 0, 'no question');
    },
  ),

  define(
    'a batch larger than max.message.bytes arrives in parts, in order and once; a single record that is too large is refused with its size',
    async (bench) => {
      const topic = await bench.topic(1, { 'max.message.bytes': '2000' });
      const values = Array.from({ length: 200 }, (_, index) => `value-${index}-${'x'.repeat(50)}`);
      for (const transactionalId of [undefined, bench.name('tx')]) {
        const producer = await bench.producer(transactionalId);
        const consumer = bench.consumer('read_committed');
        const from = (await bench.admin.listOffsets([at(topic)], 'latest')).get(partitionKey(topic, 0)) ?? 0;
        producer.begin();
        const ack = await producer.send(topic, 0, batchOf(values));
        same([ack.baseOffset, ack.nextOffset], [from, from + 200], 'acknowledged as one');
        if (transactionalId !== undefined) await producer.end(true);
        consumer.assign([at(topic, 0, from)]);
        const seen = await readUntil(consumer, bench.ports, (all) => all.length >= 200);
        same(
          seen.map((one) => one.slice(one.indexOf('=') + 1)),
          values,
          'values',
        );
      }
      const producer = await bench.producer();
      const refused = await producer.send(topic, 0, batchOf(['y'.repeat(3000)])).catch((error: unknown) => error);
      same(MillraceError.is(refused) ? [refused.code, Number(refused.where.bytes) > 3000] : refused, ['ERR_RECORD_TOO_LARGE', true], 'too large');
    },
  ),

  define('a record that the broker refuses for what it is is told by itself, with what it is known again by', async (bench) => {
    const topic = await bench.topic(1, { 'cleanup.policy': 'compact' });
    const producer = await bench.producer();
    const refused = await producer.send(topic, 0, batchOf(['a', 'b', 'c'])).catch((error: unknown) => error);
    same(
      MillraceError.is(refused) ? [refused.code, refused.where.keyless, refused.where.mark] : refused,
      ['ERR_RECORD_REJECTED', 1, recordMark(null, Buffer.from('a'))],
      'the first of them',
    );
  }),

  define('removing a member that nobody knows is fine', async (bench) => {
    await bench.admin.removeMember(bench.name('group'), 'nobody');
  }),
];
