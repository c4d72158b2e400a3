import { MillraceError, silentLogger } from '@millrace/core';
import { expect, test } from 'vitest';
import { LearnedOutputs } from './learned-outputs.ts';

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
    applicationId: 'app',
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
