import { MillraceError, silentLogger } from '@millrace/core';
import { expect, test } from 'vitest';
import { LearnedOutputs } from './learned-outputs.ts';

const NOW = 1_000_000_000;

function learner(
  options: { readonly config?: () => Promise<Record<string, string>>; readonly topics?: readonly string[]; readonly createTopics?: boolean } = {},
) {
  const created: string[] = [];
  const outputs = new LearnedOutputs({
    admin: {
      describeTopics: async (names) => new Map((names ?? []).filter((name) => options.topics?.includes(name)).map((name) => [name, {} as never])),
      createTopics: async (topics) => void created.push(...topics.map(({ name }) => name)),
      topicConfig: options.config ?? (async () => ({ 'max.message.bytes': '4000' })),
    },
    createTopics: options.createTopics ?? false,
    partitions: 4,
    replication: -1,
    topicDefaults: {},
    applicationId: 'app',
    sinks: new Set(['out']),
    clock: { nowMs: () => NOW as never, monotonicMs: () => 0 },
    log: silentLogger,
  });
  return { outputs, created };
}
const tooLarge = (topic: string, bytes: number) => new MillraceError('ERR_RECORD_TOO_LARGE', 'too large', { topic, partition: 0, bytes });
const missing = (topic: string) => new MillraceError('ERR_TOPIC_MISSING', 'missing', { topic });

test('a refused record teaches the limit of its topic; the same refusal again teaches nothing', async () => {
  const { outputs } = learner();
  expect(await outputs.learnFrom(tooLarge('out', 5000))).toBe(true);
  expect(outputs.recordBytesMax.get('out')).toBe(4000);
  expect(await outputs.learnFrom(tooLarge('out', 5000))).toBe(false);
});

test('where the settings may not be read, or say otherwise, what was refused is the bound', async () => {
  const denied = learner({ config: () => Promise.reject(new MillraceError('ERR_AUTHORIZATION', 'no')) });
  expect(await denied.outputs.learnFrom(tooLarge('out', 5000))).toBe(true);
  expect(denied.outputs.recordBytesMax.get('out')).toBe(4999);
  expect(await denied.outputs.learnFrom(tooLarge('out', 4500))).toBe(true);
  expect(denied.outputs.recordBytesMax.get('out')).toBe(4499);
});

test('a changelog has no policy: a row that is too large for it ends the worker as it is', async () => {
  const { outputs } = learner();
  expect(await outputs.learnFrom(tooLarge('app-counts-changelog', 5000))).toBe(false);
});

test('a topic that a policy chose is looked up once, and made only where missing topics are', async () => {
  const known = learner({ topics: ['dlq'] });
  expect([await known.outputs.learnFrom(missing('dlq')), await known.outputs.learnFrom(missing('dlq'))]).toEqual([true, false]);
  const unknown = learner();
  expect(await unknown.outputs.learnFrom(missing('dlq'))).toBe(false);
  const made = learner({ createTopics: true });
  expect(await made.outputs.learnFrom(missing('dlq'))).toBe(true);
  expect(made.created).toEqual(['dlq']);
  expect([...made.outputs.topics]).toEqual(['dlq']);
});

test('errors about anything else teach nothing', async () => {
  const { outputs } = learner();
  for (const error of [new Error('x'), new MillraceError('ERR_TIMEOUT', 'late'), new MillraceError('ERR_RECORD_TOO_LARGE', 'a dead letter', { topic: 'dlq' })])
    expect(await outputs.learnFrom(error)).toBe(false);
});

const refused = (where: Record<string, string | number>, code: 'ERR_RECORD_REJECTED' | 'ERR_INVALID_TIMESTAMP' = 'ERR_RECORD_REJECTED') =>
  new MillraceError(code, 'the broker says no', { topic: 'out', partition: 0, kafkaCode: 87, keyless: 0, timestamp: NOW, mark: 'a', ...where });

test('a record without a key that a compacted topic refused teaches about all without one; elsewhere about that record', async () => {
  const compacted = learner({ config: async () => ({ 'cleanup.policy': 'compact,delete' }) });
  expect(await compacted.outputs.learnFrom(refused({ keyless: 1 }))).toBe(true);
  expect(compacted.outputs.rules.get('out')).toMatchObject({ keyed: true, marks: [], said: 'the broker says no' });
  const plain = learner({ config: async () => ({ 'cleanup.policy': 'delete' }) });
  expect([await plain.outputs.learnFrom(refused({ keyless: 1 })), await plain.outputs.learnFrom(refused({ keyless: 1 }))]).toEqual([true, false]);
  expect(plain.outputs.rules.get('out')).toMatchObject({ keyed: false, marks: ['a'] });
  expect(await plain.outputs.learnFrom(refused({ mark: 'b' }))).toBe(true);
  expect(plain.outputs.rules.get('out')?.marks).toEqual(['a', 'b']);
});

test('a refused time teaches the bound of the topic that it broke, once', async () => {
  const { outputs } = learner({ config: async () => ({ 'message.timestamp.before.max.ms': '5000', 'message.timestamp.after.max.ms': '9223372036854775807' }) });
  const old = refused({ kafkaCode: 32, timestamp: NOW - 6000 }, 'ERR_INVALID_TIMESTAMP');
  expect(await outputs.learnFrom(old)).toBe(true);
  expect(outputs.rules.get('out')).toMatchObject({ behindMaxMs: 5000, aheadMaxMs: Number.POSITIVE_INFINITY, marks: [] });
  expect([await outputs.learnFrom(old), await outputs.learnFrom(old)]).toEqual([true, false]); // by itself, then not at all
});

test('an output topic that is gone teaches its sinks, until it is there again; a changelog teaches nothing', async () => {
  const { outputs } = learner();
  expect([await outputs.learnFrom(missing('out')), await outputs.learnFrom(missing('out'))]).toEqual([true, false]);
  expect(outputs.rules.get('out')?.gone).toBe(true);
  outputs.thereAre(['in', 'out']);
  expect(outputs.rules.get('out')).toBeUndefined();
  expect(await outputs.learnFrom(refused({ topic: 'app-counts-changelog' }))).toBe(false);
});
