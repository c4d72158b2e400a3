// Asynchronous operators in a real worker over the memory log: what a commit, a crash, a hand-over and a failure make of calls under way.
import type { Offset } from '@millrace/core';
import { type AsyncContext, type AsyncOptions, deadLetter, serde, store, topic, topology } from 'millrace';
import { expect, test } from 'vitest';
import { decodeOffsetMetadata, encodeOffsetMetadata } from '../../packages/runtime/src/commit/offset-metadata.ts';
import { MemoryLog } from '../../packages/runtime/src/testing/memory-log.ts';
import { assignmentOf, Disk, type Rig, refuse, startRig, until } from '../../packages/runtime/src/testing/worker-rig.ts';

const text = { key: serde.string(), value: serde.string() };
const input = topic('in', text);
const output = topic('out', text);

/** Calls under way, answered by the test. */
class World {
  readonly asked: { readonly value: string; readonly context: AsyncContext; answer(value: string): void; refuse(error: Error): void }[] = [];
  readonly call = (value: string, _key: string, context: AsyncContext): Promise<string> =>
    new Promise((resolve, reject) => {
      this.asked.push({ value, context, answer: resolve, refuse: reject });
    });
  values(): string[] {
    return this.asked.map(({ value }) => value);
  }
  answer(...values: string[]): void {
    for (const value of values) {
      const one = this.asked.find((each) => each.value === value && !answered.has(each));
      if (one === undefined) throw new Error(`nobody asked for ${value}`);
      answered.add(one);
      one.answer(value.toUpperCase());
    }
  }
}
const answered = new WeakSet<object>();

const calling = (world: World, options: Partial<AsyncOptions> = {}) =>
  topology('async', (t) => {
    t.stream(input)
      .mapValuesAsync(world.call, { as: 'ask', concurrency: 4, ...options, value: serde.string() })
      .to(output);
  });

function logOf(...rows: [key: string, value: string][]): MemoryLog {
  const log = new MemoryLog();
  log.createTopic('in', 1);
  log.createTopic('out', 1);
  log.createTopic('dlq', 1);
  log.createTopic('app-ask-pending-changelog', 1);
  log.createTopic('app-seen-changelog', 1);
  produce(log, 0, ...rows);
  return log;
}
const produce = (log: MemoryLog, from: number, ...rows: [key: string, value: string][]): void => {
  if (rows.length > 0)
    log.produce(
      'in',
      0,
      rows.map(([key, value], index) => ({ key, value, at: 1000 + from + index })),
    );
};
const inputAt = (rig: Rig) => rig.log.committed.get('in-0')?.offset;
const outputOf = (rig: Rig) => rig.log.visible('out');
const pendingRows = (rig: Rig) => rig.log.rows('app-ask-pending-changelog').filter(({ visible }) => visible);

test('results of one key come in input order, one call at a time; other keys pass', async () => {
  const world = new World();
  const rig = startRig({ log: logOf(['a', 'a1'], ['a', 'a2'], ['b', 'b1']), topology: calling(world) });
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => world.asked.length === 2);
  expect(world.values()).toEqual(['a1', 'b1']);
  world.answer('b1');
  await until(() => outputOf(rig).length === 1);
  world.answer('a1');
  await until(() => world.asked.length === 3);
  world.answer('a2');
  await until(() => outputOf(rig).length === 3);
  expect(outputOf(rig)).toEqual(['B1', 'A1', 'A2']);
  expect(rig.log.rows('out').map(({ timestamp }) => timestamp)).toEqual([1002, 1000, 1001]);
  await rig.worker.stop(10_000);
});

test('order input: calls run side by side, results in input order', async () => {
  const world = new World();
  const rig = startRig({ log: logOf(['a', '1'], ['a', '2'], ['b', '3']), topology: calling(world, { order: 'input' }) });
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => world.asked.length === 3);
  world.answer('3', '2');
  await until(() => inputAt(rig) === 3);
  expect(outputOf(rig)).toEqual([]);
  world.answer('1');
  await until(() => outputOf(rig).length === 3);
  expect(outputOf(rig)).toEqual(['1', '2', '3']);
  await rig.worker.stop(10_000);
});

