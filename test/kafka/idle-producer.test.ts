// An application that is idle until Apache Kafka has forgotten its producer ids and its transactional id (fault row B6) goes on, exactly once.
// A node of its own: these times are settings of the broker.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { silentLogger } from '@millrace/core';
import { Kafka, logLevel } from 'kafkajs';
import { createApp, serde, store, topic, topology } from 'millrace';
import { expect, test } from 'vitest';

const EXPIRES_MS = 3_000;
const { startKafka } = (await import(new URL('../../scripts/kafka.mjs', import.meta.url).href)) as {
  startKafka(settings: object): Promise<{ readonly address: string; stop(): Promise<void> }>;
};

test('an application that was idle until its producer was forgotten goes on, and counts each record once', async () => {
  const kafka = await startKafka({
    'transactional.id.expiration.ms': EXPIRES_MS,
    'transaction.remove.expired.transaction.cleanup.interval.ms': 500,
    'producer.id.expiration.ms': EXPIRES_MS,
    'producer.id.expiration.check.interval.ms': 500,
  });
  const folder = mkdtempSync(join(tmpdir(), 'millrace-idle-'));
  const text = { key: serde.string(), value: serde.string(), partitions: 1 };
  const out = topic('idle-out', text);
  const flow = topology('idle', (t) => {
    t.stream(topic('idle-in', text))
      .groupByKey()
      .count({ store: store.keyValue('counts', { key: serde.string(), value: serde.safeInt() }), emit: 'onUpdate' })
      .toStream()
      .mapValues((count) => String(count), { value: serde.string() })
      .to(out);
  });
  const app = createApp(flow, { brokers: [kafka.address], createTopics: true, stateDir: folder, engine: 'memory', http: false, log: silentLogger });
  const client = new Kafka({ brokers: [kafka.address], logLevel: logLevel.NOTHING });
  try {
    await app.start();
    await app.waitFor('running');
    const producer = client.producer();
    await producer.connect();
    for (let round = 1; round <= 3; round++) {
      await producer.send({ topic: 'idle-in', messages: [{ key: 'k', value: 'v' }] });
      await app.drained();
      // Twice the time, and the sweep: nobody there knows the id then.
      await wait(2 * EXPIRES_MS + 2_000);
    }
    await producer.disconnect();
    const values: string[] = [];
    for await (const { value } of app.history(out)) values.push(value as string);
    expect(values).toEqual(['1', '2', '3']);
  } finally {
    await app.close();
    await kafka.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}, 400_000);
