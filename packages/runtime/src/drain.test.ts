import type { LogAdmin } from '@millrace/client';
import { type Offset, partitionKey, serde, systemTimers } from '@millrace/core';
import { GraphBuilder } from '@millrace/topology';
import { expect, test } from 'vitest';
import { waitUntilDrained } from './drain.ts';

test('a transaction that hangs in a repartition topic is waited for, one in a topic of the user is not', async () => {
  const graph = new GraphBuilder();
  for (const [name, internal] of [
    ['given', false],
    ['moved', true],
  ] as const) {
    graph.addSource({
      name: `${name}-source`,
      topics: [{ name, internal }],
      key: serde.string() as never,
      value: serde.string() as never,
      nullValues: 'serde',
      timestamp: 'record',
      onInvalidTimestamp: 'fail',
      startFrom: 'earliest',
      onError: undefined,
    });
  }
  const topology = graph.build('draining');
  const stable: Record<string, number> = { given: 5, 'app-moved': 5 };
  const end = 9;
  const at: Record<string, number> = { given: 5, 'app-moved': 5 };
  let looks = 0;
  const admin = {
    describeTopics: async (names: readonly string[]) => new Map(names.map((name) => [name, { name, topicId: name, partitions: 1, internal: false }])),
    listOffsets: async (partitions: readonly { topic: string }[], which: string) =>
      new Map(partitions.map(({ topic }) => [partitionKey(topic, 0), (which === 'latest' ? end : stable[topic]) as Offset])),
    committedOffsets: async (_group: string, partitions: readonly { topic: string }[], asOfNow?: string) => {
      expect(asOfNow).toBe('asOfNow'); // with timers that commit all the time some transaction may always be open
      if (++looks === 4) at['app-moved'] = end; // the transaction has ended
      return new Map(partitions.map(({ topic }) => [partitionKey(topic, 0), { offset: at[topic] as Offset, metadata: '' }]));
    },
  } as unknown as LogAdmin;
  await waitUntilDrained({
    topology,
    applicationId: 'app',
    admin,
    timers: systemTimers,
    signal: new AbortController().signal,
    check: () => undefined,
  });
  expect(looks).toBe(4);
});
