import { MillraceError } from '@millrace/core';
import { APIS } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { ScriptedBroker } from '../testing/scripted-broker.ts';
import { KafkaCluster } from './cluster.ts';
import { createAdmin, createProducer } from './open.ts';

async function failureOf(promise: Promise<unknown>): Promise<MillraceError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!MillraceError.is(error)) throw new Error(`no MillraceError: ${String(error)}`);
  return error;
}

describe('the first contact', () => {
  test('nobody there: after the connection timeout one error names the addresses, the time and what to try; later calls work', async () => {
    const broker = new ScriptedBroker();
    const admin = createAdmin({ ...broker.connection, brokers: ['broker:9092', 'other:9093'] }, {}, broker.ports);
    const failure = await broker.run(failureOf(admin.describeTopics(undefined)));
    expect(failure.code).toBe('ERR_BROKER_UNREACHABLE');
    expect(failure.message).toMatch(/broker:9092, other:9093 within 1000 ms. Check that a broker is running/);
    expect(broker.time.clock.monotonicMs()).toBeLessThan(1_500);
    await broker.listen();
    expect(await broker.run(admin.describeTopics(undefined))).toEqual(new Map());
  });

  test('a broker that comes up within the connection timeout is found', async () => {
    const broker = new ScriptedBroker();
    const producer = createProducer(broker.connection, {}, broker.ports);
    const initialised = producer.initialise();
    await broker.time.advance(300);
    await broker.listen();
    await broker.run(initialised, 1_000);
  });

  test.each([[[]], [['broker']], [['broker:0']], [['broker:99999']], [['http://broker:9092']]])(
    'the address list %j is refused with the form to write',
    (brokers) => {
      const broker = new ScriptedBroker();
      expect(() => createAdmin({ ...broker.connection, brokers }, {}, broker.ports)).toThrow(/host:port/);
    },
  );
});

describe('closing', () => {
  const sasl = { mechanism: 'plain', username: 'ada', password: 'hunter2', plainWithoutTls: true } as const;
  test.each<[string, (broker: ScriptedBroker) => unknown]>([
    ['connects', (broker) => broker.network.hold()],
    ['agrees on versions', (broker) => broker.script('apiVersions', () => 'drop')],
    ['logs in', (broker) => broker.script('saslHandshake', () => 'drop')],
  ])('while it %s rejects what waits at once and leaves nothing that keeps the process alive', async (_step, stall) => {
    const broker = await new ScriptedBroker().listen();
    stall(broker);
    const cluster = new KafkaCluster({ ...broker.connection, sasl }, broker.ports);
    const failure = failureOf(cluster.start());
    await broker.time.advance(10);
    cluster.close();
    expect((await broker.run(failure, 0)).code).toBe('ERR_CLOSED');
    await broker.time.runUntilIdle(0);
  });
});

describe('metadata', () => {
  test('several wishes for a refresh at once are one request', async () => {
    const broker = await new ScriptedBroker().listen();
    const cluster = new KafkaCluster(broker.connection, broker.ports);
    await broker.run(cluster.start());
    await broker.run(Promise.all([cluster.refresh(), cluster.refresh(), cluster.refresh()]));
    expect(broker.seen('metadata').length).toBe(2);
  });

  test('an older leader epoch of the same topic is not taken for news; of a topic made again it is', async () => {
    const broker = await new ScriptedBroker().listen();
    broker.topic('t');
    const cluster = new KafkaCluster(broker.connection, broker.ports);
    cluster.want(['t']);
    await broker.run(cluster.start());
    broker.leaderEpoch = 3;
    await broker.run(cluster.refresh());
    expect(cluster.topic('t')?.leaders[0]?.epoch).toBe(5);
    broker.topic('t', 1, Buffer.from('made again......').toString('base64url'));
    await broker.run(cluster.refresh());
    expect(cluster.topic('t')?.leaders[0]?.epoch).toBe(3);
  });

  test('no topic is ever created by asking for it', async () => {
    const broker = await new ScriptedBroker().listen();
    const admin = createAdmin(broker.connection, {}, broker.ports);
    await broker.run(admin.describeTopics(['missing']));
    expect(broker.seen('metadata').every(({ body }) => body.allowAutoTopicCreation === false)).toBe(true);
  });
});

describe('requests of the admin port', () => {
  test('all partitions of a commit go in one request, and offsets are asked for with require-stable', async () => {
    const broker = await new ScriptedBroker().listen();
    const admin = createAdmin(broker.connection, {}, broker.ports);
    const partitions = Array.from({ length: 10 }, (_, partition) => ({ topic: partition % 2 === 0 ? 'a' : 'b', partition }));
    await broker.run(
      admin.commitOffsets(
        { groupId: 'g', memberId: 'm', generation: 1, instanceId: 'i' },
        partitions.map((each) => ({ ...each, offset: 3 as never, leaderEpoch: 2, metadata: 'x' })),
      ),
    );
    expect(broker.seen('offsetCommit').length).toBe(1);
    expect(broker.seen('offsetCommit')[0]?.body).toMatchObject({ generationIdOrMemberEpoch: 1, memberId: 'm', groupInstanceId: 'i' });
    await broker.run(admin.committedOffsets('g', partitions));
    expect(broker.seen('offsetFetch')[0]?.body.requireStable).toBe(true);
    await broker.run(admin.committedOffsets('g', partitions, 'asOfNow'));
    expect(broker.seen('offsetFetch')[1]?.body.requireStable).toBe(false);
  });

  test('a commit without an answer is not repeated: whoever asks is to know', async () => {
    const broker = await new ScriptedBroker().listen();
    const admin = createAdmin(broker.connection, {}, broker.ports);
    broker.script('offsetCommit', () => 'close');
    const commit = admin.commitOffsets({ groupId: 'g', memberId: 'm', generation: 1, instanceId: undefined }, [
      { topic: 'a', partition: 0, offset: 3 as never, leaderEpoch: 2, metadata: '' },
    ]);
    expect(await broker.run(commit.catch((error: unknown) => error))).toMatchObject({ code: 'ERR_CONNECTION', where: { sent: 1 } });
    expect(broker.seen('offsetCommit').length).toBe(1);
  });

  test('pending offsets of another owner are waited for, not skipped', async () => {
    const broker = await new ScriptedBroker().listen();
    const admin = createAdmin(broker.connection, {}, broker.ports);
    const answer = (errorCode: number, committedOffset: number) => () => ({
      groups: [{ groupId: 'g', errorCode: 0, topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset, metadata: null, errorCode }] }] }],
    });
    broker.script('offsetFetch', answer(88, -1), answer(88, -1), answer(0, 7));
    const found = await broker.run(admin.committedOffsets('g', [{ topic: 't', partition: 0 }]));
    expect([...found.values()]).toEqual([{ offset: 7, metadata: '' }]);
  });

  test('fencing an id sends no producer id and no epoch of its own', async () => {
    const broker = await new ScriptedBroker().listen();
    const admin = createAdmin(broker.connection, {}, broker.ports);
    await broker.run(admin.fenceTransactionalId('gone'));
    expect(broker.seen('initProducerId')[0]?.body).toMatchObject({ transactionalId: 'gone', producerId: -1, producerEpoch: -1 });
    expect(broker.seen('initProducerId')[0]?.version).toBe(APIS.initProducerId.client?.max);
  });
});
