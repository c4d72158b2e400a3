import { createHeaders, noHeaders, type RecordHeaders, serde, silentLogger } from '@millrace/core';
import { type NodeContext, type NodeProcessor, store } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import type { FixedKeyProcessorContext, FixedKeyRecord, ProcessorContext, StreamRecord } from '../processor.ts';
import { type ErasedProcessorSpec, processOperator } from './process.ts';

type Context = ProcessorContext<unknown, unknown>;
type Input = StreamRecord<unknown, unknown>;

/** One node with the parts of its task that a processor can see. */
class Bench {
  readonly out: { readonly to: string; readonly key: unknown; readonly value: unknown; readonly at: number; readonly headers: string[] }[] = [];
  readonly timers: ((at: number) => void)[] = [];
  readonly asked: unknown[] = [];
  readonly record = { timestamp: 7, headers: noHeaders as RecordHeaders, streamTime: 9, taskId: '0_1', source: { topic: 'in', partition: 1, offset: 4 } };
  readonly node: NodeProcessor;

  constructor(spec: object, keys: 'free' | 'fixed' = 'free') {
    this.node = processOperator(spec as ErasedProcessorSpec, keys)(this.context());
  }

  context(): NodeContext {
    const { record, asked } = this;
    const send = (to: string, key: unknown, value: unknown, at = record.timestamp): void =>
      void this.out.push({ to, key, value, at, headers: [...record.headers].map(([name]) => name) });
    const context: Partial<NodeContext> = {
      node: 'mine',
      applicationId: 'app',
      taskId: '0_1',
      partition: 1,
      record,
      log: silentLogger,
      wallClockMs: () => 1000,
      emitIntervalMs: 0,
      forward: (key, value) => send('*', key, value),
      forwardAt: (key, value, timestamp) => send('*', key, value, timestamp),
      forwardTo: (child, key, value) => send(child, key, value),
      store: (name) => name,
      schedule: (everyMs, by, punctuate, startAtMs) => {
        asked.push({ everyMs, by, startAtMs });
        this.timers.push(punctuate);
        return { cancel() {}, [Symbol.dispose]() {} };
      },
      requestCommit: () => void asked.push('commit'),
      drop() {},
    };
    return context as NodeContext;
  }
}

describe('process', () => {
  test('forwards records with their own time and headers, to all or to one, and leaves the cursor as it was', () => {
    const bench = new Bench({
      create: (context: Context) => ({
        process(record: Input) {
          context.forward(record.withKey('other').withTimestamp(3), { to: 'left' });
          context.forward(record.withValue(2).withHeaders(record.headers.with('h', 'x')));
          context.forward(context.record('new', 'one', 5));
        },
      }),
    });
    bench.record.headers = createHeaders([['was', 'here']]);
    bench.node.process('k', 1);
    expect(bench.out).toEqual([
      { to: 'left', key: 'other', value: 1, at: 3, headers: ['was'] },
      { to: '*', key: 'k', value: 2, at: 7, headers: ['was', 'h'] },
      { to: '*', key: 'new', value: 'one', at: 5, headers: [] },
    ]);
    expect(bench.record.timestamp).toBe(7);
    expect([...bench.record.headers].map(([name]) => name)).toEqual(['was']);
  });

  test('sees its task: position, times, stores, commit', () => {
    const counts = store.keyValue('counts', { key: serde.string(), value: serde.safeInt() });
    let seen: unknown;
    const bench = new Bench({
      create: (context: Context) => ({
        process() {
          const { applicationId, taskId, partition, source, streamTime, wallClock } = context;
          seen = { applicationId, taskId, partition, offset: source?.offset, streamTime, wallClock, store: context.store(counts) };
          context.commit();
        },
      }),
    });
    bench.node.process('k', 1);
    expect(seen).toEqual({ applicationId: 'app', taskId: '0_1', partition: 1, offset: 4, streamTime: 9, wallClock: 1000, store: 'counts' });
    expect(bench.asked).toEqual(['commit']);
  });

  test('schedules by words and numbers, and forwards while a timer runs', () => {
    const bench = new Bench({
      create(context: Context) {
        context.schedule('10s', 'wallClock', (at) => context.forward(context.record('tick', at, at)), { startAt: 3 });
        context.schedule(5, 'streamTime', () => {});
        return { process() {} };
      },
    });
    expect(bench.asked).toEqual([
      { everyMs: 10_000, by: 'wallClock', startAtMs: 3 },
      { everyMs: 5, by: 'streamTime', startAtMs: undefined },
    ]);
    bench.timers[0]?.(42);
    expect(bench.out).toMatchObject([{ key: 'tick', value: 42, at: 42 }]);
  });

  test('cannot forward when nothing is processed, not even after a failure', () => {
    let kept: Context | undefined;
    const bench = new Bench({
      create(context: Context) {
        kept = context;
        return {
          process() {
            throw new Error('mine');
          },
        };
      },
    });
    expect(() => bench.node.process('k', 1)).toThrow('mine');
    expect(() => kept?.forward(kept.record('k', 1, 1))).toThrow(/while it processes none/);
    expect(bench.out).toEqual([]);
  });

  test.each([-1, 1.5, Number.NaN])('refuses the time %d', (time) => {
    const bench = new Bench({ create: () => ({ process: (record: Input) => void record.withTimestamp(time) }) });
    expect(() => bench.node.process('k', 1)).toThrow(/cannot have the timestamp/);
    const forger = new Bench({ create: (context: Context) => ({ process: (record: Input) => context.forward({ ...record, timestamp: time } as Input) }) });
    expect(() => forger.node.process('k', 1)).toThrow(/cannot have the timestamp/);
  });

  test('wants a processor of its own for each task', () => {
    const one = { process() {} };
    const create = processOperator({ create: () => one }, 'free');
    const bench = new Bench({ create: () => ({ process() {} }) });
    create(bench.context());
    expect(() => create(bench.context())).toThrow(/same processor for two tasks/);
    expect(() => new Bench({ create: () => ({}) })).toThrow(/returned no processor/);
  });

  test('closes what it has made', () => {
    let closed = 0;
    const bench = new Bench({ create: () => ({ process() {}, close: () => void closed++ }) });
    bench.node.close?.();
    expect(closed).toBe(1);
  });
});

describe('processValues', () => {
  type Fixed = FixedKeyRecord<unknown, unknown>;
  test('forwards what came in, with another value, time or headers', () => {
    const bench = new Bench(
      {
        create: (context: FixedKeyProcessorContext<unknown, unknown>) => ({
          process(record: Fixed) {
            context.forward(record);
            context.forward(record.withValue(2).withTimestamp(3).withHeaders(record.headers.with('h', 'x')), { to: 'left' });
          },
        }),
      },
      'fixed',
    );
    bench.node.process('k', 1);
    expect(bench.out).toEqual([
      { to: '*', key: 'k', value: 1, at: 7, headers: [] },
      { to: 'left', key: 'k', value: 2, at: 3, headers: ['h'] },
    ]);
  });

  test('takes no record of another make, whose key could be new', () => {
    const bench = new Bench(
      {
        create: (context: FixedKeyProcessorContext<unknown, unknown>) => ({
          process: (record: Fixed) => context.forward({ ...record, key: 'other' } as Fixed),
        }),
      },
      'fixed',
    );
    expect(() => bench.node.process('k', 1)).toThrow(/of its own making/);
  });
});
