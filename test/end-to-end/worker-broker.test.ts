// The worker over real ports: client and embedded broker on loopback sockets. What worker.test.ts shows on a log in memory holds here too.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, startBroker } from '@millrace/broker';
import { createAdmin, createConsumer, createProducer } from '@millrace/client';
import { nodeDisk, nodeNetwork, noHeaders, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { BatchPool, RecordReader } from '@millrace/protocol';
import { keyValueView, META_STORE, memoryEngine, type OpenDatabase } from '@millrace/state';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { APPLICATION, CHANGELOG, countTopology, until } from '../../packages/runtime/src/testing/worker-rig.ts';
import { createWorker } from '../../packages/runtime/src/worker.ts';
import type { WorkerAssignment } from '../../packages/runtime/src/worker-ports.ts';

const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
const folder = mkdtempSync(join(tmpdir(), 'millrace-worker-'));
let broker: Broker;
const connection = (clientId: string) => ({ brokers: [broker.address], clientId, connectionTimeoutMs: 5_000, requestTimeoutMs: 10_000 });

beforeAll(async () => {
  broker = await startBroker({ dataDir: folder, port: 0 }, ports);
  const admin = createAdmin(connection('setup'), {}, ports);
  await admin.createTopics(
    ['in', 'out', CHANGELOG].map((name) => ({
      name,
      partitions: name === 'out' ? 1 : 2,
      replication: -1,
      config: name === CHANGELOG ? { 'cleanup.policy': 'compact' } : {},
    })),
  );
  await admin.close();
});
afterAll(async () => {
  await broker?.close();
  rmSync(folder, { recursive: true, force: true });
});

const batches = new BatchPool();
async function produce(rows: number, from: number): Promise<void> {
  const producer = createProducer(connection('loader'), {}, ports);
  await producer.initialise();
  producer.begin();
  for (const partition of [0, 1]) {
    const builder = batches.take();
    for (let index = 0; index < rows; index++) {
      const key = Buffer.from('abc'[(from + index) % 3] as string);
      builder.appendText(1000 + from + index, key, 0, key.length, `v${index}`, noHeaders);
    }
    await producer.send('in', partition, builder);
  }
  await producer.flush();
  await producer.close();
}

async function visible(topic: string): Promise<string[]> {
  const consumer = createConsumer(connection('reader'), { isolation: 'read_committed' }, ports);
  const admin = createAdmin(connection('reader-admin'), {}, ports);
  const end = (await admin.listOffsets([{ topic, partition: 0 }], 'latestStable')).get(`${topic}-0`) ?? 0;
  consumer.assign([{ topic, partition: 0, offset: 0 as never }]);
  const values: string[] = [];
  const reader = new RecordReader();
  while ((consumer.position({ topic, partition: 0 }) ?? 0) < end) {
    for (const event of await consumer.poll(100)) {
      if (event.kind !== 'data') continue;
      for (const view of event.data.batches) {
        reader.reset(view);
        while (reader.next()) values.push(reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength));
      }
      event.data.release();
    }
  }
  await Promise.all([consumer.close(), admin.close()]);
  return values;
}

function start(disk: Map<string, OpenDatabase>) {
  const exactlyOnce = { transactionalId: 'app-0', transactionTimeoutMs: 10_000 };
  const states: string[] = [];
  let committed = 0;
  const worker = createWorker(
    {
      applicationId: APPLICATION,
      workerId: 'w',
      transactionalId: 'app-0',
      topology: countTopology(),
      guarantee: 'exactly-once',
      timing: {
        commitIntervalMs: 20,
        settleIntervalMs: 50,
        pollWaitMs: 50,
        idleWaitMs: 0,
        taskTimeoutMs: 60_000,
        transactionTimeoutMs: 10_000,
        purgeIntervalMs: 30_000,
        stagedBytesMax: 8 * 1024 * 1024,
        cacheBytesMax: 1024 * 1024,
        bufferedBytesMax: 8 * 1024 * 1024,
        fetchBytesMax: 1024 * 1024,
      },
    },
    {
      consumer: createConsumer(connection('w'), { isolation: 'read_committed' }, ports),
      createRestoreConsumer: () => createConsumer(connection('w-restore'), { isolation: 'read_committed' }, ports),
      producer: createProducer(connection('w-producer'), exactlyOnce, ports),
      admin: createAdmin(connection('w-admin'), {}, ports),
      batches: new BatchPool(),
      async openDatabase(taskId, stores) {
        const known = disk.get(taskId);
        if (known !== undefined) return known;
        const opened = await memoryEngine.open({ directory: `${taskId}-${folder}-${disk.size}`, stores: [META_STORE, ...stores], cacheBytes: 0 });
        disk.set(taskId, opened);
        return opened;
      },
      clock: systemClock,
      timers: systemTimers,
      chance: systemChance,
      log: silentLogger,
      events: {
        taskState: (task, state) => void states.push(`${task} ${state}`),
        restoreProgress: () => undefined,
        dropped: () => undefined,
        failure: () => undefined,
        committed: (facts) => {
          committed += facts.records;
        },
        settled: () => undefined,
        buffers: () => undefined,
        membershipLost: () => undefined,
      },
    },
  );
  const running = worker.run();
  return { worker, running, states, committed: () => committed };
}

/** Simple consumers may commit without a group: no member, no generation. */
const assignment = (tasks: readonly string[]): WorkerAssignment => ({
  group: { groupId: APPLICATION, memberId: '', generation: -1, instanceId: undefined },
  tasks: tasks.map((id) => ({ id })),
  fence: [],
  partitionCounts: new Map([
    ['in', 2],
    ['out', 1],
    [CHANGELOG, 2],
  ]),
});

test('counts over the broker: committed once, restored from the changelog by a worker without a disk, fenced by a successor', async () => {
  await produce(3000, 0);
  const first = start(new Map());
  await first.worker.assign(assignment(['0_0', '0_1']));
  await until(() => first.committed() === 6000);
  await first.worker.assign(assignment(['0_0']));
  expect(first.states.at(-1)).toBe('0_1 closed');
  await first.worker.stop(10_000);
  await first.running;
  const values = await visible('out');
  expect(values).toHaveLength(6000);
  expect(values.filter((value) => value === 'a=1000')).toHaveLength(2);

  const disk = new Map<string, OpenDatabase>();
  const second = start(disk);
  await second.worker.assign(assignment(['0_0', '0_1']));
  await until(() => second.states.includes('0_0 running') && second.states.includes('0_1 running'));
  await produce(3, 0);
  await until(() => second.committed() === 6);
  // Another worker with the same transactional id: the old one is fenced, drops, and takes the id back; nothing is counted twice.
  const thief = createProducer(connection('thief'), { transactionalId: 'app-0' }, ports);
  await thief.initialise();
  await thief.close();
  await produce(3, 0);
  await until(() => second.committed() === 12);
  await second.worker.stop(10_000);
  await second.running;
  // Two partitions with equal input: every count of every key is there twice, once from each.
  const times = new Map<string, number>();
  for (const value of await visible('out')) times.set(value, (times.get(value) ?? 0) + 1);
  expect(times.size).toBe(3 * 1002);
  expect(new Set(times.values())).toEqual(new Set([2]));
  const store = countTopology().stores.get('counts');
  const rows = [...keyValueView<string, number>(disk.get('0_1') as OpenDatabase, store as never).range({})];
  expect(rows.map(({ key, value }) => [key, value])).toEqual([
    ['a', 1002],
    ['b', 1002],
    ['c', 1002],
  ]);
});
