// A broker whose device has refused a sync promises nothing any more; it still ends as it should.
import { type Disk, type DiskFile, memoryDisk } from '@millrace/core';
import { APIS } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { startBroker } from './broker.ts';
import { clientBatch } from './testing/log-fixture.ts';
import { RawClient, testPorts } from './testing/raw-client.ts';

test('after a failed sync a broker closes: the data directory is free, and not marked clean', async () => {
  const memory = memoryDisk();
  let broken = false;
  const wrap = (file: DiskFile): DiskFile => ({
    ...file,
    syncLater: () => (broken ? Promise.reject(new Error('EIO')) : file.syncLater()),
  });
  const disk: Disk = { ...memory, open: (path, mode) => wrap(memory.open(path, mode)) };
  const ports = { ...testPorts(memory), disk: disk as typeof memory };
  const broker = await startBroker({ dataDir: '/data', fsync: 'perBatchGroup' }, ports);
  const client = await RawClient.connect(ports, broker.port);
  await client.ask(APIS.createTopics, 7, { topics: [{ name: 't', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }] });
  broken = true;
  const body = { acks: -1, timeoutMs: 1_000, topicData: [{ name: 't', partitionData: [{ index: 0, records: clientBatch({ records: [['k', 'v']] }) }] }] };
  const answer = await client.ask(APIS.produce, 9, body);
  expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(56);
  await broker.close();
  broken = false;
  const again = await startBroker({ dataDir: '/data', fsync: 'perBatchGroup' }, ports);
  expect(again.recovered).toBe(true);
  await again.close();
});
