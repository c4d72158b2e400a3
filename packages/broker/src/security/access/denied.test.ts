// Somebody without any right asks for everything: each API refuses with Kafka's code, and nothing of what is there shows.
// A row here for every API; a new API without one fails the first test.
import { memoryDisk, memoryNetwork, type Ports, seededChance, silentLogger, systemClock, systemTimers } from '@millrace/core';
import { APIS, type Api, correlationIdOf, decodeResponse, encodeRequest } from '@millrace/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Broker, startBroker } from '../../broker.ts';
import { FrameReader } from '../../server/frame-reader.ts';
import { codesIn, DENIED_CASES, FREE } from '../../testing/denied-cases.ts';

let broker: Broker;
let ports: Ports;
beforeAll(async () => {
  ports = {
    clock: systemClock,
    timers: systemTimers,
    chance: seededChance(1),
    network: memoryNetwork(systemTimers),
    disk: memoryDisk(),
    log: silentLogger,
  };
  const open = await startBroker({ dataDir: '/data', autoCreateTopics: false }, ports);
  await ask(open, APIS.createTopics, 7, { topics: [{ name: 'secret', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }] });
  await ask(open, APIS.produce, 9, DENIED_CASES[0]?.[2] ?? {});
  const held = { partitionIndex: 0, committedOffset: 1, committedMetadata: 'held' };
  await ask(open, APIS.offsetCommit, 8, { groupId: 'g', memberId: '', topics: [{ name: 'secret', partitions: [held] }] });
  await ask(open, APIS.initProducerId, 4, { transactionalId: 'id', transactionTimeoutMs: 1000 });
  await open.close();
  broker = await startBroker({ dataDir: '/data', security: { authorization: { superUsers: ['User:admin'] } } }, ports);
});
afterAll(() => broker.close());

/** One request on a connection of its own. */
async function ask(to: Broker, api: Api, version: number, body: object): Promise<object> {
  const frames = new FrameReader(100_000_000);
  const answer = new Promise<Buffer>((resolve, reject) => {
    void ports.network
      .connect(
        { host: '127.0.0.1', port: to.port, timeoutMs: 1_000 },
        {
          onData(chunk) {
            frames.push(chunk);
            const frame = frames.next();
            if (frame !== undefined) resolve(frame);
          },
          onClose: () => reject(new Error(`${api.name} ${version}: the broker closed the connection`)),
        },
      )
      .then((socket) => {
        socket.write(encodeRequest(api as typeof APIS.metadata, version, { correlationId: 7, clientId: 'eve' }, body as never));
        void answer.finally(() => socket.destroy()).catch(() => {});
      });
  });
  const frame = await answer;
  expect(correlationIdOf(frame)).toBe(7);
  return decodeResponse(api, version, frame).body as object;
}

test('there is a case for every API', () => {
  const tried = new Set(DENIED_CASES.map(([api]) => api.key));
  expect(
    Object.values(APIS)
      .filter(({ key }) => !tried.has(key))
      .map(({ name }) => name),
  ).toEqual([]);
});

test.each(DENIED_CASES.map(([api, version, body, codes]) => [api.name, version, JSON.stringify(codes), api, body, codes] as const))(
  '%s %d: somebody without rights gets %s and sees nothing',
  async (_name, version, _codes, api, body, codes) => {
    const answer = await ask(broker, api, version, body);
    const found = codesIn(answer).filter((code) => code !== 0);
    expect([...new Set(found)].sort()).toEqual([...codes].filter((code) => code !== FREE).sort());
    const shown = JSON.stringify(answer);
    if (!JSON.stringify(body).includes('secret')) expect(shown).not.toContain('secret');
    expect(shown).not.toContain('held');
    expect(shown).not.toContain('"records":{"type":"Buffer","data":[0');
  },
);

test('nothing was changed by all that', async () => {
  await broker.close();
  const open = await startBroker({ dataDir: '/data', autoCreateTopics: false }, ports);
  const { topics } = (await ask(open, APIS.metadata, 9, { topics: null })) as { topics: readonly { name: string; partitions: readonly unknown[] }[] };
  expect(topics.filter(({ name }) => !name.startsWith('__')).map(({ name, partitions }) => [name, partitions.length])).toEqual([['secret', 1]]);
  const { entries } = (await ask(open, APIS.describeClientQuotas, 1, { components: [], strict: false })) as { entries: readonly unknown[] };
  expect(entries).toEqual([]);
  await open.close();
  broker = await startBroker({ dataDir: '/data' }, ports);
});
