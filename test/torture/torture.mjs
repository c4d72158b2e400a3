// Does things to real processes, their network, their disks and their code under load, then reads the topics and says whether all is as it should be.
// One seed gives one sequence of faults; the timing is the machine's.  Owns: the run from start to audit, the findings.
// Never: knows a fault (process-, network-, disk-, state- and code-faults.mjs) or a topology (parts/).
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { allInSync, startBrokers } from './brokers.mjs';
import { seeded, within } from './chance.mjs';
import { codeFaults } from './code-faults.mjs';
import { diskFaults, isExcused } from './disk-faults.mjs';
import { openDisk } from './disks.mjs';
import { kafkaAt, startGenerator, writeOnce } from './generator.mjs';
import { networkFaults } from './network-faults.mjs';
import { partsOf } from './parts.mjs';
import { brokerFaults, brokersOneAfterAnother, processFaults } from './process-faults.mjs';
import { startInstance } from './processes.mjs';
import { createProxy } from './proxy.mjs';
import { openReader } from './reader.mjs';
import { stateFaults } from './state-faults.mjs';
import { verify } from './verify.mjs';

const TERM_MS = 10_000;
const DRAIN_MS = 90_000;
const START_MS = 60_000;
const HEAL_MS = 120_000;
/** Those are for a machine with nothing else to do; where others compete for it, all of them stretch. */
const STRETCH_MAX = 8;
const stretched = (ms) => ms * Math.min(STRETCH_MAX, Math.max(1, loadavg()[0] / (2 * availableParallelism())));
const FINDINGS_MAX = 20;

/** @returns {Promise<{ findings: string[], faults: Record<string, number>, hits: Record<string, number>, acknowledged: number, folder: string }>} */
export async function torture(options, say = () => {}) {
  const run = new Torture(options, say);
  const interrupted = () => void run.cleanUp().finally(() => process.exit(1));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, interrupted);
  process.on('unhandledRejection', sparingKafkaJs);
  try {
    return await run.run();
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, interrupted);
    await run.cleanUp();
    process.off('unhandledRejection', sparingKafkaJs);
  }
}

/** KafkaJS 2.2.4 forgets a rejection when a broker goes at the wrong moment; its next try succeeds. Anything else is ours. */
function sparingKafkaJs(reason) {
  if (!String(reason?.name).startsWith('KafkaJS')) throw reason;
}

/** The faults that make sense under these options, by name. */
export function faultsFor({ shared, proxy, parts, brokers, engine, disks }) {
  return {
    ...processFaults,
    ...(shared ? {} : brokers > 1 ? brokersOneAfterAnother : brokerFaults),
    ...(proxy ? networkFaults : {}),
    ...(engine === 'memory' ? {} : stateFaults),
    ...(disks ? diskFaults : {}),
    ...((parts ?? ['counts']).includes('counts') ? codeFaults : {}),
  };
}

class Torture {
  constructor(options, say) {
    this.options = { kafka: false, brokers: 1, proxy: false, ...options };
    this.say = say;
    this.chance = seeded(options.seed);
    this.parts = partsOf(options.parts);
    this.folder = mkdtempSync(join(tmpdir(), 'millrace-torture-'));
    this.dataDir = join(this.folder, 'data');
    this.folders = join(this.dataDir, 'torture');
    this.acts = join(this.folder, 'acts');
    this.brokerDir = join(this.dataDir, '$broker');
    for (const folder of [this.dataDir, this.acts]) mkdirSync(folder);
    if (options.disks) {
      this.brokerDir = join(this.folder, 'broker');
      this.stateDisk = openDisk(this.dataDir);
      this.brokerDisk = openDisk(this.brokerDir);
    }
    this.findings = [];
    this.faults = {};
    this.hits = {};
    this.instances = new Map();
    this.all = new Set();
    this.brokers = [];
    this.broughtBack = undefined; // the start of the broker that was killed last
    this.generators = [];
    this.excuses = []; // why a program may end by itself just now
    this.copies = new Map(); // of task databases as they once were
    this.nextName = 0;
    this.nextAct = 0;
    this.committed = new Map();
  }

