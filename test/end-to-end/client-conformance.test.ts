// The client against the embedded broker over real sockets: the same cases as test/kafka runs against Apache Kafka.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, startBroker } from '@millrace/broker';
import { CLIENT_CONFORMANCE } from '@millrace/client';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { afterAll, beforeAll, describe, test } from 'vitest';

const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
const folder = mkdtempSync(join(tmpdir(), 'millrace-conformance-'));
let broker: Broker;

beforeAll(async () => {
  broker = await startBroker({ dataDir: folder, port: 0 }, ports);
});
afterAll(async () => {
  await broker?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('client against the embedded broker', () => {
  for (const each of CLIENT_CONFORMANCE) {
    test(each.name, () => each.run({ brokers: [broker.address], clientId: 'conformance', connectionTimeoutMs: 5_000, requestTimeoutMs: 10_000 }, ports));
  }
});
