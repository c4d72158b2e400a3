import { noHeaders, type Offset } from '@millrace/core';
import { BatchPool, encodeControlBatch, RecordReader } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import type { ConsumerOptions } from '../options.ts';
import type { LogConsumer, PollEvent } from '../port.ts';
import { ScriptedBroker } from '../testing/scripted-broker.ts';
import { createConsumer } from './open.ts';

const pool = new BatchPool();

function at(offset: number, topic = 't', partition = 0) {
  return { topic, partition, offset: offset as Offset };
}
function batch(values: readonly string[], producerId = -1): Buffer {
  const builder = pool.take();
  for (const value of values) builder.appendText(1, null, 0, 0, value, noHeaders);
  const bytes = Buffer.from(builder.seal({ producerId, producerEpoch: 0, baseSequence: producerId < 0 ? -1 : 0, transactional: producerId >= 0 }));
  builder.release();
  return bytes;
}
async function setUp(options: Partial<ConsumerOptions> = {}, prepare: (broker: ScriptedBroker) => void = () => {}) {
  const broker = new ScriptedBroker();
  broker.topic('t', 2);
  prepare(broker);
  await broker.listen();
  const consumer = createConsumer(broker.connection, { isolation: 'read_committed', ...options }, broker.ports);
  return { broker, consumer };
}
/** Polls until something comes. */
async function next(broker: ScriptedBroker, consumer: LogConsumer): Promise<readonly PollEvent[]> {
  for (let tries = 0; tries < 300; tries++) {
    const events = await broker.run(consumer.poll(100));
    if (events.length > 0) return events;
  }
  throw new Error('nothing came');
}
const reader = new RecordReader();
/** `offset=value` of each wanted record; releases the data. */
function records(events: readonly PollEvent[]): readonly string[] {
  const found: string[] = [];
  for (const event of events) {
    if (event.kind !== 'data') throw new Error(`unexpected ${event.kind}`);
    for (const view of event.data.batches) {
      reader.reset(view);
      while (reader.next()) {
        if (reader.offset >= event.data.firstOffset)
          found.push(`${reader.offset}=${reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength)}`);
      }
    }
    event.data.release();
  }
  return found;
}
/** What a fetch finds, changed: for all partitions asked of topic t. */
function answer(broker: ScriptedBroker, change: (found: Record<string, unknown>) => object) {
  // biome-ignore lint/suspicious/noExplicitAny: the body of a fetch
  return ({ body }: { readonly body: any }) => ({
    errorCode: 0,
    responses: body.topics.map((topic: { topicId: string; topic: string; partitions: { partition: number; fetchOffset: number }[] }) => ({
      topic: topic.topic,
      topicId: topic.topicId,
      partitions: topic.partitions.map(({ partition, fetchOffset }) => {
        const found = broker.fetched('t', partition, fetchOffset);
        return { ...found, ...change(found) };
      }),
    })),
  });
}

