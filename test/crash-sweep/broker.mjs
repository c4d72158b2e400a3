// The broker under the sweep, a process of its own: the built packages, on a disk that may end the process.
// Arguments: one JSON text with dataDir, port, fsync and (optional) plan. Upkeep runs often, so that retention and compaction meet the kills.
import { startBroker } from '@millrace/broker';
import { jsonLogger, nodeDisk, nodeNetwork, systemChance, systemClock, systemTimers } from '@millrace/core';
import { dyingDisk } from './kill-points.mjs';

const { dataDir, port, fsync, plan } = JSON.parse(process.argv[2]);
const log = jsonLogger(
  'error',
  (line) => process.stderr.write(`${line}\n`),
  () => systemClock.nowMs(),
);
const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: dyingDisk(nodeDisk, plan), log };
const broker = await startBroker({ dataDir, port, fsync, limits: { retentionCheckMs: 200, compactionCheckMs: 150 } }, ports);
process.on('SIGTERM', () => broker.close().then(() => process.exit(0)));
process.stdout.write(`ready ${broker.port} ${broker.recovered}\n`);
