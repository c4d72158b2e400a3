import type { TopicDescription } from '@millrace/client';
import { serde, silentLogger, virtualTime } from '@millrace/core';
import { deadLetter, GraphBuilder, topicExpression } from '@millrace/topology';
import { expect, test } from 'vitest';
import { PatternWatch } from './pattern-watch.ts';
import { topicsMatched } from './topics-matched.ts';

const text = serde.string();
/** Sources by name, each with one pattern; every record that cannot be read goes to `logs-unreadable`. */
function reading(sources: Readonly<Record<string, RegExp>>) {
  const graph = new GraphBuilder();
  for (const [name, pattern] of Object.entries(sources))
    graph.addSource({
      name,
      topics: [{ name: pattern.source, internal: false, pattern: topicExpression(pattern) }],
      key: text,
      value: text,
      nullValues: 'serde',
      timestamp: 'record',
      onInvalidTimestamp: 'fail',
      startFrom: 'earliest',
      onError: deadLetter('logs-unreadable'),
    });
  graph.addRepartitionTopic('by-key', undefined);
  return graph.build('app');
}
const logs = reading({ logs: /.*logs-.+/ });
const settings = { applicationId: 'logs-app', errors: { process: deadLetter('logs-failed') }, metadataRefreshMs: 1000 };
const describe = (topics: Readonly<Record<string, number>>, internal: readonly string[] = []): ReadonlyMap<string, TopicDescription> =>
  new Map(Object.entries(topics).map(([name, partitions]) => [name, { name, topicId: '', partitions, internal: internal.includes(name) }]));

test('a pattern stands for topics of users: not for those of the broker, internal ones of the application, or its own dead letters', () => {
  const own = {
    'logs-app-by-key': 1,
    'logs-app-former-changelog': 1,
    'logs-app-former-repartition': 1,
    'logs-failed': 1,
    'logs-unreadable': 1,
    '__logs-offsets': 1,
  };
  const users = { 'logs-b': 2, 'logs-a': 3, 'logs-app-eu': 1, 'other-logs-x-changelog': 1, unrelated: 9 };
  expect([...topicsMatched(logs, settings, describe({ ...own, ...users }, ['__logs-offsets']))]).toEqual([
    ['logs-a', 3],
    ['logs-app-eu', 1],
    ['logs-b', 2],
    ['other-logs-x-changelog', 1],
  ]);
});

function watching(topology = logs) {
  const time = virtualTime();
  const asked: (readonly string[])[] = [];
  const broker = { topics: describe({ 'logs-a': 1 }), looks: 0, away: false };
  const watch = new PatternWatch({
    topology,
    settings,
    admin: {
      describeTopics: async () => {
        broker.looks++;
        if (broker.away) throw new Error('nobody answers');
        return broker.topics;
      },
    },
    timers: time.timers,
    log: silentLogger,
    changed: (seen) => void asked.push(seen),
  });
  watch.start();
  return { watch, broker, asked, pass: (ms: number) => time.advance(ms) };
}

test('the leader asks for a rebalance when a topic comes, grows or goes, and only then', async () => {
  const { watch, broker, asked, pass } = watching();
  watch.dealt({ 'logs-a': 1 }, true);
  await pass(3000);
  expect([broker.looks, asked]).toEqual([3, []]);
  for (const [topics, seen] of [
    [{ 'logs-a': 1, 'logs-b': 1, unrelated: 4 }, ['logs-a', 'logs-b']],
    [{ 'logs-a': 2, 'logs-b': 1 }, ['logs-a', 'logs-b']],
    [{ 'logs-b': 1 }, ['logs-b']],
  ] as const) {
    broker.topics = describe(topics);
    await pass(1000);
    expect(asked.splice(0)).toEqual([seen]);
    watch.dealt(Object.fromEntries([...topicsMatched(logs, settings, broker.topics)]), true);
  }
});

test('who does not lead does not look; neither does a topology without patterns, or one that has stopped', async () => {
  const { watch, broker, asked, pass } = watching();
  watch.dealt({}, false);
  await pass(5000);
  watch.dealt({}, true);
  watch.stop();
  await pass(5000);
  expect([broker.looks, asked]).toEqual([0, []]);
});

test('a broker that is away is asked again at the next look', async () => {
  const { watch, broker, asked, pass } = watching();
  watch.dealt({}, true);
  broker.away = true;
  await pass(2000);
  broker.away = false;
  expect(asked).toEqual([]);
  await pass(1000);
  expect(asked).toEqual([['logs-a']]);
});

test('a topic that two sources match is a change: the leader is asked, and says what is wrong', async () => {
  const { watch, broker, asked, pass } = watching(reading({ one: /logs-.*/, two: /.*-a/ }));
  broker.topics = describe({});
  watch.dealt({}, true);
  await pass(1000);
  broker.topics = describe({ 'logs-a': 1 });
  await pass(1000);
  expect(asked).toEqual([[]]);
});
