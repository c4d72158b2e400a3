import { serde } from '@millrace/core';
import { topic, topology } from '@millrace/dsl';
import { expect, test } from 'vitest';
import { testTopology } from './test-topology.ts';

const text = { key: serde.string(), value: serde.string() };
const questions = topic('questions', text);
const answers = topic('answers', text);

test('settled waits for calls, and the answers are there with the time of their records', async () => {
  const program = topology('asking', (t) => {
    t.stream(questions)
      .mapValuesAsync(async (question) => question.toUpperCase(), { concurrency: 2, value: serde.string() })
      .to(answers);
  });
  using t = testTopology(program);
  const input = t.input(questions);
  for (const [index, question] of ['a', 'b', 'c', 'd', 'e'].entries()) input.send('k', question, { at: index });
  expect(t.output(answers).size).toBe(0);
  await t.settled();
  expect(
    t
      .output(answers)
      .readAll()
      .map(({ value, timestamp }) => [value, timestamp]),
  ).toEqual([
    ['A', 0],
    ['B', 1],
    ['C', 2],
    ['D', 3],
    ['E', 4],
  ]);
});

test('pauses between attempts pass at once, on the clock of the test', async () => {
  const attempts: number[] = [];
  const program = topology('stubborn', (t) => {
    t.stream(questions)
      .mapValuesAsync(
        async (question, _key, { attempt }) => {
          attempts.push(attempt);
          if (attempt < 4) throw new Error('not yet');
          return question;
        },
        { concurrency: 1, retry: { attempts: 5, backoff: '1 hour', backoffMax: '1 day' }, value: serde.string() },
      )
      .to(answers);
  });
  using t = testTopology(program);
  t.input(questions).send('k', 'a');
  await t.settled();
  expect(attempts).toEqual([1, 2, 3, 4]);
  expect(t.output(answers).pairs()).toEqual([['k', 'a']]);
  expect(t.now).toBeGreaterThan(3_600_000);
});

test('a call past its time limit fails when the clock is moved, and its error comes out of what moved it', () => {
  const program = topology('hanging', (t) => {
    t.stream(questions)
      .mapValuesAsync(() => new Promise<string>(() => {}), { as: 'ask', concurrency: 1, timeout: '5s', value: serde.string() })
      .to(answers);
  });
  using t = testTopology(program);
  t.input(questions).send('k', 'a');
  t.advance('4s');
  expect(() => t.advance('1s')).toThrow(/ask took longer than 5000 ms/);
  expect(t.failures).toMatchObject([{ stage: 'async', node: 'ask' }]);
});

test('no two records share an idempotency key: behind another asynchronous operator, whose answers come in any order', async () => {
  const keys: string[] = [];
  const late: (() => void)[] = [];
  const program = topology('chained', (t) => {
    t.stream(questions)
      .flatMapValues((line) => line.split(' '))
      .mapValuesAsync((word) => (word === 'b' ? new Promise<string>((answer) => late.push(() => answer(word))) : Promise.resolve(word)), {
        as: 'first',
        concurrency: 8,
        order: 'none',
        value: serde.string(),
      })
      .mapValuesAsync(
        async (word, _key, { idempotencyKey }) => {
          keys.push(`${word} ${idempotencyKey}`);
          if (word === 'c') for (const answer of late) answer();
          return word;
        },
        { as: 'second', concurrency: 8, order: 'none', value: serde.string() },
      )
      .to(answers);
  });
  using t = testTopology(program);
  t.input(questions).send('k', 'a b', { at: 1 });
  t.input(questions).send('k', 'c', { at: 2 });
  await t.settled();
  expect(keys.map((text) => text.slice(0, 1))).toEqual(['a', 'c', 'b']);
  expect(new Set(keys.map((text) => text.slice(2))).size).toBe(3);
});
