// A whole application over the embedded broker: records that fail, and calls that take their time.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Broker, startBroker } from '@millrace/broker';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { Kafka, logLevel } from 'kafkajs';
import { type App, createApp, deadLetter, serde, store, type Topology, topic, topology, windows } from 'millrace';
import { afterAll, beforeAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'millrace-unlucky-'));
let broker: Broker;
beforeAll(async () => {
  const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
  broker = await startBroker({ dataDir: join(folder, 'broker'), port: 0 }, ports);
});
afterAll(async () => {
  await broker?.close();
  rmSync(folder, { recursive: true, force: true });
});

const text = { key: serde.string(), value: serde.string(), partitions: 2 };

async function withApp(program: Topology, body: (app: App) => Promise<void>): Promise<void> {
  const options = { brokers: [broker.address], createTopics: true, stateDir: join(folder, 'state'), http: false, log: silentLogger } as const;
  const app = createApp(program, options);
  await app.start();
  try {
    await app.waitFor('running');
    await body(app);
  } finally {
    await app.close();
  }
}

async function produce(name: string, values: readonly string[]): Promise<void> {
  const producer = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  await producer.send({ topic: name, messages: values.map((value, index) => ({ key: `k${index % 5}`, value })) });
  await producer.disconnect();
}

async function read(app: App, name: string): Promise<string[]> {
  const values: string[] = [];
  for await (const { value } of app.history(topic(name, text))) values.push(value as string);
  return values.sort();
}

test('a dead-letter topic that a function names for the first time is made, and the record that was on its way gets there', async () => {
  const lines = topic('lines', text);
  const lengths = topic('lengths', { ...text, value: serde.safeInt() });
  const program = topology('unlucky', (t) => {
    t.stream(lines)
      .mapValues(
        (line) => {
          if (line.startsWith('bad')) throw new Error(`cannot measure ${line}`);
          return line.length;
        },
        { onError: ({ deliveries }) => (deliveries < 2 ? 'fail' : deadLetter('never-heard-of')) },
      )
      .to(lengths);
  });
  await withApp(program, async (app) => {
    await produce('lines', ['one', 'bad', 'three']);
    await app.drained();
    expect(await read(app, 'never-heard-of')).toEqual(['bad']);
    const found: number[] = [];
    for await (const { value } of app.history(lengths)) found.push(value as number);
    expect(found.sort()).toEqual([3, 5]);
  });
});

test('a record larger than its topic takes goes to the produce policy, also one that only the broker knows to be too large; batches that are too large arrive in parts', async () => {
  const words = topic('words', text);
  const small = topic('small', text);
  const admin = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: 'small', numPartitions: 2, configEntries: [{ name: 'max.message.bytes', value: '4000' }] }] });
  await admin.disconnect();
  const program = topology('sizes', (t) => {
    t.stream(words).to(small, {
      onError: ({ stage, error }) => (stage === 'produce' && /takes \d+ bytes/.test(String(error)) ? deadLetter('too-large') : 'fail'),
    });
  });
  const values = Array.from({ length: 300 }, (_, index) => `${String(index).padStart(3, '0')}-${'x'.repeat(index === 150 || index === 151 ? 5000 : 40)}`);
  await withApp(program, async (app) => {
    const failures: unknown[] = [];
    app.events.subscribe((event) => void (event.kind === 'failure' && failures.push(event)));
    await produce('words', values);
    await app.drained();
    expect(await read(app, 'small')).toEqual(values.filter(({ length }) => length < 100));
    expect(await read(app, 'too-large')).toEqual(values.filter(({ length }) => length > 100));
    expect(failures).toContainEqual(
      expect.objectContaining({
        decision: deadLetter('too-large'),
        failure: expect.objectContaining({ stage: 'produce', source: expect.objectContaining({ topic: 'words' }) }),
      }),
    );
  });
});

async function makeTopic(name: string, config: Readonly<Record<string, string>>): Promise<void> {
  const admin = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.createTopics({
    topics: [{ topic: name, numPartitions: 2, configEntries: Object.entries(config).map(([key, value]) => ({ name: key, value })) }],
  });
  await admin.disconnect();
}

test('what a broker refuses for what it is goes to the produce policy: records without a key for a compacted topic, with all else arriving once', async () => {
  await makeTopic('keyed-only', { 'cleanup.policy': 'compact' });
  const keyedOnly = topic('keyed-only', { ...text, key: serde.nullable(serde.string()) });
  const program = topology('keyless', (t) => {
    t.stream(topic('mixed', text))
      .map((value) => ({ key: value.startsWith('no') ? null : value, value }))
      .to(keyedOnly, { onError: ({ error }) => (/takes no record without a key/.test(String(error)) ? deadLetter('keyless-dlq') : 'fail') });
  });
  const values = Array.from({ length: 60 }, (_, index) => `${index % 3 === 0 ? 'no' : 'key'}-${index}`);
  await withApp(program, async (app) => {
    await produce('mixed', values);
    await app.drained();
    expect(await read(app, 'keyed-only')).toEqual(values.filter((value) => value.startsWith('key')).sort());
    expect(await read(app, 'keyless-dlq')).toEqual(values.filter((value) => value.startsWith('no')).sort());
  });
});

