// Kills, stops and restarts real processes under load, then reads the topics and says whether each input was counted once.
// One seed gives one sequence of faults; the timing is the machine's.  Owns: the faults and the findings.
// Every fault is one that may happen to a pod: SIGKILL, SIGTERM, a freeze longer than the session, a lost disk, a broker that dies.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { kafkaAt, startGenerator, writeNames } from './generator.mjs';
import { startBrokerProcess, startInstance } from './processes.mjs';
import { openReader, verify } from './verify.mjs';

const TERM_MS = 10_000;
const DRAIN_MS = 90_000;
const START_MS = 30_000;

/** @returns {Promise<{ findings: string[], faults: Record<string, number>, acknowledged: number, folder: string }>} */
export async function torture(options, say = () => {}) {
  const run = new Torture(options, say);
  try {
    return await run.run();
  } finally {
    await run.cleanUp();
  }
}

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

/** True when `promise` is fulfilled in time. */
async function within(promise, ms) {
  const over = new AbortController();
  try {
    const late = wait(ms, false, { signal: over.signal }).catch(() => false);
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    over.abort();
  }
}

class Torture {
  constructor(options, say) {
    this.options = options;
    this.say = say;
    this.chance = seeded(options.seed);
    this.folder = mkdtempSync(join(tmpdir(), 'millrace-torture-'));
    this.dataDir = join(this.folder, 'data');
    mkdirSync(this.dataDir);
    this.findings = [];
    this.faults = {};
    this.instances = new Map();
    this.all = new Set();
    this.broker = undefined;
    this.address = undefined;
    this.nextName = 0;
    this.committed = new Map();
  }

  async run() {
    const { kills } = this.options;
    const began = Date.now();
    if (!this.options.shared) await this.startBroker(0);
    this.launch(this.options.instances);
    if (this.options.shared) this.address = await this.sharedAddress();
    if (!(await within([...this.instances.values()][0].printed('running'), START_MS))) this.find('the first instance does not run');
    const kafka = kafkaAt(this.address);
    await writeNames(kafka);
    const generators = ['a', 'b'].map((name, at) => startGenerator(kafka, name, seeded(this.options.seed + at + 1), this.options.perSecond));
    this.reader = openReader(this.address);
    this.watching = this.watchOffsets();
    for (let fault = 0; fault < kills; fault++) {
      await wait(100 + -Math.log(1 - this.chance()) * this.options.pauseMs);
      const name = this.choose();
      this.faults[name] = (this.faults[name] ?? 0) + 1;
      this.say(`${((Date.now() - began) / 1000).toFixed(1)} s  fault ${fault + 1}/${kills}: ${name}`);
      await this[name]();
      if (this.findings.length > 20) break;
    }
    this.launch(1);
    if (!(await within(Promise.all(generators.map((one) => one.stop())), DRAIN_MS))) this.find('a generator could not write any more');
    const healed = Date.now();
    await this.drained();
    this.say(`level after ${Date.now() - healed} ms`);
    this.watchingOver = true;
    await this.watching;
    const acknowledged = new Set(generators.flatMap((one) => [...one.acknowledged]));
    const sent = new Set(generators.flatMap((one) => [...one.sent]));
    const exactlyOnce = this.options.guarantee === 'exactly-once';
    this.findings.push(...(await verify(this.reader, { acknowledged, sent, exactlyOnce })));
    await this.reader.close();
    this.reader = undefined;
    for (const one of [...this.instances.values()]) await this.terminate(one);
    return { findings: this.findings, faults: this.faults, acknowledged: acknowledged.size, folder: this.folder };
  }

  async cleanUp() {
    await this.reader?.close().catch(() => undefined);
    for (const one of this.all) if (!one.over) await one.end('SIGKILL');
    if (this.findings.length === 0 && !this.options.keep) rmSync(this.folder, { recursive: true, force: true });
  }

  find(text) {
    this.findings.push(text);
    this.say(`FOUND ${text}`);
  }

  // ---- processes --------------------------------------------------------------------------------------------------------

  async startBroker(port) {
    const started = await startBrokerProcess(this.dataDir, port, this.folder, (one, code, signal) => this.ended(one, code, signal));
    this.broker = started.process;
    this.all.add(started.process);
    this.address = `127.0.0.1:${started.port}`;
  }

  async sharedAddress() {
    for (let attempt = 0; attempt < 300; attempt++) {
      try {
        return `127.0.0.1:${JSON.parse(readFileSync(join(this.dataDir, '$broker', 'address.json'), 'utf8')).port}`;
      } catch {
        await wait(100);
      }
    }
    throw new Error('no instance started the embedded broker');
  }

  ended(one, code, signal) {
    this.instances.delete(one.name);
    if (one.wanted === undefined) this.find(`${one.name} ended by itself with ${code ?? signal}; see ${one.logPath}`);
  }

