// Kills the broker at every named point of its write path and at random, under load, and audits what lies on the disk afterwards.
// One seed gives one sequence of points; the timing is the machine's.  Owns: the kills and the findings.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { APIS } from '@millrace/protocol';
import { audit, newestVisibleOffset } from './audit.mjs';
import { ChurnLoad } from './churn-load.mjs';
import { IdempotentLoad } from './idempotent-load.mjs';
import { POINTS } from './kill-points.mjs';
import { Session } from './session.mjs';
import { TransactionalLoad } from './transactional-load.mjs';

const HIT_MS = 2500;
const AUDIT_EVERY = 25;
const FINDINGS_MAX = 20;
const START_MS = 30_000;

const TOPICS = [
  { name: 'dense', partitions: 3, configs: { 'segment.bytes': '16384' } },
  { name: 'short', partitions: 1, configs: { 'segment.bytes': '8192', 'retention.bytes': '65536' } },
  {
    name: 'table',
    partitions: 2,
    configs: { 'segment.bytes': '8192', 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.1', 'delete.retention.ms': '100' },
  },
  { name: 'exact', partitions: 3, configs: { 'segment.bytes': '16384' } },
];

/** A small seeded generator (mulberry32): uniform in [0, 1). */
function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * `again` repeats the audit on `dataDir`, for those who want to see it fail.
 * @returns {Promise<{ findings: string[], hits: Record<string, number>, acknowledged: number, transactions: number, folder: string, dataDir: string, again: () => string[] }>}
 */
export async function crashSweep(options, say = () => {}) {
  const sweep = new Sweep(options, say);
  try {
    return await sweep.run();
  } finally {
    sweep.cleanUp();
  }
}

class Sweep {
  findings = [];
  hits = {};
  #child;
  #port = 0;

  constructor(options, say) {
    this.options = options;
    this.say = say;
    this.chance = seeded(options.seed);
    this.folder = mkdtempSync(join(tmpdir(), 'millrace-sweep-'));
    this.dataDir = join(this.folder, 'data');
  }

  find = (finding) => {
    this.findings.push(finding);
    this.say(`FINDING ${finding}`);
  };

  async run() {
    const { kills } = this.options;
    await this.#start(undefined, 'never');
    await this.#createTopics();
    const loads = this.#loads();
    const all = Object.values(loads).flat();
    const running = all.map((load) => load.run());
    await this.#answers(loads, 50);
    await this.#stop();
    const plans = this.#plans(kills);
    for (const [kill, plan] of plans.entries()) {
      await this.#kill(plan, kill);
      if ((kill + 1) % AUDIT_EVERY === 0 || kill + 1 === kills) await this.#cleanStopAndAudit(loads);
      if (this.findings.length >= FINDINGS_MAX) break;
    }
    await this.#start(undefined, 'never');
    for (const load of all) load.stop();
    if (!(await within(Promise.all(running), START_MS))) this.find('a producer could not end its work');
    await this.#auditOffsets(loads.transactional);
    this.findings.push(...audit(this.dataDir, { ...loads, churn: loads.churn[0] }));
    const acknowledged = [...loads.dense, ...loads.short].reduce((sum, load) => sum + load.acknowledged.size, 0);
    const transactions = loads.transactional.reduce((sum, load) => sum + load.transactions.length, 0);
    const again = () => audit(this.dataDir, { ...loads, churn: loads.churn[0] });
    return { findings: this.findings, hits: this.hits, acknowledged, transactions, folder: this.folder, dataDir: this.dataDir, again };
  }

  /** Each point in turn, every phase of it, then again; every fourth kill comes at a random time instead. */
  #plans(kills) {
    const named = Object.entries(POINTS).flatMap(([point, { half }]) => ['before', 'after', ...(half ? ['half'] : [])].map((phase) => ({ point, phase })));
    for (let at = named.length - 1; at > 0; at--) {
      const other = Math.floor(this.chance() * (at + 1));
      [named[at], named[other]] = [named[other], named[at]];
    }
    const plans = [];
    for (let next = 0; plans.length < kills; next++) {
      const { point, phase } = named[next % named.length];
      if (point === 'recovery-truncate') plans.push({ point: 'append', phase: 'half', nth: 1 }); // nothing to cut without a torn tail
      plans.push({ point, phase, nth: 1 + Math.floor(this.chance() * (POINTS[point].often ?? 1)) });
      if (next % 3 === 2) plans.push(undefined);
    }
    return plans.slice(0, kills);
  }

  #loads() {
    const { pauseMs } = this.options;
    const shared = { address: () => `127.0.0.1:${this.#port}`, find: this.find, pauseMs };
    const chance = (at) => seeded(this.options.seed * 31 + at);
    return {
      dense: [0, 1].map((at) => new IdempotentLoad({ ...shared, name: `dense${at}`, topic: 'dense', partitions: 3, chance: chance(at) })),
      short: [new IdempotentLoad({ ...shared, name: 'short0', topic: 'short', partitions: 1, chance: chance(2) })],
      tables: [new IdempotentLoad({ ...shared, name: 'table0', topic: 'table', partitions: 2, keys: 25, chance: chance(3) })],
      transactional: [0, 1].map(
        (at) => new TransactionalLoad({ ...shared, name: `exact${at}`, topic: 'exact', partitions: 3, v2: at === 1, chance: chance(4 + at) }),
      ),
      churn: [new ChurnLoad({ ...shared, chance: chance(6) })],
    };
  }

  async #createTopics() {
    const session = new Session(() => `127.0.0.1:${this.#port}`);
    const topics = TOPICS.map(({ name, partitions, configs }) => ({
      name,
      numPartitions: partitions,
      replicationFactor: 1,
      assignments: [],
      configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
    }));
    const { topics: made } = await session.insist(APIS.createTopics, 5, { topics, timeoutMs: 30_000 });
    for (const { name, errorCode, errorMessage } of made) if (errorCode !== 0) throw new Error(`${name}: ${errorCode} ${errorMessage}`);
    session.close();
  }

  async #answers(loads, count) {
    const [load] = loads.dense;
    const target = load.answers + count;
    while (load.answers < target && this.findings.length === 0) await wait(5);
  }

  async #kill(plan, kill) {
    const { chance } = this;
    const fsync = chance() < 0.5 || plan?.point === 'flush' ? 'perBatchGroup' : 'never';
    const child = this.#spawn(plan, fsync);
    await Promise.race([child.ready, child.exited]);
    if (plan === undefined) await wait(20 + chance() * 500);
    else await within(child.exited, HIT_MS);
    const name = plan === undefined ? 'random' : child.over ? `${plan.point} ${plan.phase}` : `missed ${plan.point} ${plan.phase}`;
    if (!child.over) child.process.kill('SIGKILL');
    const { code, signal } = await child.exited;
    if (signal !== 'SIGKILL') this.find(`kill ${kill + 1} (${name}): the broker ended by itself, code ${code}: ${child.words()}`);
    this.hits[name] = (this.hits[name] ?? 0) + 1;
    this.say(`kill ${kill + 1}/${this.options.kills}: ${name}, fsync ${fsync}`);
  }

  async #cleanStopAndAudit(loads) {
    await this.#start(undefined, 'never');
    await this.#answers(loads, 5);
    await this.#stop();
    for (const finding of audit(this.dataDir, { ...loads, churn: loads.churn[0] })) this.find(finding);
  }

  /** What the groups say against what the data says, both from a broker at rest. */
  async #auditOffsets(transactional) {
    for (const load of transactional) {
      const [said, inLog] = [await load.committedOffset(), newestVisibleOffset(this.dataDir, load)];
      if (said !== inLog) this.find(`A4 ${load.group} stands at ${said}; the newest committed transaction that moved it is ${inLog}`);
      load.session.close();
    }
    await this.#stop();
  }

  // ---- the process ----------------------------------------------------------------------------------------------------

  #spawn(plan, fsync) {
    const facts = JSON.stringify({ dataDir: this.dataDir, port: this.#port, fsync, plan });
    const child = spawn(process.execPath, [fileURLToPath(new URL('broker.mjs', import.meta.url)), facts], { stdio: ['ignore', 'pipe', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (text) => {
      errors = (errors + text).slice(-1000);
    });
    const one = { process: child, over: false, words: () => errors };
    one.exited = new Promise((resolve) =>
      child.once('exit', (code, signal) => {
        one.over = true;
        resolve({ code, signal });
      }),
    );
    one.ready = new Promise((resolve) =>
      child.stdout.once('data', (text) => {
        this.#port = Number(/ready (\d+)/.exec(String(text))[1]);
        resolve();
      }),
    );
    this.#child = one;
    return one;
  }

  async #start(plan, fsync) {
    const child = this.#spawn(plan, fsync);
    await Promise.race([child.ready, child.exited]);
    if (child.over) throw new Error(`the broker does not start: ${child.words()}`);
  }

  async #stop() {
    const child = this.#child;
    child.process.kill('SIGTERM');
    if (!(await within(child.exited, START_MS))) this.find('the broker does not stop when asked to');
    else if ((await child.exited).code !== 0) this.find(`the broker stopped with code ${(await child.exited).code}: ${child.words()}`);
  }

  cleanUp() {
    if (this.#child?.over === false) this.#child.process.kill('SIGKILL');
    if (this.findings.length === 0 && !this.options.keep) rmSync(this.folder, { recursive: true, force: true });
  }
}

/** True when `promise` is fulfilled in time. */
async function within(promise, ms) {
  const over = new AbortController();
  const late = wait(ms, false, { signal: over.signal }).catch(() => false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    over.abort();
  }
}