test('records dated outside what their output topic takes go to the produce policy', async () => {
  await makeTopic('recent', { 'message.timestamp.before.max.ms': '3600000' });
  const program = topology('dated', (t) => {
    t.stream(topic('dated-in', text)).to(topic('recent', text), { onError: ({ error }) => (/takes no record dated/.test(String(error)) ? 'skip' : 'fail') });
  });
  await withApp(program, async (app) => {
    const producer = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).producer();
    await producer.connect();
    const failures: unknown[] = [];
    app.events.subscribe((event) => void (event.kind === 'failure' && failures.push(event)));
    const old = String(Date.now() - 7_200_000);
    const messages = ['a', 'old-b', 'c', 'old-d', 'e'].map((value) => ({ key: 'k', value, ...(value.startsWith('old') ? { timestamp: old } : {}) }));
    await producer.send({ topic: 'dated-in', messages });
    await producer.disconnect();
    await app.drained();
    expect(await read(app, 'recent')).toEqual(['a', 'c', 'e']);
    expect(failures).toContainEqual(
      expect.objectContaining({ decision: 'skip', failure: expect.objectContaining({ stage: 'produce', timestamp: Number(old) }) }),
    );
  });
});

test('without a policy a refused record stops the instance in the end, with the record and what the broker said; nothing of it is committed', async () => {
  await makeTopic('keyed-too', { 'cleanup.policy': 'compact' });
  const program = topology('unasked', (t) => {
    t.stream(topic('unasked-in', text))
      .map((value) => ({ key: null, value }))
      .to(topic('keyed-too', { ...text, key: serde.nullable(serde.string()) }));
  });
  const options = { brokers: [broker.address], createTopics: true, stateDir: join(folder, 'state'), http: false, log: silentLogger } as const;
  const app = createApp(program, options);
  await app.start();
  await produce('unasked-in', ['x']);
  await expect(app.waitFor('stopped')).rejects.toMatchObject({
    code: 'ERR_TASK_FAILED',
    message: expect.stringMatching(/unasked-in-\d@0 could not be produced by .*takes no record without a key/),
  });
  await app.close();
});

test('an output topic that is deleted while the application runs: the produce policy is asked, and the rest goes on', async () => {
  for (const name of ['kept', 'lost', 'lost-in', 'lost-dlq']) await makeTopic(name, {});
  const program = topology('losing', (t) => {
    const lines = t.stream(topic('lost-in', text));
    lines.to(topic('kept', text));
    lines.to(topic('lost', text), { onError: ({ error }) => (/is not there any more/.test(String(error)) ? deadLetter('lost-dlq') : 'fail') });
  });
  const app = createApp(program, { brokers: [broker.address], requestTimeout: '500ms', stateDir: join(folder, 'state'), http: false, log: silentLogger });
  await app.start();
  try {
    await app.waitFor('running');
    await produce('lost-in', ['before']);
    await app.drained();
    const admin = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.deleteTopics({ topics: ['lost'] });
    await admin.disconnect();
    await produce('lost-in', ['after']);
    await app.drained();
    expect([await read(app, 'kept'), await read(app, 'lost-dlq')]).toEqual([['after', 'before'], ['after']]);
  } finally {
    await app.close();
  }
});

test('drained waits for calls under way, also for those whose input offset has been committed long ago', async () => {
  const asked = topic('asked', text);
  const told = topic('told', text);
  let answer: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const program = topology('patient', (t) => {
    t.stream(asked)
      .mapValuesAsync(
        async (value) => {
          if (value === 'slow') await gate;
          return value.toUpperCase();
        },
        { as: 'ask', concurrency: 8, value: serde.string() },
      )
      .to(told);
  });
  await withApp(program, async (app) => {
    await produce('asked', ['quick', 'slow', 'quick']);
    let done = false;
    const drained = app.drained().then(() => {
      done = true;
    });
    while ((await read(app, 'told')).length < 2) await new Promise<void>((resolve) => setImmediate(resolve));
    expect(done).toBe(false);
    answer();
    await drained;
    expect(await read(app, 'told')).toEqual(['QUICK', 'QUICK', 'SLOW']);
  });
});

