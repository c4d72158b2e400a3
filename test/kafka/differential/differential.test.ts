// The same requests, nearly right and in any order, to Apache Kafka and to the embedded broker: what they answer must be the same.
// npm run compare runs it for long; here a few episodes with one seed. A difference that is meant stands in `known.ts`, with its row of
// docs/broker-differences.md; any other one fails, with what was asked before it.
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, startBroker } from '@millrace/broker';
import { type Logger, nodeDisk, nodeNetwork, seededChance, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { APIS } from '@millrace/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AREAS } from './areas.ts';
import { Comparison } from './comparison.ts';
import { Side } from './side.ts';

const seed = Number(process.env.MILLRACE_COMPARE_SEED ?? 1);
const episodes = Number(process.env.MILLRACE_COMPARE_EPISODES ?? 25);
const only = process.env.MILLRACE_COMPARE_AREA;
const report = process.env.MILLRACE_COMPARE_REPORT;

let broker: Broker;
let dataDir: string;
let comparison: Comparison;
const defects: string[] = [];

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'millrace-compare-'));
  const log: Logger = { ...silentLogger, error: (fields: object, message: string) => void defects.push(`${message}: ${JSON.stringify(fields)}`) };
  const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log };
  broker = await startBroker({ dataDir, host: '127.0.0.1', port: 0, autoCreateTopics: false, groups: { sessionTimeoutMinMs: 1_000 } }, ports);
  comparison = new Comparison(
    new Side('ours', broker.address),
    new Side('theirs', process.env.MILLRACE_TEST_KAFKA as string),
    seededChance(seed),
    `${process.pid}-${seed}`,
  );
  await comparison.warmUp();
});
afterAll(async () => {
  comparison?.close();
  await broker?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

for (const area of AREAS.filter(({ name }) => only === undefined || name === only))
  test(
    `${episodes} episodes of ${area.name}, seed ${seed}`,
    async () => {
      for (let episode = 0; episode < episodes; episode++) await comparison.episode(area);
      const summary = comparison.summary();
      const findings = comparison.takeFindings();
      if (report !== undefined) appendFileSync(report, `${[`${area.name}: ${episodes} episodes, ${summary}`, ...findings].join('\n')}\n`);
      expect(findings).toEqual([]);
      expect(defects.splice(0)).toEqual([]);
    },
    24 * 3_600_000,
  );

test('every API that both brokers offer is asked', () => {
  const never = new Set(['SaslAuthenticate', 'DescribeQuorum']);
  const offered = Object.values(APIS)
    .map(({ name }) => name)
    .filter((name) => !never.has(name));
  expect(offered.filter((name) => !comparison.asked.has(name))).toEqual([]);
});