test('a commit does not wait for a slow call: the input offset passes it, the pending store holds it, and what came and went is never written', async () => {
  const world = new World();
  const rig = startRig({ log: logOf(['a', 'slow'], ['b', 'quick']), topology: calling(world), timing: { commitIntervalMs: 500 } });
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => world.asked.length === 2);
  world.answer('quick');
  await until(() => inputAt(rig) === 2);
  expect(outputOf(rig)).toEqual(['QUICK']);
  expect(pendingRows(rig)).toHaveLength(1);
  world.answer('slow');
  await until(() => outputOf(rig).length === 2);
  expect(pendingRows(rig).map(({ value }) => value === null)).toEqual([false, true]);
  await rig.worker.stop(10_000);
});

test('after a crash exactly the calls without a committed result are made again, in arrival order, with the same idempotency keys', async () => {
  const world = new World();
  const log = logOf(['a', 'a1'], ['b', 'b1'], ['c', 'c1']);
  const first = startRig({ log, topology: calling(world) });
  await first.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => world.asked.length === 3);
  world.answer('b1');
  await until(() => outputOf(first).length === 1 && inputAt(first) === 3);
  // The answer to a1 is applied and forwarded, but its span is never committed.
  log.gate = { before: (call) => (call.kind === 'sendOffsets' ? refuse('ERR_AUTHORIZATION') : undefined) };
  world.answer('a1');
  expect(await first.ended()).toMatchObject({ code: 'ERR_AUTHORIZATION' });
  expect(log.rows('out').map(({ value, visible }) => [value, visible])).toEqual([
    ['B1', true],
    ['A1', false],
  ]);
  const before = new Map(world.asked.map(({ value, context }) => [value, context.idempotencyKey]));

  log.gate = {};
  const again = new World();
  const second = startRig({ log, topology: calling(again) }); // another member: no disk, the same transactional id
  await second.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => again.asked.length === 2);
  expect(again.values()).toEqual(['a1', 'c1']);
  for (const { value, context } of again.asked) expect(context).toMatchObject({ idempotencyKey: before.get(value), attempt: 1 });
  again.answer('c1', 'a1');
  await until(() => outputOf(second).length === 3);
  expect([...outputOf(second)].sort()).toEqual(['A1', 'B1', 'C1']);
  await second.worker.stop(10_000);
  expect(again.asked).toHaveLength(2);
});

test('a revocation does not wait for calls: they are aborted, what they say later is not heard, and the next owner makes them again', async () => {
  const world = new World();
  const disk = new Disk();
  const log = logOf(['a', 'a1']);
  const first = startRig({ log, disk, topology: calling(world) });
  await first.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => world.asked.length === 1);
  await first.worker.assign(assignmentOf(log, []));
  expect(inputAt(first)).toBe(1);
  expect(world.asked[0]?.context.signal.reason).toMatchObject({ code: 'ERR_ABORTED' });
  world.answer('a1');
  const again = new World();
  const second = startRig({ log, topology: calling(again) });
  await second.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => again.asked.length === 1);
  again.answer('a1');
  await until(() => outputOf(second).length === 1);
  await Promise.all([first.worker.stop(10_000), second.worker.stop(10_000)]);
  expect(outputOf(second)).toEqual(['A1']);
});

test('a dropped span takes the calls of its records with it; they are made again from the input, and come out once', async () => {
  const world = new World();
  const log = logOf(['a', 'a1']);
  let refused = false;
  log.gate = {
    before(call) {
      if (call.kind !== 'sendOffsets' || refused) return undefined;
      refused = true;
      return refuse('ERR_TRANSACTION_ABORTABLE');
    },
  };
  const rig = startRig({ log, topology: calling(world) });
  await rig.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => world.asked.length === 2);
  expect(world.asked[0]?.context.signal.aborted).toBe(true);
  expect(world.asked[1]?.context.idempotencyKey).toBe(world.asked[0]?.context.idempotencyKey);
  world.asked[0]?.answer('of the dropped life');
  world.asked[1]?.answer('A1');
  await until(() => outputOf(rig).length === 1);
  await rig.worker.stop(10_000);
  expect(outputOf(rig)).toEqual(['A1']);
});

