// The embedded broker as a process of its own, so that it can be killed apart from the instances.
import { startBroker } from '@millrace/broker';
import { jsonLogger, nodeDisk, nodeNetwork, systemChance, systemClock, systemTimers } from '@millrace/core';

const [dataDir, port] = process.argv.slice(2);
const log = jsonLogger(
  'warn',
  (line) => process.stderr.write(`${line}\n`),
  () => systemClock.nowMs(),
);
const broker = await startBroker(
  { dataDir, host: '127.0.0.1', port: Number(port), partitions: 4 },
  { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log },
);
process.on('SIGTERM', () => broker.close().then(() => process.exit(0)));
process.stdout.write(`ready ${broker.port}\n`);
