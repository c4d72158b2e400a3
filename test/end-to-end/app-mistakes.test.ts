// Calls that a program makes by mistake are refused and told; what runs already goes on.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker } from '@millrace/broker';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { createApp, serde, store, topic, topology } from 'millrace';
import { expect, test } from 'vitest';

const words = topic('words', { key: serde.string(), value: serde.string(), partitions: 1 });
const counts = store.keyValue('counts', { key: serde.string(), value: serde.safeInt() });
const counted = topology('mistakes', (t) => void t.stream(words).groupByKey().count({ store: counts }));

test('a second start and a handle of nobody are refused, and the app runs on', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'millrace-mistakes-'));
  const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
  const broker = await startBroker({ dataDir: join(stateDir, 'broker') }, ports);
  const app = createApp(counted, { brokers: [broker.address], createTopics: true, stateDir, http: false, engine: 'memory', log: silentLogger });
  try {
    await expect(app.drained()).rejects.toMatchObject({ code: 'ERR_CLOSED', message: expect.stringMatching(/call start\(\) before drained/) });
    await app.start();
    await expect(app.start()).rejects.toMatchObject({ code: 'ERR_CLOSED', message: expect.stringMatching(/an app is started once/) });
    await app.drained();
    expect(app.state).toBe('running');
    expect(await app.store(counts).get('nobody')).toBeUndefined();
    const other = store.keyValue('others', { key: serde.string(), value: serde.string() });
    expect(() => app.store(other)).toThrow(/'mistakes' has no store 'others'; it has counts/);
    expect(() => app.store('counts' as never)).toThrow(/takes the handle .* not a name/);
  } finally {
    await app.close();
    await broker.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
  await expect(app.start()).rejects.toMatchObject({ code: 'ERR_CLOSED', message: expect.stringMatching(/has been closed/) });
});
