// The embedded broker as a process of its own, on a free port unless one is given, as foreign clients meet it. Prints "ready PORT".
import { startBroker } from '@millrace/broker';
import { jsonLogger, nodeDisk, nodeNetwork, systemChance, systemClock, systemTimers } from '@millrace/core';

const [dataDir, port = '0'] = process.argv.slice(2);
const log = jsonLogger(
  'warn',
  (line) => process.stderr.write(`${line}\n`),
  () => systemClock.nowMs(),
);
const broker = await startBroker(
  { dataDir, host: '127.0.0.1', port: Number(port) },
  { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log },
);
const stop = () => broker.close().then(() => process.exit(0));
process.on('SIGTERM', stop);
process.stdin.on('end', stop).resume(); // whoever started it is gone
process.stdout.write(`ready ${broker.port}\n`);