  async run() {
    this.began = Date.now();
    await this.start();
    for (let fault = 0; fault < this.options.kills && this.findings.length <= FINDINGS_MAX; fault++) await this.doOne(fault);
    await this.launch(1);
    await this.brokersHealed();
    if (!(await within(Promise.all(this.generators.map((one) => one.stop())), stretched(DRAIN_MS)))) this.find('a generator could not write any more');
    const healed = Date.now();
    await this.drained();
    this.say(`level after ${Date.now() - healed} ms`);
    this.watchingOver = true;
    await this.watching;
    const exactlyOnce = this.options.guarantee === 'exactly-once';
    this.findings.push(...(await verify(this.reader, { parts: this.parts, generators: this.generators, exactlyOnce })));
    for (const one of [...this.instances.values()]) await this.terminate(one);
    const acknowledged = this.generators.reduce((sum, one) => sum + one.acknowledged.size, 0);
    return { findings: this.findings, faults: this.faults, hits: this.hits, acknowledged, folder: this.folder };
  }

  async start() {
    const { seed, perSecond, proxy, shared } = this.options;
    if (!shared) await this.startBrokers();
    if (proxy) this.proxy = createProxy();
    await this.launch(this.options.instances);
    if (shared) this.addresses = [await this.sharedAddress()];
    if (!(await within(Promise.any([...this.instances.values()].map((one) => one.printed('running'))), stretched(START_MS)))) this.find('no instance runs');
    const kafka = kafkaAt(this.addresses);
    this.kafka = kafka;
    for (const part of this.parts) if (part.before !== undefined) await writeOnce(kafka, part.before());
    const sources = this.parts.flatMap((part) => part.sources);
    this.generators = sources.flatMap((source, at) =>
      ['a', 'b'].map((name, which) => startGenerator(kafka, name, source, seeded(seed + 2 * at + which + 1), perSecond / sources.length)),
    );
    this.reader = openReader(
      this.addresses,
      this.parts.flatMap((part) => part.inputs),
    );
    this.watching = this.watchOffsets();
  }

  async doOne(fault) {
    await wait(100 + -Math.log(1 - this.chance()) * this.options.pauseMs);
    const [name, { run }] = this.choose();
    this.faults[name] = (this.faults[name] ?? 0) + 1;
    this.say(`${((Date.now() - this.began) / 1000).toFixed(1)} s  fault ${fault + 1}/${this.options.kills}: ${name}`);
    await run(this);
    await this.launch(this.options.instances);
  }

  async cleanUp() {
    this.watchingOver = true;
    await this.reader?.close().catch(() => undefined);
    for (const one of this.all) if (!one.over) await one.end('SIGKILL');
    for (const { process } of this.brokers) if (process !== undefined && !process.over) await process.end('SIGKILL');
    this.proxy?.close();
    for (const disk of [this.stateDisk, this.brokerDisk]) disk?.close(); // what was on them is gone; the logs are elsewhere
    if (this.findings.length === 0 && !this.options.keep) rmSync(this.folder, { recursive: true, force: true });
  }

  find(text) {
    this.findings.push(text);
    this.say(`FOUND ${text}`);
  }

  /** What a fault really hit, by name. */
  note(hits) {
    for (const [name, count] of Object.entries(hits)) this.hits[name] = (this.hits[name] ?? 0) + count;
    if (Object.keys(hits).length > 0) this.say(`    hit ${JSON.stringify(hits)}`);
  }

  // ---- processes --------------------------------------------------------------------------------------------------------

  async startBrokers() {
    const { kafka, brokers } = this.options;
    this.brokers = await startBrokers({
      kafka,
      brokers,
      folder: this.folder,
      brokerDir: this.brokerDir,
      onExit: (one, code, signal) => this.ended(one, code, signal),
    });
    for (const { process } of this.brokers) this.all.add(process);
    this.addresses = this.brokers.map((one) => one.address);
  }

  /** Waits until every replica is in sync: the promise of a replicated log holds for one broker lost at a time. */
  async brokersHealed() {
    if (this.brokers.length < 2) return;
    await this.broughtBack;
    const deadline = Date.now() + stretched(HEAL_MS);
    while (!(await allInSync(this.kafka, this.brokers.length))) {
      if (Date.now() > deadline) return this.find(`the brokers' replicas are not in sync long after a fault`);
      await wait(200);
    }
  }

