import type { LogProducer, ProduceAck } from '@millrace/client';
import { noHeaders } from '@millrace/core';
import { type BatchBuilder, BatchPool } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { BATCH_BYTES, OUTPUT_BYTES_MAX, Outbox } from './outbox.ts';

/** A producer whose answers the test gives. */
function createScript() {
  const sent: { topic: string; count: number; answer(ack: ProduceAck): void; refuse(error: Error): void }[] = [];
  const calls: string[] = [];
  const inFlight = { batches: 0, bytes: 0 };
  const producer = {
    inFlight,
    begin: () => void calls.push('begin'),
    send(topic: string, _partition: number, batch: BatchBuilder) {
      const { count, sizeBytes } = batch;
      inFlight.batches += 1;
      inFlight.bytes += sizeBytes;
      calls.push(`send ${topic} ${count}`);
      return new Promise<ProduceAck>((resolve, reject) => {
        const ended = (): void => {
          inFlight.batches -= 1;
          inFlight.bytes -= sizeBytes;
        };
        sent.push({
          topic,
          count,
          answer(ack) {
            ended();
            resolve(ack);
          },
          refuse(error) {
            ended();
            reject(error);
          },
        });
      });
    },
  } as unknown as LogProducer;
  return { producer, sent, calls };
}
const ack = (baseOffset: number, count = 1): ProduceAck => ({
  baseOffset: baseOffset as never,
  nextOffset: (baseOffset + count) as never,
  logAppendTime: -1,
  leaderEpoch: 3,
});

function createOutbox(transactional = true) {
  const script = createScript();
  let wakes = 0;
  const outbox = new Outbox({ producer: script.producer, batches: new BatchPool(), transactional, wake: () => wakes++ });
  const write = (topic: string, bytes = 10): void =>
    outbox
      .lane(topic, 0)
      .room(bytes + 64)
      .appendText(1, null, 0, 0, 'x'.repeat(bytes), noHeaders);
  return { ...script, outbox, write, wakes: () => wakes };
}
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('at low load a record leaves at once; while something is in flight batches gather', async () => {
  const { outbox, write, calls, sent } = createOutbox();
  write('a');
  outbox.sendFull();
  write('a');
  write('a');
  outbox.sendFull();
  expect(calls).toEqual(['begin', 'send a 1']);
  sent[0]?.answer(ack(0));
  await turn();
  expect(calls).toEqual(['begin', 'send a 1', 'send a 2']); // the acknowledgement sent them
});

test('a full batch leaves although others are in flight', () => {
  const { outbox, write, calls } = createOutbox();
  write('a');
  outbox.sendFull();
  write('b', BATCH_BYTES - 200);
  write('b', 1000);
  outbox.sendFull();
  expect(calls).toEqual(['begin', 'send a 1', 'send b 1']);
});

test('under exactly-once the open span waits while one is closing, and begins its own transaction afterwards', async () => {
  const { outbox, write, calls, sent } = createOutbox();
  write('a');
  const output = outbox.close();
  const all = outbox.sendAll(output);
  write('b');
  outbox.sendFull();
  expect(calls).toEqual(['begin', 'send a 1']);
  sent[0]?.answer(ack(7));
  await all;
  await turn();
  expect(output.ends.get(outbox.lane('a', 0))?.offset).toBe(8);
  expect(calls).toHaveLength(2);
  outbox.closed();
  outbox.sendFull();
  expect(calls.slice(2)).toEqual(['begin', 'send b 1']);
});

test('under at-least-once the open span is sent while one is closing', () => {
  const { outbox, write, calls } = createOutbox(false);
  write('a');
  outbox.close();
  write('b');
  outbox.sendFull();
  expect(calls).toContain('send b 1');
});

test('a refused batch fails its span, and only after the answer of every one does a good span pass', async () => {
  const { outbox, write, sent } = createOutbox();
  write('a');
  write('b');
  const output = outbox.close();
  let done = false;
  const all = outbox.sendAll(output).then(() => {
    done = true;
  });
  sent[0]?.answer(ack(0));
  await turn();
  expect(done).toBe(false);
  sent[1]?.refuse(new Error('refused'));
  await expect(all).rejects.toThrow('refused');
});

test('a cautious outbox sends nothing before the close', () => {
  const { outbox, write, calls } = createOutbox();
  outbox.cautious = true;
  write('a');
  outbox.sendFull();
  expect(calls).toEqual([]);
});

test('unsent and in flight together are bounded; room is told by a wake', async () => {
  const { outbox, write, sent, wakes } = createOutbox();
  for (let bytes = 0; bytes < OUTPUT_BYTES_MAX; bytes += 200_000) write('a', 200_000);
  expect(outbox.full).toBe(true);
  outbox.sendFull();
  expect(outbox.full).toBe(true);
  outbox.blocking = true;
  sent[0]?.answer(ack(0));
  await turn();
  expect(wakes()).toBeGreaterThan(0);
  expect(outbox.full).toBe(false);
});

test('a drop forgets what was not sent and does not listen to answers of what was', async () => {
  const { outbox, write, calls, sent } = createOutbox();
  write('a');
  outbox.sendFull();
  write('a');
  outbox.drop();
  sent[0]?.refuse(new Error('aborted'));
  await turn();
  expect(outbox.dirty).toBe(false);
  expect(outbox.open.failed).toBe(false);
  expect(calls).toEqual(['begin', 'send a 1']);
});

test('without transactions changelogs leave when every output has been acknowledged; within one all leave at once', async () => {
  for (const transactional of [false, true]) {
    const { outbox, sent, write } = createOutbox(transactional);
    outbox.lane('held-changelog', 0, true);
    write('held-changelog');
    write('out');
    const all = outbox.sendAll(outbox.close());
    expect(sent.map(({ topic }) => topic)).toEqual(transactional ? ['held-changelog', 'out'] : ['out']);
    sent.find(({ topic }) => topic === 'out')?.answer(ack(0));
    await turn();
    expect(sent).toHaveLength(2);
    sent.find(({ topic }) => topic === 'held-changelog')?.answer(ack(0));
    await all;
  }
});