test('a full operator takes no further record, and goes on when there is room', async () => {
  const world = new World();
  const rows = Array.from({ length: 20 }, (_, index): [string, string] => [`k${index}`, `v${index}`]);
  const rig = startRig({ log: logOf(...rows), topology: calling(world, { concurrency: 2, order: 'none' }) });
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 2);
  expect(world.values()).toEqual(['v0', 'v1']);
  for (let index = 0; index < 20; index++) {
    await until(() => world.asked.length > index);
    expect(world.asked.length - index).toBeLessThanOrEqual(2);
    world.answer(`v${index}`);
  }
  await until(() => inputAt(rig) === 20 && outputOf(rig).length === 20);
  await rig.worker.stop(10_000);
});

test('a hot key fills the line, not the calls: four times the concurrency may be pending', async () => {
  const world = new World();
  const rows = Array.from({ length: 20 }, (_, index): [string, string] => ['hot', `v${index}`]);
  const rig = startRig({ log: logOf(...rows), topology: calling(world, { concurrency: 2 }) });
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 8);
  expect(world.asked).toHaveLength(1);
  await rig.worker.stop(10_000);
});

test('a failed call goes to the policy: fail ends the worker with nothing committed, skip and dead letter remove the record', async () => {
  for (const [onError, expected] of [
    ['fail', undefined],
    ['skip', []],
    [deadLetter('dlq'), ['a1']],
  ] as const) {
    const world = new World();
    const rig = startRig({ log: logOf(['a', 'a1']), topology: calling(world, { onError }), timing: { commitIntervalMs: 60_000 } });
    await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
    await until(() => world.asked.length === 1);
    world.asked[0]?.refuse(new Error('no luck'));
    if (expected === undefined) {
      expect(await rig.ended()).toMatchObject({ code: 'ERR_TASK_FAILED', where: { stage: 'async', node: 'ask', offset: 0 } });
      expect(inputAt(rig)).toBeUndefined();
      continue;
    }
    await until(() => rig.failures.length === 1);
    await rig.worker.stop(10_000);
    expect(rig.failures[0]).toMatchObject({ stage: 'async', node: 'ask', source: { offset: 0 } });
    expect(inputAt(rig)).toBe(1);
    expect(rig.log.visible('dlq')).toEqual(expected);
    expect(pendingRows(rig)).toEqual([]);
  }
});

test('a dead letter of a call made again after a crash still holds the record as it was read', async () => {
  const log = logOf(['a', 'a1']);
  const world = new World();
  const first = startRig({ log, topology: calling(world, { onError: deadLetter('dlq') }) });
  await first.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => inputAt(first) === 1);
  await first.worker.stop(10_000);
  const again = new World();
  const second = startRig({ log, topology: calling(again, { onError: deadLetter('dlq') }) });
  await second.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => again.asked.length === 1);
  again.asked[0]?.refuse(new Error('no luck'));
  await until(() => log.visible('dlq').length === 1);
  await second.worker.stop(10_000);
  expect(log.rows('dlq')[0]).toMatchObject({ key: 'a', value: 'a1', timestamp: 1000 });
});

test('processAsync reads its stores before each attempt and writes them with the answer', async () => {
  const seen = store.keyValue('seen', { key: serde.string(), value: serde.string() });
  const calls: string[] = [];
  const program = topology('async', (t) => {
    t.stream(input)
      .processAsync(
        {
          stores: [seen],
          read: (record, stores) => stores.store(seen).get(record.key),
          call: async (record, known, { attempt }) => {
            if (known !== undefined) return known;
            calls.push(`${record.value}#${attempt}`);
            if (attempt === 1) throw new Error('try again');
            return record.value.toUpperCase();
          },
          apply(record, answer, context) {
            context.store(seen).put(record.key, answer);
            context.forward(record.withValue(answer));
          },
        },
        { as: 'ask', concurrency: 2, retry: { attempts: 2, backoff: 1 }, key: serde.string(), value: serde.string() },
      )
      .to(output);
  });
  const rig = startRig({ log: logOf(['a', 'x'], ['a', 'y'], ['b', 'z']), topology: program });
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => outputOf(rig).length === 3);
  await rig.worker.stop(10_000);
  expect([...outputOf(rig)].sort()).toEqual(['X', 'X', 'Z']);
  expect(calls.filter((each) => each.startsWith('y'))).toEqual([]);
});

