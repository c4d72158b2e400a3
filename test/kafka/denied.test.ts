// Somebody without any right asks Apache Kafka for everything: our table of refusals holds there too, code by code.
// A node of its own, because rights concern the whole node. The user logs in at the second door; the first one is the super user's.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAdmin } from '@millrace/client';
import { nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { APIS, type Api, correlationIdOf, decodeResponse, encodeRequest } from '@millrace/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FrameReader } from '../../packages/broker/src/server/frame-reader.ts';
import { codesIn, DENIED_CASES, FREE } from '../../packages/broker/src/testing/denied-cases.ts';
import { startKafka } from '../../scripts/kafka.mjs';

const ca = readFileSync(join(import.meta.dirname, '../fixtures/tls/ca.cert.pem'), 'utf8');
const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, log: silentLogger };

let kafka: Awaited<ReturnType<typeof startKafka>>;

describe.skipIf(process.env.MILLRACE_TEST_KAFKA === undefined)('somebody without rights at Apache Kafka', () => {
  beforeAll(async () => {
    kafka = await startKafka({
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
    });
    const admin = createAdmin({ brokers: [kafka.address], clientId: 'boss', connectionTimeoutMs: 10_000, requestTimeoutMs: 20_000 }, {}, ports);
    await admin.createTopics([{ name: 'secret', partitions: 1, replication: 1, config: {} }]);
    await admin.close();
  }, 180_000);
  afterAll(() => kafka?.stop());

  test.each(DENIED_CASES.map(([api, version, body, codes]) => [api.name, version, codes, api, body] as const))(
    '%s %d is refused with %j',
    async (_name, version, codes, api, body) => {
      const answer = await ask(api, version, body);
      const found = codesIn(answer).filter((code) => code !== 0);
      expect([...new Set(found)].sort()).toEqual([...codes].filter((code) => code !== FREE).sort());
    },
  );
});

/** Logs in as ada and asks once. */
async function ask(api: Api, version: number, body: object): Promise<object> {
  const [host, port] = kafka.secureAddress.split(':') as [string, string];
  const frames = new FrameReader(100_000_000);
  const waiting = new Map<number, (frame: Buffer) => void>();
  let closed: (error: Error) => void = () => {};
  const over = new Promise<never>((_, reject) => {
    closed = reject;
  });
  over.catch(() => {});
  const socket = await nodeNetwork.connect(
    { host, port: Number(port), timeoutMs: 10_000, tls: { ca } },
    {
      onData(chunk) {
        frames.push(chunk);
        for (let frame = frames.next(); frame !== undefined; frame = frames.next()) waiting.get(correlationIdOf(frame))?.(frame);
      },
      onClose: () => closed(new Error(`${api.name} ${version}: Kafka closed the connection`)),
    },
  );
  const send = (correlationId: number, to: Api, at: number, what: object): Promise<object> => {
    const answer = new Promise<Buffer>((resolve) => waiting.set(correlationId, resolve));
    socket.write(encodeRequest(to as typeof APIS.metadata, at, { correlationId, clientId: 'eve' }, what as never));
    return Promise.race([answer, over]).then((frame) => decodeResponse(to, at, frame).body as object);
  };
  try {
    expect(codesIn(await send(1, APIS.saslHandshake, 1, { mechanism: 'PLAIN' }))).toEqual([0]);
    expect(codesIn(await send(2, APIS.saslAuthenticate, 2, { authBytes: Buffer.from('\0ada\0ada-secret') }))).toEqual([0]);
    return await send(3, api, version, body);
  } finally {
    socket.destroy();
  }
}
