// The embedded broker as a process of its own, with its defaults; arguments: data directory, fsync setting.
import { startBroker } from '@millrace/broker';
import { jsonLogger, nodeDisk, nodeNetwork, systemChance, systemClock, systemTimers } from '@millrace/core';

const [dataDir, fsync = 'never'] = process.argv.slice(2);
const log = jsonLogger(
  'warn',
  (line) => process.stderr.write(`${line}\n`),
  () => systemClock.nowMs(),
);
const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log };
const broker = await startBroker({ dataDir, fsync }, ports);
process.on('SIGTERM', () => broker.close().then(() => process.exit(0)));
process.stdout.write(`ready on ${broker.address}\n`);
