import { deadLetter } from '@millrace/topology';
import { expect, test } from 'vitest';
import { assignmentOf, countTopology, createLog, lines, type Rig, refuse, startRig, until } from './testing/worker-rig.ts';

const inputAt = (rig: Rig) => rig.log.committed.get('in-0')?.offset;
const headersOf = (row: { readonly headers: Iterable<readonly [string, Uint8Array | null]> } | undefined) =>
  Object.fromEntries([...(row?.headers ?? [])].map(([name, value]) => [name, Buffer.from(value ?? []).toString()]));

function logWithDeadLetters() {
  const log = createLog();
  log.createTopic('dlq', 1);
  return log;
}

test('a record that fails lies in the dead-letter topic as it was read, with what failed and where it came from; the rest goes on', async () => {
  const log = logWithDeadLetters();
  const rig = startRig({ log, topology: countTopology({ onError: deadLetter('dlq') }) });
  log.produce('in', 0, [...lines(1), { key: 'k', value: 'boom', at: 77 }, ...lines(1, 1)]);
  await rig.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => inputAt(rig) === 3);
  await rig.worker.stop(10_000);
  expect(log.visible('out')).toEqual(['a=1', 'b=1']);
  const rows = log.rows('dlq');
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({ key: 'k', value: 'boom', timestamp: 77, visible: true });
  expect(headersOf(rows[0])).toMatchObject({
    '__streams.errors.exception': 'Error',
    '__streams.errors.message': 'boom',
    '__streams.errors.topic': 'in',
    '__streams.errors.partition': '0',
    '__streams.errors.offset': '1',
  });
  expect(headersOf(rows[0])['__streams.errors.stacktrace']).toContain('Error: boom');
  expect(rig.drops).toContainEqual(['count', 'deadLetter', 1]);
});

test('the dead letter is part of the span: aborted with it, and visible once when the span is done again', async () => {
  const log = logWithDeadLetters();
  const rig = startRig({ log, topology: countTopology({ onError: deadLetter('dlq') }) });
  let refused = false;
  log.gate = {
    before(call) {
      if (call.kind !== 'sendOffsets' || refused) return undefined;
      refused = true;
      return refuse('ERR_TRANSACTION_ABORTABLE');
    },
  };
  log.produce('in', 0, [{ key: 'k', value: 'boom', at: 5 }]);
  await rig.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => inputAt(rig) === 1);
  await rig.worker.stop(10_000);
  expect(log.rows('dlq').map(({ value, visible }) => [value, visible])).toEqual([
    ['boom', false],
    ['boom', true],
  ]);
});

test('what cannot be decoded goes to the topic of the application’s own policy, bytes untouched', async () => {
  const log = logWithDeadLetters();
  const rig = startRig({ log, errors: { decode: deadLetter('dlq') } });
  log.produce('in', 0, [{ key: 'k', value: null, at: 5 }]);
  await rig.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => inputAt(rig) === 1);
  await rig.worker.stop(10_000);
  expect(log.rows('dlq')[0]).toMatchObject({ key: 'k', value: null });
  expect(headersOf(log.rows('dlq')[0])['__streams.errors.exception']).toBe('ERR_UNEXPECTED_TOMBSTONE');
});

test('a record that fails again after a replay carries the headers of its last failure only', async () => {
  const log = logWithDeadLetters();
  const policy = countTopology({ onError: deadLetter('dlq') });
  const rig = startRig({ log, topology: policy });
  log.produce('in', 0, [{ key: 'k', value: 'boom', at: 5 }]);
  await rig.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => log.rows('dlq').length === 1);
  const first = log.rows('dlq')[0];
  log.produce('in', 0, [{ key: 'k', value: 'boom', at: 5, headers: first?.headers }]);
  await until(() => inputAt(rig) === 2);
  await rig.worker.stop(10_000);
  const names = [...(log.rows('dlq')[1]?.headers ?? [])].map(([name]) => name);
  expect(names).toHaveLength(6);
  expect(headersOf(log.rows('dlq')[1])['__streams.errors.offset']).toBe('1');
});

test('a topic that a function chose and nobody knows ends the worker with its name, and nothing is committed', async () => {
  const log = createLog();
  const rig = startRig({ log, topology: countTopology({ onError: () => deadLetter('unheard-of') }) });
  log.produce('in', 0, [{ key: 'k', value: 'boom', at: 5 }]);
  await rig.worker.assign(assignmentOf(log, ['0_0']));
  expect(await rig.ended()).toMatchObject({ code: 'ERR_TOPIC_MISSING', where: { topic: 'unheard-of' } });
  expect(inputAt(rig)).toBeUndefined();
});

test('a policy sees how often its record has been tried, and may give up on it', async () => {
  const log = logWithDeadLetters();
  const topology = countTopology({ onError: ({ deliveries }) => (deliveries < 3 ? 'fail' : deadLetter('dlq')) });
  log.produce('in', 0, [...lines(2), { key: 'k', value: 'boom', at: 5 }]);
  const first = startRig({ log, topology });
  await first.worker.assign(assignmentOf(log, ['0_0']));
  expect(await first.ended()).toMatchObject({ code: 'ERR_TASK_FAILED' });
  const third = startRig({ log, topology });
  await third.worker.assign({
    ...assignmentOf(log, []),
    tasks: [{ id: '0_0', failedBefore: { topic: 'in', partition: 0, offset: 2, times: 2 } }],
  });
  await until(() => inputAt(third) === 3);
  await third.worker.stop(10_000);
  expect(third.failures.map(({ deliveries }) => deliveries)).toEqual([3]);
  expect(log.visible('dlq')).toEqual(['boom']);
});
