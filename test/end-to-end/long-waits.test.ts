// Waits longer than the timeouts, in virtual time: a restore longer than session, transaction and request timeouts (fault row B5), and an application
// that is idle until the broker has forgotten its producer (B6).
import { serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import type { AppEvent } from '@millrace/runtime';
import { expect, test } from 'vitest';
import type { AskedRequest } from './answering-network.ts';
import { AppRig } from './app-rig.ts';
import { virtualGround } from './virtual-ground.ts';

const text = { key: serde.string(), value: serde.string() };
const flow = topology('waiting', (t) => {
  const sizes = t
    .stream(topic('in', text))
    .groupByKey()
    .reduce((_, value) => value, { store: store.keyValue('last', text), emit: 'onUpdate' })
    .toStream()
    .mapValues((value) => String(value.length), { value: serde.string() });
  sizes.to(topic('out', text));
});
const large = (key: string, bytes: number) => ({ key, value: key.padEnd(bytes, '.'), timestamp: 1 });
const tuning = { sessionTimeout: 1500, transactionTimeout: 2000, taskTimeout: 20_000 } as const;

test('a restore of half a minute: the member stays, nothing is fenced or begun anew, its progress is told, and it ends right', async () => {
  const ROWS = 30;
  const HOLD_MS = 1_000;
  const asked: string[] = [];
  const ground = virtualGround(5, ({ name, clientId }: AskedRequest) => {
    asked.push(name);
    return name === 'Fetch' && clientId?.endsWith('-restore') ? { holdMs: HOLD_MS } : undefined;
  });
  const { run } = ground;
  const rig = new AppRig(ground);
  await run(rig.start(), 'the broker');
  await run(rig.createTopicsWith(1, { 'retention.ms': '-1' }, 'in', 'out'), 'the topics');
  const options = { engine: 'memory', requestTimeout: 3000, tuning } as const;
  const first = await run(rig.app(flow, { ...options, disk: 'first' }), 'the first instance');
  for (let row = 0; row < ROWS; row++) await run(rig.send('in', [large(`key-${row}`, 900_000)]), 'an acknowledgement');
  await run(first.drained(), 'the first rows');
  await run(first.close(), 'the end of the first');

  asked.length = 0;
  const second = rig.create(flow, { ...options, disk: 'second' });
  const events: AppEvent[] = [];
  second.events.subscribe((event) => void events.push(event));
  const beganMs = ground.time.clock.monotonicMs();
  await run(second.start(), 'the second start');
  await run(second.waitFor('running'), 'the end of the restore');
  const tookMs = ground.time.clock.monotonicMs() - beganMs;
  expect(tookMs).toBeGreaterThan(10 * tuning.transactionTimeout);
  const count = (name: string): number => asked.filter((one) => one === name).length;
  expect([count('InitProducerId'), count('JoinGroup'), count('Heartbeat') > tookMs / tuning.sessionTimeout]).toEqual([1, 2, true]);
  expect(events.filter(({ kind }) => kind === 'lost' || kind === 'revoked' || kind === 'workerFailed')).toEqual([]);
  const told = events.flatMap((event) => (event.kind === 'restoreProgress' ? [event] : []));
  expect(told.length).toBeGreaterThan(10);
  expect(told.map(({ remaining }) => remaining)).toEqual(told.map(({ remaining }) => remaining).sort((left, right) => right - left));
  expect(told.some(({ remaining, etaMs }) => remaining > 0 && etaMs !== undefined && etaMs > 0)).toBe(true);
  expect(told.at(-1)).toMatchObject({ store: 'last', partition: 0, restored: ROWS, remaining: 0, etaMs: 0 });

  await run(rig.send('in', [large('key-0', 5)]), 'an acknowledgement');
  await run(second.drained(), 'the last record');
  await run(second.close(), 'the end of the second');
  expect((await run(rig.read('out'), 'what came out')).map(({ value }) => value)).toEqual([...Array.from({ length: ROWS }, () => '900000'), '5']);
  await run(rig.close(), 'the end of the broker');
}, 300_000);

test.each(['exactly-once', 'at-least-once'] as const)(
  'an application that was idle until the broker had forgotten its producer goes on, %s',
  async (guarantee) => {
    const asked: string[] = [];
    const ground = virtualGround(6, ({ name }: AskedRequest) => {
      asked.push(name);
      return undefined;
    });
    const { run } = ground;
    const broker = { transactions: { idExpirationMs: 10_000, expirationIntervalMs: 2_000 }, limits: { producerExpirationMs: 10_000, retentionCheckMs: 2_000 } };
    const rig = new AppRig({ ...ground, broker });
    await run(rig.start(), 'the broker');
    await run(rig.createTopicsWith(1, { 'retention.ms': '-1' }, 'in', 'out'), 'the topics');
    const app = await run(rig.app(flow, { engine: 'memory', disk: 'state', guarantee, tuning }), 'the instance');
    for (let round = 1; round <= 5; round++) {
      await run(rig.send('in', [large('k', round)]), 'an acknowledgement');
      await run(app.drained(), 'the record');
      await ground.pass(60_000);
    }
    expect(app.failure).toBeUndefined();
    // The id had gone: without a new one nothing could have been written.
    if (guarantee === 'exactly-once') expect(asked.filter((name) => name === 'InitProducerId').length).toBeGreaterThan(1);
    await run(app.close(), 'the end');
    expect((await run(rig.read('out'), 'what came out')).map(({ value }) => value)).toEqual(['1', '2', '3', '4', '5']);
    await run(rig.close(), 'the end of the broker');
  },
);