test('an operator without a bound, or with one out of range, is refused when the topology is built', () => {
  const world = new World();
  expect(() => calling(world, { concurrency: undefined as never })).toThrow(/concurrency/);
  expect(() => calling(world, { concurrency: 0 })).toThrow(/ask: concurrency is 0/);
  expect(() => calling(world, { order: 'sorted' as never })).toThrow(/'key', 'input' or 'none'/);
});

test('a call that does not listen to its signal holds its place until it ends, and is counted meanwhile', async () => {
  const world = new World();
  const skipping = calling(world, { concurrency: 2, timeout: '400ms', onError: 'skip', order: 'none' });
  const rig = startRig({ topology: skipping, log: logOf(['a', 'a'], ['b', 'b'], ['c', 'c'], ['d', 'd']) });
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  const stray = () => rig.buffers.find(({ buffer }) => buffer === 'async-stray')?.held;
  await until(() => stray() === 2);
  expect(world.values()).toEqual(['a', 'b']); // their time is up, their records were skipped, and they still run
  world.answer('a');
  await until(() => world.values().length === 3);
  world.answer('b', 'c');
  await until(() => world.values().length === 4);
  world.answer('d');
  await until(() => inputAt(rig) === 4 && stray() === 0);
  await rig.worker.stop(10_000);
});

test('rows of two owners never share a number: what an owner that was cut off still writes takes nothing away from its successor', async () => {
  const numbers: (string | null)[] = [];
  for (let owner = 0; owner < 2; owner++) {
    const rig = startRig({ log: logOf(['a', 'a1']), topology: calling(new World()) });
    await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
    await until(() => pendingRows(rig).length === 1);
    numbers.push(...pendingRows(rig).map(({ key }) => key));
    await rig.worker.stop(10_000);
    const endedMs = Date.now();
    await until(() => Date.now() > endedMs);
  }
  expect(new Set(numbers).size).toBe(2);
});

test('committed offsets that still tell of calls, all of which have been answered, are committed again without them', async () => {
  // At-least-once: the answers were written, and the commit that would have said so was refused.
  const log = logOf(['a', 'a1']);
  log.committed.set('in-0', {
    topic: 'in',
    partition: 0,
    offset: 1 as Offset,
    leaderEpoch: 0,
    metadata: encodeOffsetMetadata({ partitionTime: 1000, processors: new Map(), pendingOutside: 1 }),
  });
  const world = new World();
  const rig = startRig({ log, topology: calling(world) });
  await rig.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => decodeOffsetMetadata(log.committed.get('in-0')?.metadata ?? '').pendingOutside === undefined);
  expect([inputAt(rig), world.values()]).toEqual([1, []]);
  await rig.worker.stop(10_000);
});

test('bytes that wait for an answer are the record’s own: the frame they came in is used again meanwhile', async () => {
  const raw = { key: serde.bytes(), value: serde.bytes() };
  const asked: { readonly key: Uint8Array; readonly value: Uint8Array; answer(value: Uint8Array): void }[] = [];
  const program = topology('async', (t) => {
    t.stream(topic('in', raw))
      .mapValuesAsync((value, key) => new Promise<Uint8Array>((answer) => asked.push({ key, value, answer })), {
        as: 'ask',
        concurrency: 4,
        order: 'input',
        value: serde.bytes(),
      })
      .to(topic('out', raw));
  });
  const rig = startRig({ log: logOf(['a', 'first'], ['b', 'second']), topology: program });
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 2 && rig.log.framesOut === 0);
  expect(asked.map(({ value }) => Buffer.from(value).toString())).toEqual(['first', 'second']);
  asked[0]?.answer(Buffer.from('1'));
  asked[1]?.answer(Buffer.from('2'));
  await until(() => outputOf(rig).length === 2);
  expect(rig.log.rows('out').map(({ key, value }) => [key, value])).toEqual([
    ['a', '1'],
    ['b', '2'],
  ]);
  await rig.worker.stop(10_000);
});
