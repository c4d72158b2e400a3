// KafkaJS as a stranger to a broker that is closed: TLS, logins, access rules, and what it is told when it may not.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SecurityOptions, startBroker } from '@millrace/broker';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, type KafkaConfig, logLevel, ResourcePatternTypes } from 'kafkajs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
const FIXTURES = join(import.meta.dirname, '../fixtures/tls');
const file = (name: string): string => join(FIXTURES, `${name}.pem`);
const ca = readFileSync(file('ca.cert'), 'utf8');

type Broker = Awaited<ReturnType<typeof startBroker>>;
let dataDir: string;
let broker: Broker | undefined;
const open: { disconnect(): Promise<void> }[] = [];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'millrace-secure-'));
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.disconnect();
  await broker?.close();
  broker = undefined;
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(security: SecurityOptions): Promise<Broker> {
  broker = await startBroker({ dataDir, host: '127.0.0.1', port: 0, autoCreateTopics: false, security }, ports);
  return broker;
}
const USERS = { ada: 'ada-secret', bob: 'bob-secret', admin: 'admin-secret' };
const tls = { key: file('server.key'), cert: file('server.cert') };

function client(config: Partial<KafkaConfig>): Kafka {
  return new Kafka({
    clientId: 'stranger',
    brokers: [broker?.address as string],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 10, retries: 1 },
    ...config,
  });
}
const as = (user: keyof typeof USERS, mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512' = 'scram-sha-256') =>
  ({ mechanism, username: user, password: USERS[user] }) as NonNullable<KafkaConfig['sasl']>;

async function admin(kafka: Kafka) {
  const made = kafka.admin();
  await made.connect();
  open.push(made);
  return made;
}

/** Writes a record and reads it back in a group. */
async function roundTrip(kafka: Kafka, topic: string, groupId: string): Promise<string | undefined> {
  const producer = kafka.producer();
  await producer.connect();
  open.push(producer);
  await producer.send({ topic, messages: [{ key: 'k', value: 'over the wire' }] });
  const consumer = kafka.consumer({ groupId });
  await consumer.connect();
  open.push(consumer);
  await consumer.subscribe({ topic, fromBeginning: true });
  return new Promise((resolve, reject) => {
    consumer.run({ eachMessage: async ({ message }) => resolve(message.value?.toString()) }).catch(reject);
  });
}

describe('KafkaJS at a broker with a login', () => {
  test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('logs in over TLS with %s, writes and reads', async (mechanism) => {
    await start({ tls, sasl: { mechanisms: [mechanism], users: USERS } });
    const kafka = client({ ssl: { ca: [ca] }, sasl: as('ada', mechanism) });
    await (await admin(kafka)).createTopics({ topics: [{ topic: 't', numPartitions: 1 }] });
    expect(await roundTrip(kafka, 't', 'g')).toBe('over the wire');
  });

  test('is refused with a wrong password, an unknown name or a mechanism that is not offered, all in the same words for name and password', async () => {
    await start({ sasl: { mechanisms: ['scram-sha-256'], users: USERS } });
    const words = async (sasl: NonNullable<KafkaConfig['sasl']>): Promise<string> => {
      const one = client({ sasl }).admin();
      const error = await one.connect().then(
        () => undefined,
        (cause: Error) => cause,
      );
      await one.disconnect();
      return error?.message ?? 'let in';
    };
    const wrong = await words({ mechanism: 'scram-sha-256', username: 'ada', password: 'guess' });
    expect(wrong).toMatch(/Authentication failed/);
    expect(await words({ mechanism: 'scram-sha-256', username: 'nobody', password: 'guess' })).toBe(wrong);
    expect(await words({ mechanism: 'plain', username: 'ada', password: USERS.ada })).toMatch(/does not support the requested SASL mechanism/);
  });

  test('a client certificate can be the login, and its name is the principal', async () => {
    await start({
      tls: { ...tls, ca: file('ca.cert'), clientAuth: 'required' },
      authorization: { rules: [{ principal: 'User:CN=ada,OU=Mills\\, North,O=Millrace tests', operation: 'all', resourceType: 'cluster' }] },
    });
    const certificate = { ca: [ca], cert: readFileSync(file('client.cert'), 'utf8'), key: readFileSync(file('client.key'), 'utf8') };
    const kafka = client({ ssl: certificate });
    expect(await (await admin(kafka)).createTopics({ waitForLeaders: false, topics: [{ topic: 't', numPartitions: 1 }] })).toBe(true);
    const bare = client({ ssl: { ca: [ca] } }).admin();
    await expect(bare.connect()).rejects.toThrow();
    await bare.disconnect();
  });
});

describe('KafkaJS at a broker with access rules', () => {
  const rules = [
    { principal: 'User:ada', operation: 'all', resourceType: 'topic', name: 'orders-', pattern: 'prefixed' },
    { principal: 'User:ada', operation: 'read', resourceType: 'group', name: 'ada-group' },
    { principal: 'User:bob', operation: 'describe', resourceType: 'topic', name: 'orders-1' },
    { principal: 'User:bob', operation: 'describe', resourceType: 'group', name: 'ada-group' },
  ] as const;
  const closed: SecurityOptions = { sasl: { users: USERS }, authorization: { superUsers: ['User:admin'], rules } };

  test('may do what a rule allows and is told which right it lacks', async () => {
    await start(closed);
    const boss = await admin(client({ sasl: as('admin') }));
    await boss.createTopics({ topics: [{ topic: 'orders-1' }, { topic: 'secret' }] });
    const ada = client({ sasl: as('ada', 'scram-sha-512') });
    expect(await roundTrip(ada, 'orders-1', 'ada-group')).toBe('over the wire');

    const adaAdmin = await admin(ada);
    expect(await adaAdmin.listTopics()).toEqual(['orders-1']);
    await expect(adaAdmin.createTopics({ topics: [{ topic: 'mine' }] })).rejects.toThrow();
    await expect(adaAdmin.fetchTopicMetadata({ topics: ['secret'] })).rejects.toMatchObject({ type: 'TOPIC_AUTHORIZATION_FAILED' });
    await expect(adaAdmin.describeAcls(everything)).rejects.toMatchObject({ type: 'CLUSTER_AUTHORIZATION_FAILED' });

    const bob = client({ sasl: as('bob') });
    const producer = bob.producer();
    await producer.connect();
    open.push(producer);
    await expect(producer.send({ topic: 'orders-1', messages: [{ value: 'no' }] })).rejects.toMatchObject({ type: 'TOPIC_AUTHORIZATION_FAILED' });
    const consumer = bob.consumer({ groupId: 'ada-group', retry: { retries: 0 } });
    await consumer.connect();
    open.push(consumer);
    await consumer.subscribe({ topic: 'orders-1' });
    const crash = new Promise<Error>((resolve) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => resolve(payload.error));
    });
    await consumer.run({ eachMessage: async () => {} });
    expect(await crash).toMatchObject({ type: 'GROUP_AUTHORIZATION_FAILED' });
  });

  const everything = {
    resourceType: AclResourceTypes.ANY,
    resourcePatternType: ResourcePatternTypes.ANY,
    operation: AclOperationTypes.ANY,
    permissionType: AclPermissionTypes.ANY,
  };

  test('rules made over the wire count at once, are listed, outlive a restart, and can be taken away', async () => {
    await start({ sasl: { users: USERS }, authorization: { superUsers: ['User:admin'] } });
    const boss = await admin(client({ sasl: as('admin') }));
    await boss.createTopics({ topics: [{ topic: 'a' }, { topic: 'b' }] });
    const listAs = async (user: 'ada'): Promise<readonly string[]> => (await admin(client({ sasl: as(user) }))).listTopics();
    expect(await listAs('ada')).toEqual([]);
    const rule = {
      resourceType: AclResourceTypes.TOPIC,
      resourceName: 'a',
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: 'User:ada',
      host: '*',
      operation: AclOperationTypes.READ,
      permissionType: AclPermissionTypes.ALLOW,
    };
    expect(await boss.createAcls({ acl: [rule] })).toBe(true);
    expect(await listAs('ada')).toEqual(['a']);

    for (const one of open.splice(0)) await one.disconnect();
    await broker?.close();
    await start({ sasl: { users: USERS }, authorization: { superUsers: ['User:admin'] } });
    const again = await admin(client({ sasl: as('admin') }));
    expect(await listAs('ada')).toEqual(['a']);
    const { resources } = await again.describeAcls(everything);
    expect(resources).toMatchObject([{ resourceName: 'a', acls: [{ principal: 'User:ada', operation: AclOperationTypes.READ }] }]);
    const gone = await again.deleteAcls({ filters: [{ ...everything, principal: 'User:ada' }] });
    expect(gone.filterResponses[0]?.matchingAcls).toHaveLength(1);
    expect(await listAs('ada')).toEqual([]);
  });
});
