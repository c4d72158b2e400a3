// What changes topics answers with an error code when the disk refuses: a full disk is no defect of a handler, and no reason to end a connection.
import { type Disk, memoryDisk } from '@millrace/core';
import { APIS, ERROR_CODES } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { startBroker } from '../broker.ts';
import { RawClient, testPorts } from '../testing/raw-client.ts';

const STORAGE = ERROR_CODES.KAFKA_STORAGE_ERROR;

test('topics that cannot be written down are refused one by one, and nothing has changed', async () => {
  const memory = memoryDisk();
  let refusals = 0;
  const refuse = <T>(run: () => T): T => {
    if (refusals === 0) return run();
    refusals--;
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  };
  const disk: Disk = {
    ...memory,
    replaceWhole: (path, bytes) => (path.endsWith('topic.json') ? refuse(() => memory.replaceWhole(path, bytes)) : memory.replaceWhole(path, bytes)),
    remove: (path) => (path.endsWith('topic.json') ? refuse(() => memory.remove(path)) : memory.remove(path)),
  };
  const ports = { ...testPorts(memory), disk: disk as typeof memory };
  const broker = await startBroker({ dataDir: '/data' }, ports);
  const client = await RawClient.connect(ports, broker.port);
  const gone = client.closed.then(() => Promise.reject(new Error('the broker closed the connection')));
  gone.catch(() => {});
  const told = <T>(answer: Promise<T>): Promise<T> => Promise.race([answer, gone]);
  const topic = (name: string) => ({ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] });

  refusals = 1;
  const created = await told(client.ask(APIS.createTopics, 7, { topics: [topic('a'), topic('b')] }));
  expect(created.topics.map(({ errorCode }) => errorCode)).toEqual([STORAGE, 0]);

  refusals = 1;
  const grown = await told(
    client.ask(APIS.createPartitions, 3, { topics: [{ name: 'b', count: 2, assignments: null }], timeoutMs: 1_000, validateOnly: false }),
  );
  expect(grown.results.map(({ errorCode }) => errorCode)).toEqual([STORAGE]);

  refusals = 1;
  const resources = [{ resourceType: 2, resourceName: 'b', configs: [{ name: 'retention.ms', configOperation: 0, value: '1' }] }];
  const altered = await told(client.ask(APIS.incrementalAlterConfigs, 1, { resources, validateOnly: false }));
  expect(altered.responses.map(({ errorCode }) => errorCode)).toEqual([STORAGE]);

  refusals = 1;
  const named = { topics: [{ name: 'c' }], allowAutoTopicCreation: true };
  const found = await told(client.ask(APIS.metadata, 9, named));
  expect(found.topics.map(({ errorCode }) => errorCode)).toEqual([STORAGE]);

  refusals = 1;
  const deleted = await told(client.ask(APIS.deleteTopics, 5, { topicNames: ['b'], timeoutMs: 1_000 }));
  expect(deleted.responses.map(({ errorCode }) => errorCode)).toEqual([STORAGE]);
  const fetch = {
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 1_000,
    isolationLevel: 0,
    topics: [{ topic: 'b', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }] }],
  };
  const read = await told(client.ask(APIS.fetch, 12, fetch));
  expect(read.responses[0]?.partitions[0]?.errorCode).toBe(0);
  client.close();
  await broker.close();
});
