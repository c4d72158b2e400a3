// Our client at the embedded broker's closed door: TLS, SCRAM, and access rules in front of every request. All conformance cases must pass
// through the guard as a user who has each right by a rule, none by being a super user.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SecurityOptions, startBroker } from '@millrace/broker';
import { CLIENT_CONFORMANCE, type ConnectionOptions, createAdmin, createProducer } from '@millrace/client';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
const file = (name: string): string => join(import.meta.dirname, '../fixtures/tls', `${name}.pem`);
const ca = readFileSync(file('ca.cert'), 'utf8');

const security: SecurityOptions = {
  tls: { key: file('server.key'), cert: file('server.cert') },
  sasl: { users: { ada: 'ada-secret', bob: 'bob-secret' }, sessionMs: 2_000 },
  authorization: {
    rules: (['topic', 'group', 'transactionalId', 'cluster'] as const).map((resourceType) => ({
      principal: 'User:ada',
      operation: 'all',
      resourceType,
      ...(resourceType === 'cluster' ? {} : { name: '*' }),
    })),
  },
};

let dataDir: string;
let broker: Awaited<ReturnType<typeof startBroker>>;
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'millrace-secure-client-'));
  broker = await startBroker({ dataDir, port: 0, security }, ports);
});
afterAll(async () => {
  await broker.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const connectionOf = (username: string, password = `${username}-secret`): ConnectionOptions => ({
  brokers: [broker.address],
  clientId: 'secure',
  connectionTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
  ssl: { ca },
  sasl: { mechanism: 'scram-sha-512', username, password },
});

describe('over TLS with SCRAM and access rules', () => {
  for (const each of CLIENT_CONFORMANCE) test(each.name, () => each.run(connectionOf('ada'), ports));
});

test('a wrong password and an unknown name are refused for good, in the same words but the name', async () => {
  const refusal = async (connection: ConnectionOptions): Promise<{ code: string; message: string }> => {
    const admin = createAdmin(connection, {}, ports);
    const error = await admin.describeTopics(undefined).then(
      () => ({ code: 'let in', message: '' }),
      (cause: { code: string; message: string }) => cause,
    );
    await admin.close();
    return { code: error.code, message: error.message };
  };
  const wrong = await refusal(connectionOf('ada', 'guess'));
  expect(wrong.code).toBe('ERR_AUTHENTICATION');
  const unknown = await refusal(connectionOf('nobody'));
  expect(unknown).toEqual({ code: wrong.code, message: wrong.message.replace('ada', 'nobody') });
});

test('who has no right is told which', async () => {
  const admin = createAdmin(connectionOf('bob'), {}, ports);
  expect((await admin.describeTopics(undefined)).size).toBe(0);
  await expect(admin.createTopics([{ name: 'mine', partitions: 1, replication: -1, config: {} }])).rejects.toMatchObject({ code: 'ERR_AUTHORIZATION' });
  await admin.close();
  const producer = createProducer(connectionOf('bob'), { transactionalId: 'bobs' }, ports);
  await expect(producer.initialise()).rejects.toMatchObject({ code: 'ERR_AUTHORIZATION' });
  await producer.close();
});