describe('what is handed out', () => {
  test.each([1, 5, 30, 60, 61, 70])('a last batch cut after %i bytes is ignored and fetched again from its start', async (cut) => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a', 'b']));
    const whole = batch(['c', 'd']);
    broker.append('t', 0, whole);
    broker.script(
      'fetch',
      answer(broker, ({ records: found }) => ({ records: (found as Buffer).subarray(0, (found as Buffer).length - whole.length + cut) })),
    );
    consumer.assign([at(0)]);
    expect(records(await next(broker, consumer))).toEqual(['0=a', '1=b']);
    expect(records(await next(broker, consumer))).toEqual(['2=c', '3=d']);
    expect(broker.seen('fetch')[1]?.body.topics[0].partitions[0].fetchOffset).toBe(2);
  });

  test('a fetch that begins in the middle of a batch says which record is the first wanted one', async (): Promise<void> => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a', 'b', 'c']));
    consumer.assign([at(1)]);
    const [event] = await next(broker, consumer);
    if (event?.kind !== 'data') throw new Error('no data');
    expect([event.data.firstOffset, event.data.batches[0]?.baseOffset, event.data.nextOffset]).toEqual([1, 0, 3]);
    expect(records([event])).toEqual(['1=b', '2=c']);
  });

  test('a marker and an aborted run at the end move the position: an event without batches tells so', async () => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a']));
    broker.append('t', 0, batch(['hidden'], 7));
    broker.append('t', 0, encodeControlBatch({ type: 'abort', producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1 }));
    broker.partition('t').aborted.push({ producerId: 7, firstOffset: 1 });
    consumer.assign([at(1)]);
    const [event] = await next(broker, consumer);
    expect(event?.kind === 'data' && [event.data.batches.length, event.data.nextOffset]).toEqual([0, 3]);
    expect([consumer.position(at(0)), consumer.endOffset(at(0))]).toEqual([3, 3]);
  });

  test('the epoch of what was fetched is that of its last batch, a marker of a newer leader included', async () => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a'], 7));
    broker.leaderEpoch += 1;
    broker.append('t', 0, encodeControlBatch({ type: 'commit', producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1 }));
    consumer.assign([at(0)]);
    const [event] = await next(broker, consumer);
    if (event?.kind !== 'data') throw new Error('no data');
    expect([event.data.batches.length, event.data.batches[0]?.leaderEpoch, event.data.nextOffset]).toEqual([1, broker.leaderEpoch - 1, 2]);
    expect(event.data.leaderEpoch).toBe(broker.leaderEpoch);
  });

  test('endOffset is the last stable offset under read_committed and the high watermark otherwise', async () => {
    for (const [isolation, end] of [
      ['read_committed', 1],
      ['read_uncommitted', 2],
    ] as const) {
      const { broker, consumer } = await setUp({ isolation }, (each) => {
        each.partition('t').stable = 1;
      });
      broker.append('t', 0, batch(['a']));
      broker.append('t', 0, batch(['open'], 7));
      expect(consumer.endOffset(at(0))).toBe(undefined);
      consumer.assign([at(0)]);
      await next(broker, consumer);
      expect(consumer.endOffset(at(0))).toBe(end);
      await consumer.close();
    }
  });

  test('a damaged batch is fetched again; damaged twice at one place it is reported with the place and never handed out', async () => {
    const damaged = (found: Record<string, unknown>) => {
      const bytes = Buffer.from(found.records as Buffer);
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
      return { records: bytes };
    };
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a']));
    broker.script('fetch', answer(broker, damaged));
    consumer.assign([at(0)]);
    expect(records(await next(broker, consumer))).toEqual(['0=a']);
    broker.append('t', 0, batch(['b']));
    broker.script('fetch', answer(broker, damaged), answer(broker, damaged));
    const [event] = await next(broker, consumer);
    expect(event?.kind === 'failed' && event.error).toMatchObject({ code: 'ERR_RECORD_BATCH_CORRUPT', where: { topic: 't', partition: 0, offset: 1 } });
  });

  const second = batch(['a', 'b']).length;
  test.each<[string, (bytes: Buffer) => void]>([
    ['a base offset before the batch in front of it', (bytes) => bytes.writeBigInt64BE(1n, second)],
    ['a base offset beyond the end of the log', (bytes) => bytes.writeBigInt64BE(1_000_002n, second)],
    ['a base offset behind what was asked for', (bytes) => bytes.writeBigInt64BE(-5n, 0)],
    ['a first batch that is longer than all there is', (bytes) => bytes.writeInt32BE(100_000, 8)],
  ])('%s, which no checksum covers, is damage too: nothing is passed over', async (_what, turn) => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a', 'b']));
    broker.append('t', 0, batch(['c']));
    broker.append('t', 0, batch(['d']));
    const damaged = answer(broker, (found) => {
      const bytes = Buffer.from(found.records as Buffer);
      turn(bytes);
      return { records: bytes };
    });
    broker.script('fetch', damaged, damaged, damaged);
    consumer.assign([at(0)]);
    const [event] = await next(broker, consumer);
    expect(event?.kind === 'failed' && event.error).toMatchObject({ code: 'ERR_RECORD_BATCH_CORRUPT', where: { topic: 't', partition: 0, offset: 0 } });
  });

  test('a broker that says itself that the batch is damaged is believed the second time; records past the log end that it tells are asked for again', async () => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a']));
    const corrupt = answer(broker, () => ({ errorCode: 2, records: null }));
    broker.script('fetch', corrupt);
    consumer.assign([at(0)]);
    expect(records(await next(broker, consumer))).toEqual(['0=a']);
    broker.append('t', 0, batch(['b']));
    broker.script(
      'fetch',
      answer(broker, () => ({ highWatermark: 1 })), // taken before the log was read, which had grown meanwhile
    );
    expect(records(await next(broker, consumer))).toEqual(['1=b']);
    broker.script('fetch', corrupt, corrupt);
    const [event] = await next(broker, consumer);
    expect(event?.kind === 'failed' && event.error).toMatchObject({ code: 'ERR_RECORD_BATCH_CORRUPT', where: { offset: 2 } });
  });
});

