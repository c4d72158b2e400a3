// The embedded broker as a process of its own, on a free port unless one is given, as foreign clients meet it. Prints "ready PORT".
// Usage: broker.mjs DATA_DIR [PORT] [OPTIONS], the last as JSON: more of the broker's options.
import { startBroker } from '@millrace/broker';
import { jsonLogger, nodeDisk, nodeNetwork, systemChance, systemClock, systemTimers } from '@millrace/core';

const [dataDir, port = '0', options = '{}'] = process.argv.slice(2);
const log = jsonLogger(
  'warn',
  (line) => process.stderr.write(`${line}\n`),
  () => systemClock.nowMs(),
);
const broker = await startBroker(
  { ...JSON.parse(options), dataDir, host: '127.0.0.1', port: Number(port) },
  { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log },
);
const stop = () => broker.close().then(() => process.exit(0));
process.on('SIGTERM', stop);
process.stdin.on('end', stop).resume(); // whoever started it is gone
process.stdout.write(`ready ${broker.port}\n`);
