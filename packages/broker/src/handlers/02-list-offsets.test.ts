// Lookups by time in a log that holds what cannot be unpacked: compressed batches are stored as they came.
import { APIS, crc32c, ERROR_CODES } from '@millrace/protocol';
import { afterEach, expect, test } from 'vitest';
import { type Broker, startBroker } from '../broker.ts';
import { clientBatch } from '../testing/log-fixture.ts';
import { RawClient, testPorts } from '../testing/raw-client.ts';

const started: Broker[] = [];
afterEach(async () => {
  for (const broker of started.splice(0)) await broker.close();
});

/** Says gzip, holds none; its checksum is right. */
function poison(): Buffer {
  const batch = clientBatch({ records: [['k', 'v']], timestamp: Date.now(), compression: 1 });
  batch.fill(0xff, 61);
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17);
  return batch;
}

test.each([
  ['at a time', 1],
  ['of the newest timestamp', -3],
])('a lookup %s that meets a batch which cannot be unpacked is told so for its partition; the others are answered', async (_, timestamp) => {
  const ports = testPorts();
  const broker = await startBroker({ dataDir: '/data' }, ports);
  started.push(broker);
  const client = await RawClient.connect(ports, broker.port);
  await client.ask(APIS.createTopics, 7, { topics: [{ name: 't', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }] });
  const good = clientBatch({ records: [['k', 'v']], timestamp: Date.now() });
  const partitionData = [poison(), good].map((records, index) => ({ index, records }));
  const produced = await client.ask(APIS.produce, 9, { acks: -1, timeoutMs: 1_000, topicData: [{ name: 't', partitionData }] });
  expect(produced.responses[0]?.partitionResponses.map(({ errorCode }) => errorCode)).toEqual([0, 0]);
  const partitions = [0, 1].map((partitionIndex) => ({ partitionIndex, timestamp }));
  const asked = client.ask(APIS.listOffsets, 7, { replicaId: -1, isolationLevel: 0, topics: [{ name: 't', partitions }] });
  const { topics } = (await Promise.race([asked, client.closed.then(() => Promise.reject(new Error('the broker closed the connection')))])) as Awaited<
    typeof asked
  >;
  expect(topics[0]?.partitions.map(({ errorCode, offset }) => [errorCode, offset])).toEqual([
    [ERROR_CODES.CORRUPT_MESSAGE, -1],
    [ERROR_CODES.NONE, 0],
  ]);
});