describe('assignment', () => {
  test('data fetched for a partition that is no longer assigned is dropped, also when its answer comes late', async () => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a']));
    broker.append('t', 1, batch(['b']));
    broker.network.delay(40);
    consumer.assign([at(0)]);
    while (broker.seen('fetch').length === 0) await broker.time.advance(5);
    expect(consumer.assign([at(0, 't', 1)])).toBe(2);
    const [event] = await next(broker, consumer);
    expect(event?.kind === 'data' && [event.data.partition, event.data.assignment]).toEqual([1, 2]);
    expect(consumer.position(at(0))).toBe(undefined);
  });

  test('a partition kept at its position keeps what was prefetched; moved, it drops that', async () => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a', 'b']));
    consumer.assign([at(0)]);
    await broker.time.advance(100);
    const fetches = broker.seen('fetch').length;
    expect([consumer.position(at(0)), fetches > 0]).toEqual([0, true]);
    consumer.assign([at(0), at(0, 't', 1)]);
    expect(records(await next(broker, consumer))).toEqual(['0=a', '1=b']);
    consumer.assign([at(1)]);
    expect(records(await next(broker, consumer))).toEqual(['1=b']);
  });

  test('a paused partition is neither handed out nor fetched; what was fetched before waits', async () => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a']));
    consumer.assign([at(0)]);
    await broker.time.advance(50);
    consumer.pause(at(0));
    expect(await broker.run(consumer.poll(50))).toEqual([]);
    await broker.time.advance(100);
    const fetches = broker.seen('fetch').length;
    await broker.time.advance(1_000);
    expect(broker.seen('fetch').length).toBe(fetches);
    consumer.resume(at(0));
    expect(records(await next(broker, consumer))).toEqual(['0=a']);
  });

  test('a partition that becomes wanted while a fetch is parked does not wait for it', async () => {
    const { broker, consumer } = await setUp({ fetchMaxWaitMs: 500 });
    broker.script('fetch', () => ({ after: 500, answer: { errorCode: 0, responses: [] } }));
    consumer.assign([at(0)]);
    while (broker.seen('fetch').length === 0) await broker.time.advance(5);
    broker.append('t', 1, batch(['b']));
    const asked = broker.time.clock.monotonicMs();
    consumer.assign([at(0), at(0, 't', 1)]);
    expect(records(await next(broker, consumer))).toEqual(['0=b']);
    expect(broker.time.clock.monotonicMs() - asked).toBeLessThan(100);
    expect(broker.seen('fetch')[1]?.body.maxWaitMs).toBe(50);
  });

  test('a wake before or during a poll ends it at once', async () => {
    const { broker, consumer } = await setUp();
    consumer.wake();
    expect(await broker.run(consumer.poll(60_000), 10)).toEqual([]);
    const polling = consumer.poll(60_000);
    consumer.wake();
    expect(await broker.run(polling, 10)).toEqual([]);
  });
});

describe('the bound on memory', () => {
  test('unreleased data stops the fetching of its partition and not that of one that holds nothing', async () => {
    const { broker, consumer } = await setUp({ fetchBytesMax: 100, bufferedBytesMax: 100 });
    for (let index = 0; index < 3; index++) broker.append('t', 0, batch(['x'.repeat(200)]));
    consumer.assign([at(0), at(0, 't', 1)]);
    const held = await next(broker, consumer);
    broker.append('t', 0, batch(['more']));
    broker.append('t', 1, batch(['other']));
    expect(records(await next(broker, consumer))).toEqual(['0=other']);
    expect(await broker.run(consumer.poll(1_000))).toEqual([]);
    records(held);
    expect(records(await next(broker, consumer))).toEqual(['3=more']);
  });
});

