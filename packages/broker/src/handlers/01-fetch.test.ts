import { type Disk, memoryDisk, seededChance, virtualTime } from '@millrace/core';
import type { APIS, RequestBody, ResponseInput } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import type { RequestContext } from '../handler.ts';
import { SpareBuffers } from '../spare-buffers.ts';
import { appendSpec, logHost, marker } from '../testing/log-fixture.ts';
import { Topics } from '../topics/topics.ts';
import { fetchHandler } from './01-fetch.ts';

type Request = RequestBody<typeof APIS.fetch>;
type Response = ResponseInput<typeof APIS.fetch>;

function setUp(disk: Disk = memoryDisk()) {
  const time = virtualTime();
  const topics = new Topics({ ...logHost(disk), chance: seededChance(1) }, '/data', 0);
  topics.create('t', 2, {});
  const { handler } = fetchHandler({ topics, timers: time.timers, fetchBytesMax: 1_000_000, spare: new SpareBuffers() });
  const closeHooks = new Set<() => void>();
  const context = {
    version: 12,
    whenTaken: () => {},
    connection: {
      closed: false,
      onClose: (run: () => void) => {
        closeHooks.add(run);
        return () => closeHooks.delete(run);
      },
    },
  } as unknown as RequestContext;
  let answer: Response | undefined;
  const fetch = (extra: Partial<Request> = {}, offsets: readonly number[] = [0]): void => {
    answer = undefined;
    const partitions = offsets.map((fetchOffset, partition) => ({ partition, fetchOffset, partitionMaxBytes: 1_000_000, currentLeaderEpoch: -1 }));
    const request = {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 1_000_000,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [{ topic: 't', partitions }],
      ...extra,
    };
    void Promise.resolve(handler(request, context)).then((response) => {
      answer = response as Response;
    });
  };
  const log = (partition = 0) => topics.get('t')?.logs[partition] as NonNullable<ReturnType<Topics['log']>>;
  const sizes = () => answer?.responses?.flatMap(({ partitions }) => partitions.map(({ records }) => (records as Buffer).length));
  return { time, topics, fetch, log, closeHooks, sizes, answer: () => answer };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const record = { records: [['k', 'v']] } as const;

test('a fetch at the log end waits, and is answered by the append', async () => {
  const { fetch, log, answer, sizes } = setUp();
  fetch();
  await turn();
  expect(answer()).toBeUndefined();
  appendSpec(log(), record);
  await turn();
  expect(sizes()?.[0]).toBeGreaterThan(0);
});

test('without data it is answered when its time is over, empty', async () => {
  const { fetch, time, answer, sizes } = setUp();
  fetch();
  await time.advance(499);
  expect(answer()).toBeUndefined();
  await time.advance(1);
  expect(sizes()).toEqual([0]);
});

test('min_bytes is counted over all its partitions, and what is there is answered at the end of the wait', async () => {
  const { fetch, log, time, answer, sizes } = setUp();
  const one = ((): number => {
    appendSpec(log(), record);
    return log().sizeBytes;
  })();
  fetch({ minBytes: one * 2 }, [0, 0]);
  await turn();
  expect(answer()).toBeUndefined();
  appendSpec(log(1), record);
  await turn();
  expect(sizes()).toEqual([one, one]);
  fetch({ minBytes: one * 9 }, [0, 0]);
  await time.advance(500);
  expect(sizes()).toEqual([one, one]);
});

test('read_committed sees nothing of an open transaction and is woken by its marker', async () => {
  const { fetch, log, answer, sizes } = setUp();
  appendSpec(log(), { ...record, producerId: 1, transactional: true });
  fetch({ isolationLevel: 1 });
  await turn();
  expect(answer()).toBeUndefined();
  log().appendMarker(marker(1, false), 0);
  await turn();
  expect(sizes()?.[0]).toBeGreaterThan(0);
  const partition = answer()?.responses?.[0]?.partitions[0];
  expect(partition).toMatchObject({ lastStableOffset: 2, abortedTransactions: [{ producerId: 1, firstOffset: 0 }] });
});

test('read_uncommitted gets the open transaction, and no list', async () => {
  const { fetch, log, answer } = setUp();
  appendSpec(log(), { ...record, producerId: 1, transactional: true });
  fetch();
  await turn();
  expect(answer()?.responses?.[0]?.partitions[0]).toMatchObject({ lastStableOffset: 0, highWatermark: 1, abortedTransactions: null });
});

test('the limit of the whole answer holds after the first batch, whichever partition it came from', async () => {
  const { fetch, log, sizes } = setUp();
  for (const partition of [0, 1]) appendSpec(log(partition), { records: [['k', 'x'.repeat(1_000)]] });
  fetch({ maxBytes: 10 }, [0, 0]);
  await turn();
  expect(sizes()?.[0]).toBeGreaterThan(1_000);
  expect(sizes()?.[1]).toBe(0);
});

test('an error in one partition answers at once', async () => {
  const { fetch, answer } = setUp();
  fetch({}, [0, 99]);
  await turn();
  expect(answer()?.responses?.[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([0, 1]);
});

test('the end of the connection takes a parked fetch away with everything it held', async () => {
  const { fetch, log, closeHooks, time, answer } = setUp();
  fetch();
  for (const run of [...closeHooks]) run();
  await turn();
  expect(answer()).toBeDefined();
  expect(closeHooks.size).toBe(0);
  appendSpec(log(), record);
  await time.runUntilIdle();
});

describe('a partition whose file has rotted', () => {
  /** Ten batches, the third one with a length that no batch has, and a reader at the log end that nobody has read up to. */
  function rotted() {
    const disk = memoryDisk();
    const mine = setUp(disk);
    for (let at = 0; at < 10; at++) appendSpec(mine.log(), record);
    const segment = mine.log().segments[0] as { readonly logPath: string; readonly sizeBytes: number };
    const file = disk.open(segment.logPath, 'open');
    file.write(Buffer.from([0, 0, 0, 1]), (segment.sizeBytes / 10) * 2 + 8);
    file.close();
    return mine;
  }
  const codes = (mine: ReturnType<typeof setUp>) => mine.answer()?.responses?.[0]?.partitions.map(({ errorCode }) => errorCode);

  test('a parked fetch that an append wakes is answered with that, and the process goes on', async () => {
    const mine = rotted();
    mine.fetch({ minBytes: 5_000 }, [10, 0]);
    await turn();
    expect(mine.answer()).toBeUndefined();
    appendSpec(mine.log(), record);
    await turn();
    expect(codes(mine)).toEqual([2, 0]);
  });

  test('a fetch that asks for much is answered with that, not with the end of its connection', async () => {
    const mine = rotted();
    mine.fetch({ minBytes: 5_000 }, [5, 0]);
    await turn();
    expect(codes(mine)).toEqual([2, 0]);
  });
});