test('a record from the future goes to the decode policy and closes no window; tuning.timestampAheadMax says how far ahead is too far', async () => {
  for (const name of ['ahead-in', 'ahead-dlq']) await makeTopic(name, { 'message.timestamp.after.max.ms': '9223372036854775807' });
  const visits = store.window('visits', { key: serde.string(), value: serde.safeInt() });
  const program = topology('ahead', (t) => {
    t.stream(topic('ahead-in', text), {
      onError: ({ error }) => (/ahead of the clock/.test(String(error)) ? deadLetter('ahead-dlq') : 'fail'),
    })
      .groupByKey()
      .windowedBy(windows.tumbling({ size: '1h', grace: 0 }))
      .count({ store: visits });
  });
  const nowMs = Date.now();
  const tuning = { timestampAheadMax: '1d' } as const;
  const app = createApp(program, { brokers: [broker.address], createTopics: true, stateDir: join(folder, 'ahead'), http: false, log: silentLogger, tuning });
  await app.start();
  try {
    await app.waitFor('running');
    const producer = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).producer();
    await producer.connect();
    const at = (value: string, ms: number) => ({ key: 'k', value, timestamp: String(ms) });
    const years = 3 * 365 * 86_400_000;
    await producer.send({ topic: 'ahead-in', messages: [at('a', nowMs), at('future', nowMs + years), at('b', nowMs)] });
    await producer.disconnect();
    await app.drained();
    const counts: number[] = [];
    for await (const { value } of app.store(visits).fetch('k')) counts.push(value);
    expect([counts, await read(app, 'ahead-dlq')]).toEqual([[2], ['future']]);
  } finally {
    await app.close();
  }
});

test('a static member that is back within its session has its tasks at once, and nobody else hears of it', async () => {
  const program = topology(
    'static-members',
    (t) => void t.stream(topic('static-in', { ...text, partitions: 4 })).to(topic('static-out', { ...text, partitions: 4 })),
  );
  const heard: string[] = [];
  const start = async (instanceId: string): Promise<App> => {
    const app = createApp(program, {
      brokers: [broker.address],
      createTopics: true,
      stateDir: join(folder, 'static'),
      instanceId,
      http: false,
      log: silentLogger,
      tuning: { sessionTimeout: '30s' },
    });
    app.events.subscribe((event) => {
      if (event.kind === 'assigned' || event.kind === 'revoked' || event.kind === 'lost')
        heard.push(`${instanceId} ${event.kind} ${[...event.tasks].sort().join(' ')}`);
    });
    await app.start();
    await app.waitFor('running');
    return app;
  };
  const tasksOf = (app: App): string[] =>
    app
      .tasks()
      .map(({ id }) => id)
      .sort();
  const one = await start('one');
  const two = await start('two');
  while (tasksOf(one).length + tasksOf(two).length !== 4 || tasksOf(two).length !== 2) await new Promise((resolve) => setImmediate(resolve));
  const had = tasksOf(one);
  heard.length = 0;
  await one.close();
  const again = await start('one');
  expect([tasksOf(again), tasksOf(two).length]).toEqual([had, 2]);
  expect(heard).toEqual([`one assigned ${had.join(' ')}`]);
  await produce('static-in', ['a', 'b', 'c']);
  await again.drained();
  expect(await read(again, 'static-out')).toEqual(['a', 'b', 'c']);
  await Promise.all([again.close(), two.close()]);
});

test('onWorkerFailure stopApplication ends every instance of the group, each with the reason', async () => {
  const lines = topic('fatal-lines', text);
  const program = topology('all-or-nothing', (t) => {
    t.stream(lines).forEach((line) => {
      if (line === 'bad') throw new Error('nobody should go on after this');
    });
  });
  const start = async (name: string): Promise<App> => {
    const app = createApp(program, {
      brokers: [broker.address],
      createTopics: true,
      stateDir: join(folder, name),
      http: false,
      log: silentLogger,
      errors: { onWorkerFailure: ({ code }) => (code === 'ERR_TASK_FAILED' ? 'stopApplication' : 'restartWorker') },
    });
    await app.start();
    await app.waitFor('running');
    return app;
  };
  const apps = [await start('first'), await start('second')];
  await produce('fatal-lines', ['good', 'bad', 'good']);
  const reasons = await Promise.all(apps.map((app) => app.finished().catch((error: Error) => error)));
  expect(reasons.map((reason) => (reason as { code?: string } | undefined)?.code).sort()).toEqual(['ERR_APPLICATION_STOPPED', 'ERR_TASK_FAILED']);
  for (const reason of reasons) expect(String(reason)).toContain('nobody should go on after this');
  await Promise.all(apps.map((app) => app.close()));
});

test('a callback that never returns is told of, its worker is replaced, and the record is processed by the next one', async () => {
  const script = fileURLToPath(new URL('./endless-loop.mjs', import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'ignore'], env: { ...process.env, FOLDER: folder, BROKER: broker.address } });
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (line !== 'ready') continue;
    await produce('loop-lines', ['one', 'loop', 'three']);
    child.stdin.write('go\n');
  }
  expect(said.filter((line, index) => said.indexOf(line) === index)).toEqual(['ready', 'blocked', 'ERR_WORKER_BLOCKED', 'ONE LOOP THREE']);
});