  async sharedAddress() {
    for (let attempt = 0; attempt < 300; attempt++) {
      try {
        return `127.0.0.1:${JSON.parse(readFileSync(join(this.brokerDir, 'address.json'), 'utf8')).port}`;
      } catch {
        await wait(100);
      }
    }
    throw new Error('no instance started the embedded broker');
  }

  ended(one, code, signal) {
    if (this.instances.delete(one.name)) this.proxy?.closeDoor(one.name);
    if (one.wanted !== undefined) return;
    if (isExcused(this, one, code)) this.note({ 'ended with a reason': 1 });
    else this.find(`${one.name} ended by itself with ${code ?? signal}; see ${one.logPath}`);
  }

  /** Brings the number of instances up to `count`, all at once. */
  async launch(count) {
    const missing = Array.from({ length: Math.max(0, count - this.instances.size) }, () => `instance-${this.nextName++}`);
    const brokersOf = new Map();
    for (const name of missing) brokersOf.set(name, (await this.proxy?.openDoor(name, this.addresses)) ?? this.addresses);
    for (const name of missing) {
      const env = { MILLRACE_TORTURE_PARTS: this.parts.map((part) => part.name).join(','), MILLRACE_TORTURE_ACTS: this.acts };
      const onExit = (process, code, signal) => this.ended(process, code, signal);
      const one = startInstance(name, this.instanceOptions(brokersOf.get(name)), this.folder, onExit, env);
      this.all.add(one);
      this.instances.set(name, one);
    }
  }

  instanceOptions(brokers) {
    const { kafka, shared, workers, engine, guarantee, sessionMs } = this.options;
    return {
      stateDir: this.dataDir,
      workers,
      engine,
      guarantee,
      commitInterval: 50,
      settleInterval: 200,
      createTopics: true,
      connectionTimeout: kafka ? 90_000 : 60_000, // an instance may start while the broker is away, and its first requests may be lost
      requestTimeout: 6_000, // an answer may be lost in silence
      tuning: { sessionTimeout: sessionMs, purgeInterval: 2000, transactionTimeout: 5000 },
      ...(shared ? {} : { brokers }),
    };
  }

  any() {
    const living = [...this.instances.values()];
    return living[Math.floor(this.chance() * living.length)];
  }

  /** The name of an instance's folder, once it runs. */
  instanceIdOf(one) {
    return /running (\S+)/.exec(one?.stdout() ?? '')?.[1];
  }

  async terminate(one) {
    if (one.over) return;
    const bound = stretched(TERM_MS);
    const ending = one.end('SIGTERM');
    const young = !one.said(); // the signal came before Node had begun to run the program
    if (!(await within(ending, bound))) {
      this.find(`${one.name} did not end within ${bound} ms of SIGTERM; see ${one.logPath}`);
      await one.end('SIGKILL');
      return;
    }
    const { code, signal } = await ending;
    if (code !== 0 && !young) this.find(`${one.name} ended with ${code ?? signal} after SIGTERM; see ${one.logPath}`);
  }

  choose() {
    const allowed = Object.entries(faultsFor(this.options)).filter(([name]) => this.options.faults === undefined || this.options.faults.includes(name));
    let left = this.chance() * allowed.reduce((sum, [, { weight }]) => sum + weight, 0);
    for (const one of allowed) if ((left -= one[1].weight) < 0) return one;
    return allowed[0];
  }

  // ---- what must hold while it runs -------------------------------------------------------------------------------------

  async watchOffsets() {
    while (!this.watchingOver) {
      await wait(250);
      const now = await this.reader?.committed().catch(() => undefined);
      for (const [partition, { offset }] of now ?? []) {
        const before = this.committed.get(partition) ?? 0;
        if (offset < before) this.find(`the committed offset of ${partition} went back from ${before} to ${offset}`);
        this.committed.set(partition, offset);
      }
    }
  }

  async drained() {
    const bound = stretched(DRAIN_MS);
    const deadline = Date.now() + bound;
    let behind;
    while (Date.now() < deadline) {
      behind = await this.reader.lag().catch((error) => new Map([[String(error), 1]]));
      if (behind.size === 0) return;
      await wait(200);
    }
    this.find(`still behind ${bound} ms after the last fault: ${[...(behind ?? [])].map(([partition, count]) => `${partition} by ${count}`).join(', ')}`);
  }
}
