// What an application does with local state that is not as it left it: damaged, missing, another task's, another version's, from another disk.
// A whole instance over the embedded broker; every way ends in the right rows, or in a refusal that says what to do.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, startBroker } from '@millrace/broker';
import { type Logger, MillraceError, nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { META_STORE, putCheckpoint, readCheckpoint, WriteBatch } from '@millrace/state';
import { Kafka, logLevel } from 'kafkajs';
import { type App, createApp, serde, store, topic, topology } from 'millrace';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENGINES } from './engines.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-local-state-'));
const counts = store.keyValue('counts', { key: serde.string(), value: serde.safeInt() });
const PARTITIONS = 2;
const KEYS = Array.from({ length: 200 }, (_, index) => `key-${index}`);
let broker: Broker;
beforeAll(async () => {
  const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
  broker = await startBroker({ dataDir: join(folder, 'broker'), port: 0 }, ports);
});
afterAll(async () => {
  await broker?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function produce(name: string): Promise<void> {
  const producer = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  await producer.send({ topic: name, messages: KEYS.map((key) => ({ key, value: 'x' })) });
  await producer.disconnect();
}

/** Runs the counting application on a folder of its own until everything is processed; gives its rows and what it warned of. */
function setUp(engine: 'rocksdb' | 'lmdb') {
  const name = `local-${systemChance.uuid().slice(0, 8)}`;
  const stateDir = join(folder, name);
  const program = topology(name, (t) => {
    t.stream(topic(`${name}-in`, { key: serde.string(), value: serde.string(), partitions: PARTITIONS }))
      .groupByKey()
      .count({ store: counts });
  });
  const warnings: string[] = [];
  const log: Logger = { ...silentLogger, warn: (fields, text) => void warnings.push(`${text} ${JSON.stringify(fields)}`) };
  const create = (): App =>
    createApp(program, {
      brokers: [broker.address],
      stateDir,
      instanceId: 'one',
      engine,
      createTopics: true,
      http: false,
      log,
      internalTopics: { partitions: PARTITIONS },
    });
  const home = join(stateDir, name, 'one');
  return {
    home,
    stateDir,
    warnings,
    create,
    tasks: join(home, 'tasks'),
    task: (partition: number) => join(home, 'tasks', `0_${partition}`),
    async rows(send: boolean): Promise<ReadonlyMap<string, number>> {
      const app = create();
      await app.start();
      try {
        await app.waitFor('running');
        if (send) await produce(`${name}-in`);
        await app.drained();
        const rows = new Map<string, number>();
        for await (const { key, value } of app.store(counts).range({})) rows.set(key, value);
        return rows;
      } finally {
        await app.close();
      }
    },
  };
}

const all = (count: number) => new Map([...KEYS].sort().map((key) => [key, count]));
const sorted = (rows: ReadonlyMap<string, number>) => new Map([...rows].sort(([left], [right]) => (left < right ? -1 : 1)));
/** The largest file of a database: where its rows are. */
function dataFile(directory: string): string {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((file) => join(directory, file))
    .filter((file) => statSync(file).isFile());
  return files.sort((left, right) => statSync(right).size - statSync(left).size)[0] as string;
}

describe.each(ENGINES.filter(({ shareable }) => shareable))('$name', (engine) => {
  const name = engine.name as 'rocksdb' | 'lmdb';
  const edit = async (directory: string, act: (database: Awaited<ReturnType<typeof engine.open>>) => void): Promise<void> => {
    const database = await engine.open({ directory, stores: [META_STORE, 'counts'], cacheBytes: 1024 * 1024 });
    act(database);
    await database.close();
  };

  test('state that is as it was left is used: nothing is rebuilt', async () => {
    const rig = setUp(name);
    await rig.rows(true);
    expect(sorted(await rig.rows(true))).toEqual(all(2));
    expect(rig.warnings.filter((line) => /rebuilt|not to be trusted/.test(line))).toEqual([]);
  });

  test('a database that was deleted is rebuilt', async () => {
    const rig = setUp(name);
    await rig.rows(true);
    rmSync(rig.task(0), { recursive: true });
    expect(sorted(await rig.rows(true))).toEqual(all(2));
  });

  test('a database that is damaged is put aside, told of with its place, and rebuilt', async () => {
    const rig = setUp(name);
    await rig.rows(true);
    if (name === 'rocksdb') {
      for (const file of readdirSync(join(rig.task(0), 'rocksdb')))
        if (/^(CURRENT|MANIFEST)/.test(file)) writeFileSync(join(rig.task(0), 'rocksdb', file), 'not a manifest');
    } else truncateSync(dataFile(rig.task(0)), 100);
    expect(sorted(await rig.rows(true))).toEqual(all(2));
    expect(readdirSync(join(rig.home, 'quarantine'))).toHaveLength(1);
    expect(rig.warnings.join('\n')).toMatch(/local state of task 0_0 could not be opened.* kept in .*quarantine.* rebuilt from the changelog/);
  });

  test("two tasks' folders that changed places are noticed: each is rebuilt", async () => {
    const rig = setUp(name);
    await rig.rows(true);
    renameSync(rig.task(0), join(rig.tasks, 'x'));
    renameSync(rig.task(1), rig.task(0));
    renameSync(join(rig.tasks, 'x'), rig.task(1));
    expect(sorted(await rig.rows(true))).toEqual(all(2));
    expect(rig.warnings.filter((line) => line.includes('that of another task'))).toHaveLength(PARTITIONS);
    rig.warnings.length = 0;
    expect(sorted(await rig.rows(true))).toEqual(all(3));
    expect(rig.warnings).toEqual([]);
  });

  test.each([
    ['a checkpoint that is gone', 'no checkpoint', undefined],
    ['a checkpoint beyond the log end', 'beyond log end', { changelogOffset: 1_000_000 }],
    ['a checkpoint of a topic that was made again', 'another topic', { topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }],
    ['a checkpoint of an epoch that ended before it', 'lost tail', { leaderEpoch: 1_000 }],
  ] as const)('%s: the store is rebuilt, with the reason', async (_what, reason, change) => {
    const rig = setUp(name);
    await rig.rows(true);
    await edit(rig.task(0), (database) => {
      const batch = new WriteBatch();
      const before = readCheckpoint(database, 'counts');
      if (before === undefined || before === 'corrupt') throw new Error('no checkpoint');
      batch.put('counts', Buffer.from('key-stray'), Buffer.alloc(16, 1)); // would stay, were the store trusted
      if (change === undefined) batch.delete(META_STORE, Buffer.from('checkpoint/counts'));
      else putCheckpoint(batch, 'counts', { ...before, ...change });
      database.write(batch);
    });
    expect(sorted(await rig.rows(true))).toEqual(all(2));
    expect(rig.warnings.join('\n')).toContain(`"reason":"${reason}"`);
  });

  test('a checkpoint whose bytes have changed is not believed', async () => {
    const rig = setUp(name);
    await rig.rows(true);
    await edit(rig.task(0), (database) => {
      const key = Buffer.from('checkpoint/counts');
      const bytes = Buffer.from(database.store(META_STORE).get(key) as Buffer);
      bytes[12] = (bytes[12] as number) ^ 1;
      const batch = new WriteBatch();
      batch.put(META_STORE, key, bytes);
      database.write(batch);
    });
    expect(sorted(await rig.rows(true))).toEqual(all(2));
    expect(rig.warnings.join('\n')).toContain('"reason":"unreadable checkpoint"');
  });

  test('a copy of the folder from before is merely behind: the gap is replayed', async () => {
    const rig = setUp(name);
    await rig.rows(true);
    cpSync(rig.home, `${rig.home}-old`, { recursive: true });
    await rig.rows(true);
    rmSync(rig.home, { recursive: true });
    renameSync(`${rig.home}-old`, rig.home);
    expect(sorted(await rig.rows(false))).toEqual(all(2));
    expect(rig.warnings).toEqual([]);
  });
});

test('state written by another version is refused with the folder and the ways out, and left as it is', async () => {
  const rig = setUp('lmdb');
  mkdirSync(rig.home, { recursive: true });
  writeFileSync(join(rig.home, 'format'), 'millrace-state 9\n');
  writeFileSync(join(rig.home, 'precious'), 'x');
  const error = await rig
    .create()
    .start()
    .catch((reason: unknown) => reason);
  expect(MillraceError.is(error) && [error.code, error.message]).toEqual([
    'ERR_STATE_DIR',
    expect.stringMatching(/one was written by another version of Millrace .*Use that version, or remove the folder/),
  ]);
  expect(existsSync(join(rig.home, 'precious'))).toBe(true);
});

test('a folder that another process has is refused with its name', async () => {
  const rig = setUp('lmdb');
  const first = rig.create();
  await first.start();
  const error = await rig
    .create()
    .start()
    .catch((reason: unknown) => reason);
  expect(MillraceError.is(error) && error.code).toBe('ERR_STATE_LOCKED');
  await first.close();
});
