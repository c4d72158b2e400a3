// The embedded broker goes through the suite that Apache Kafka goes through in npm run test:kafka, over real sockets and files.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, startBroker } from '@millrace/broker';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { afterAll } from 'vitest';
import { everyVersionSuite } from '../kafka/every-version.ts';

const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
const dataDir = mkdtempSync(join(tmpdir(), 'millrace-every-version-'));
let broker: Broker | undefined;

afterAll(async () => {
  await broker?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

everyVersionSuite(async () => {
  broker = await startBroker({ dataDir }, ports);
  return broker.address;
});