describe('trouble', () => {
  test.each([3, 5, 6, 9, 13, 56, 74, 75, 78, 100, 103, -1, 14, 89])('error %i on a partition is tried again after a back-off', async (code) => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a']));
    const refuse = answer(broker, () => ({ errorCode: code, records: null }));
    broker.script('fetch', refuse, refuse);
    consumer.assign([at(0)]);
    expect(records(await next(broker, consumer))).toEqual(['0=a']);
    expect(broker.seen('fetch').length).toBeGreaterThanOrEqual(3);
  });

  test('missing rights are reported, once, and the partition is left alone', async () => {
    const { broker, consumer } = await setUp();
    broker.script(
      'fetch',
      answer(broker, () => ({ errorCode: 29 })),
    );
    consumer.assign([at(0)]);
    const events = await next(broker, consumer);
    expect(events.map((event) => event.kind === 'failed' && (event.error as { code?: string }).code)).toEqual(['ERR_AUTHORIZATION']);
    await broker.time.advance(2_000);
    expect(broker.seen('fetch').length).toBe(1);
  });

  test('a position outside the log is reported with the log bounds, and the partition goes on where it is assigned anew', async () => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a', 'b', 'c']));
    broker.partition('t').start = 1;
    consumer.assign([at(9)]);
    expect(await next(broker, consumer)).toEqual([{ kind: 'outOfRange', topic: 't', partition: 0, position: 9, logStart: 1, logEnd: 3 }]);
    consumer.assign([at(2)]);
    expect(records(await next(broker, consumer))).toEqual(['2=c']);
  });

  test('a position that was outside and is in the log again by the time its bounds are known is fetched again, and not reported', async () => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a', 'b', 'c']));
    broker.script(
      'fetch',
      answer(broker, () => ({ errorCode: 1 })),
    );
    consumer.assign([at(2)]);
    expect(records(await next(broker, consumer))).toEqual(['2=c']);
  });

  test('a topic that was deleted and made again is reported once and not read with the old offset', async () => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a']));
    consumer.assign([at(0), at(0, 't', 1)]);
    expect(records(await next(broker, consumer))).toEqual(['0=a']);
    broker.topic('t', 2, Buffer.from('another topic id').toString('base64url'));
    expect(await next(broker, consumer)).toEqual([{ kind: 'recreated', topic: 't' }]);
    expect(await broker.run(consumer.poll(2_000))).toEqual([]);
  });

  test('a topic made again is noticed too when something else has asked for metadata meanwhile', async () => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a']));
    broker.append('t', 1, batch(['b']));
    consumer.assign([at(0), at(0, 't', 1)]);
    while (consumer.position(at(0)) !== 1 || consumer.position(at(0, 't', 1)) !== 1) records(await next(broker, consumer));
    consumer.pause(at(0, 't', 1));
    broker.script(
      'fetch',
      answer(broker, () => ({ errorCode: 1 })),
    );
    broker.script('listOffsets', () => {
      broker.topic('t', 2, Buffer.from('another topic id').toString('base64url'));
      return { topics: [{ name: 't', partitions: [{ partitionIndex: 0, errorCode: 6 }] }] };
    });
    broker.append('t', 0, batch(['c']));
    broker.append('t', 1, batch(['of another topic']));
    const events: PollEvent[] = [...(await next(broker, consumer))];
    consumer.resume(at(0, 't', 1));
    events.push(...(await broker.run(consumer.poll(2_000))));
    expect(events.map(({ kind }) => kind)).toContain('recreated');
    expect(events.filter(({ kind }) => kind === 'data')).toEqual([]);
  });

  test('a topic that stays unknown is reported as failed after the request timeout', async () => {
    const { broker, consumer } = await setUp();
    consumer.assign([at(0, 'nowhere')]);
    const [event] = await next(broker, consumer);
    expect(event?.kind === 'failed' && (event.error as { code?: string }).code).toBe('ERR_TOPIC_MISSING');
    expect(broker.time.clock.monotonicMs()).toBeGreaterThan(2_000);
  });

  test('after a change of leader a lost tail is noticed: the position past it is reported', async () => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a', 'b', 'c']));
    consumer.assign([at(0)]);
    records(await next(broker, consumer));
    broker.leaderEpoch = 6;
    broker.script(
      'fetch',
      answer(broker, () => ({ errorCode: 74 })),
    );
    broker.script('offsetForLeaderEpoch', () => ({ topics: [{ topic: 't', partitions: [{ errorCode: 0, partition: 0, leaderEpoch: 5, endOffset: 2 }] }] }));
    const events = await next(broker, consumer);
    expect(events).toMatchObject([{ kind: 'outOfRange', position: 3, logEnd: 2 }]);
    expect(broker.seen('offsetForLeaderEpoch')[0]?.body.topics[0].partitions[0]).toMatchObject({ currentLeaderEpoch: 6, leaderEpoch: 5 });
  });

  test('a broker that goes away and comes back is read on without an event', async () => {
    const { broker, consumer } = await setUp();
    broker.append('t', 0, batch(['a']));
    consumer.assign([at(0)]);
    records(await next(broker, consumer));
    broker.network.hold();
    await broker.time.advance(30_000);
    broker.network.release();
    broker.append('t', 0, batch(['b']));
    expect(records(await next(broker, consumer))).toEqual(['1=b']);
  });

  test('whenever it is closed while it looks for a broker that is away, it leaves no timer', async () => {
    for (let afterMs = 0; afterMs < 2_000; afterMs += 25) {
      const broker = new ScriptedBroker();
      const consumer = createConsumer(broker.connection, { isolation: 'read_committed' }, broker.ports);
      consumer.assign([at(0)]);
      await broker.time.advance(afterMs);
      await consumer.close();
      await broker.time.advance(0);
      await broker.time.runUntilIdle(0);
    }
  });

  test('no broker at all is told by a poll, after the connection timeout, with the address and what to try; later it works', async () => {
    const broker = new ScriptedBroker();
    broker.topic('t');
    broker.append('t', 0, batch(['a']));
    const consumer = createConsumer(broker.connection, { isolation: 'read_committed' }, broker.ports);
    consumer.assign([at(0)]);
    await expect(next(broker, consumer)).rejects.toMatchObject({
      code: 'ERR_BROKER_UNREACHABLE',
      message: expect.stringMatching(/broker:9092.*1000 ms.*Check/s),
    });
    await broker.listen();
    expect(records(await next(broker, consumer))).toEqual(['0=a']);
  });
});
