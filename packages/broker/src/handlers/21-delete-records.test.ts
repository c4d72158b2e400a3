import { APIS, ERROR_CODES } from '@millrace/protocol';
import { afterEach, expect, test } from 'vitest';
import { type Broker, startBroker } from '../broker.ts';
import { clientBatch } from '../testing/log-fixture.ts';
import { RawClient, testPorts } from '../testing/raw-client.ts';

const started: Broker[] = [];
afterEach(async () => {
  for (const broker of started.splice(0)) await broker.close();
});

test('a log start that the disk refuses is told so for its partition, and has not moved; the others are answered', async () => {
  const ports = testPorts();
  const broker = await startBroker({ dataDir: '/data' }, ports);
  started.push(broker);
  const client = await RawClient.connect(ports, broker.port);
  await client.ask(APIS.createTopics, 7, { topics: [{ name: 't', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }] });
  const records = (): Buffer => clientBatch({ records: [['k', 'v']], timestamp: Date.now() });
  const partitionData = [0, 1].map((index) => ({ index, records: records() }));
  await client.ask(APIS.produce, 9, { acks: -1, timeoutMs: 1_000, topicData: [{ name: 't', partitionData }] });
  ports.disk.failNext('ENOSPC');
  const partitions = [0, 1].map((partitionIndex) => ({ partitionIndex, offset: 1 }));
  const asked = client.ask(APIS.deleteRecords, 2, { timeoutMs: 1_000, topics: [{ name: 't', partitions }] });
  const { topics } = (await Promise.race([asked, client.closed.then(() => Promise.reject(new Error('the broker closed the connection')))])) as Awaited<
    typeof asked
  >;
  expect(topics[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([ERROR_CODES.KAFKA_STORAGE_ERROR, ERROR_CODES.NONE]);
  const earliest = [0, 1].map((partitionIndex) => ({ partitionIndex, timestamp: -2 }));
  const found = await client.ask(APIS.listOffsets, 7, { replicaId: -1, isolationLevel: 0, topics: [{ name: 't', partitions: earliest }] });
  expect(found.topics[0]?.partitions.map(({ offset }) => offset)).toEqual([0, 1]);
});