  /** Brings the number of instances up to `count`, all at once. */
  launch(count) {
    const { shared, workers, engine, guarantee, sessionMs } = this.options;
    const before = this.instances.size;
    for (let at = before; at < count; at++) {
      const name = `instance-${this.nextName++}`;
      const one = startInstance(
        name,
        {
          stateDir: this.dataDir,
          workers,
          engine,
          guarantee,
          commitInterval: 50,
          settleInterval: 200,
          createTopics: true,
          connectionTimeout: 15_000, // an instance may start while the broker is away
          tuning: { sessionTimeout: sessionMs, purgeInterval: 2000, transactionTimeout: 5000 },
          ...(shared ? {} : { brokers: [this.address] }),
        },
        this.folder,
        (process, code, signal) => this.ended(process, code, signal),
      );
      this.all.add(one);
      this.instances.set(name, one);
    }
  }

  any() {
    const living = [...this.instances.values()];
    return living[Math.floor(this.chance() * living.length)];
  }

  async terminate(one) {
    if (one.over) return;
    const ending = one.end('SIGTERM');
    const young = !one.said(); // the signal came before Node had begun to run the program
    if (!(await within(ending, TERM_MS))) {
      this.find(`${one.name} did not end within ${TERM_MS} ms of SIGTERM; see ${one.logPath}`);
      await one.end('SIGKILL');
      return;
    }
    const { code, signal } = await ending;
    if (code !== 0 && !young) this.find(`${one.name} ended with ${code ?? signal} after SIGTERM; see ${one.logPath}`);
  }

  // ---- faults -----------------------------------------------------------------------------------------------------------

  choose() {
    const weights = {
      killOne: 30,
      killTwiceAtOnce: 8,
      killAll: 5,
      freeze: 14,
      stopOne: 10,
      scale: 8,
      killWhileRestoring: 10,
      killAtStart: 7,
      ...(this.options.shared ? {} : { killBroker: 8 }),
    };
    const allowed = Object.entries(weights).filter(([name]) => this.options.faults === undefined || this.options.faults.includes(name));
    let left = this.chance() * allowed.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of allowed) if ((left -= weight) < 0) return name;
    return allowed[0][0];
  }

  async killOne() {
    await this.any()?.end('SIGKILL');
    await this.refill();
  }
  async killTwiceAtOnce() {
    await Promise.all([this.any()?.end('SIGKILL'), this.any()?.end('SIGKILL')]);
    await this.refill();
  }
  async killAll() {
    await Promise.all([...this.instances.values()].map((one) => one.end('SIGKILL')));
    await this.refill();
  }
  /** Longer than its session: the others take over, and what it held must not come back. */
  async freeze() {
    const one = this.any();
    if (one === undefined) return;
    one.child.kill('SIGSTOP');
    await wait(this.options.sessionMs * (1.2 + 1.8 * this.chance()));
    if (!one.over) one.child.kill('SIGCONT');
  }
  async stopOne() {
    const one = this.any();
    if (one !== undefined) await this.terminate(one);
    await this.refill();
  }
  async scale() {
    const others = [...this.instances.values()].slice(1);
    await Promise.all(others.map((one) => this.terminate(one)));
    await wait(this.chance() * 1500);
    this.launch(this.options.instances);
  }
  /** A state folder goes with its instance; whoever gets the tasks has to restore, and is killed while it does. */
  async killWhileRestoring() {
    await Promise.all([...this.instances.values()].map((one) => within(one.printed('running'), START_MS))); // nobody is choosing a folder now
    const one = this.any();
    await one?.end('SIGKILL');
    const folders = join(this.dataDir, 'torture');
    const id = /running (\S+)/.exec(one?.stdout() ?? '')?.[1];
    if (id !== undefined && readdirSync(folders).includes(id)) rmSync(join(folders, id), { recursive: true, force: true });
    this.launch(this.options.instances);
    await wait(300 + this.chance() * 700);
    await this.any()?.end('SIGKILL');
    await this.refill();
  }
  async killAtStart() {
    await this.any()?.end('SIGKILL');
    this.launch(this.options.instances);
    const youngest = [...this.instances.values()].at(-1);
    await wait(50 + this.chance() * 1000);
    await youngest?.end('SIGKILL');
    await this.refill();
  }
  async killBroker() {
    if (this.broker === undefined) return;
    const port = Number(this.address.split(':')[1]);
    await this.broker.end('SIGKILL');
    await wait(this.chance() * 1000);
    await this.startBroker(port);
  }

  async refill() {
    await wait(this.chance() * this.options.sessionMs);
    this.launch(this.options.instances);
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
    const deadline = Date.now() + DRAIN_MS;
    let behind;
    while (Date.now() < deadline) {
      behind = await this.reader.lag().catch((error) => new Map([[String(error), 1]]));
      if (behind.size === 0) return;
      await wait(200);
    }
    this.find(`still behind ${DRAIN_MS} ms after the last fault: ${[...(behind ?? [])].map(([partition, count]) => `${partition} by ${count}`).join(', ')}`);
  }
}
