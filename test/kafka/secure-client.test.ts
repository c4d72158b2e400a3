// Our client at Apache Kafka's closed door: TLS and every login, all conformance cases through it, and a login that runs out meanwhile.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLIENT_CONFORMANCE, createAdmin } from '@millrace/client';
import { nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { describe, expect, test } from 'vitest';

const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, log: silentLogger };
const ca = readFileSync(join(import.meta.dirname, '../fixtures/tls/ca.cert.pem'), 'utf8');
const base = {
  brokers: [process.env.MILLRACE_TEST_KAFKA_SECURE ?? ''],
  clientId: 'secure',
  connectionTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
  ssl: { ca },
};
const ada = { username: 'ada', password: 'ada-secret' };

describe.each(['plain', 'scram-sha-256'] as const)('at Apache Kafka, %s over TLS', (mechanism) => {
  const sasl = { mechanism, ...ada };

  test('the cluster is seen', async () => {
    const admin = createAdmin({ ...base, sasl }, {}, ports);
    expect((await admin.describeTopics(undefined)).size).toBeGreaterThanOrEqual(0);
    await admin.close();
  });

  test.each([
    ['a wrong password', { ...sasl, password: 'guess' }],
    ['an unknown name', { ...sasl, username: 'nobody' }],
  ])('%s is refused for good, at once', async (_what, wrong) => {
    const admin = createAdmin({ ...base, sasl: wrong }, {}, ports);
    await expect(admin.describeTopics(undefined)).rejects.toMatchObject({ code: 'ERR_AUTHENTICATION' });
    await admin.close();
  });
});

describe('at Apache Kafka, over TLS with a login that is good for three seconds', () => {
  const connection = { ...base, sasl: { mechanism: 'scram-sha-512', ...ada } as const };
  for (const each of CLIENT_CONFORMANCE) test(each.name, () => each.run(connection, ports));

  test('a connection is used past its login', async () => {
    const admin = createAdmin(connection, {}, ports);
    const from = systemClock.monotonicMs();
    while (systemClock.monotonicMs() - from < 7_000) {
      await admin.describeTopics(undefined);
      await new Promise<void>((resolve) => void systemTimers.after(250, resolve));
    }
    await admin.close();
  });
});

test('a certificate that nobody here trusts ends the attempt', async () => {
  const admin = createAdmin({ ...base, ssl: true, sasl: { mechanism: 'scram-sha-256', ...ada } }, {}, ports);
  await expect(admin.describeTopics(undefined)).rejects.toMatchObject({ code: 'ERR_AUTHENTICATION' });
  await admin.close();
});
