// Runs many seeds of the simulation in processes of their own, and says which failed.
// Owns: which seed runs where, the bound on each, the file of results.  Never: knows what a seed does.
// A seed that fails, hangs, or takes its process with it is a failure of that seed; the others go on.
import { execFileSync, fork } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { planOf, runScenario } from '../../packages/sim/dist/index.js';

const RUNNER = fileURLToPath(new URL('./seed-runner.mjs', import.meta.url));
/** Every so-manieth seed runs twice: the same seed must be the same history. */
const AGAIN_EVERY = 100;
/** A fresh process from time to time, so that none is judged by what another seed left in it. */
const SEEDS_PER_PROCESS = 2000;
/** The bound is counted in ticks: a campaign that was stopped (SIGSTOP) for an hour has not waited for an hour. */
const TICK_MS = 1000;
const PROGRESS_TICKS = 30;

/** One seed in this process, with the lines of its trace. */
export async function runOne({ from: seed, scenario }) {
  const options = scenario === undefined ? {} : { scenario };
  process.stdout.write(`${JSON.stringify({ seed, ...planOf(seed, options) })}\n`);
  const print = ({ trace }) => process.stdout.write(`${trace.join('\n')}\n`);
  try {
    const { trace, ...report } = await runScenario(seed, options);
    print({ trace });
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return { passed: 1, failed: 0 };
  } catch (error) {
    if (error?.report === undefined) throw error;
    print(error.report);
    process.stdout.write(`${error.cause?.stack ?? error.message}\nFAILED ${error.message}\n`);
    return { passed: 0, failed: 1 };
  }
}

export function runCampaign(options) {
  return new Campaign(options).run();
}

class Campaign {
  #options;
  #known = new Map();
  #next;
  #again = [];
  #runners = new Set();
  #results = [];
  #began = Date.now();
  #stopped = false;
  #ticks = 0;

  constructor(options) {
    this.#options = options;
    this.#next = options.from;
  }

  async run() {
    const { from, seeds, jobs, scenario, out } = this.#options;
    if (out !== undefined) {
      const build = buildName();
      this.#known = resultsOf(out, build, scenario);
      appendFileSync(out, `${JSON.stringify({ build, at: new Date().toISOString(), from, seeds, scenario })}\n`);
    }
    const stop = () => {
      this.#stopped = true;
    };
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop);
    const timer = setInterval(() => this.#tick(), TICK_MS);
    await Promise.all(Array.from({ length: jobs }, () => this.#work()));
    clearInterval(timer);
    for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, stop);
    return this.#summary();
  }

  /** One seed after another, in one process after another. */
  async #work() {
    let runner;
    for (let task = this.#take(); task !== undefined; task = this.#take()) {
      if (runner?.tired !== false) {
        runner?.end();
        runner = new Runner();
        this.#runners.add(runner);
      }
      const result = await runner.run(task.seed, this.#options.scenario, this.#options.boundS);
      if (result.digest !== undefined && task.digest !== undefined && result.digest !== task.digest)
        Object.assign(result, { ok: false, message: `seed ${task.seed} ran twice and was not the same history: ${task.digest}, ${result.digest}` });
      else if (task.digest === undefined && result.ok && task.seed % AGAIN_EVERY === 0) this.#again.push({ seed: task.seed, digest: result.digest });
      this.#note(result, task.digest !== undefined);
      if (!runner.alive) this.#runners.delete(runner);
    }
    runner?.end();
  }
  #take() {
    if (this.#stopped) return undefined;
    const again = this.#again.shift();
    if (again !== undefined) return again;
    for (;;) {
      const seed = this.#next++;
      if (seed >= this.#options.from + this.#options.seeds) return undefined;
      const known = this.#known.get(seed);
      if (known === undefined) return { seed };
      this.#results.push(known);
    }
  }
  #note(result, again) {
    if (!again) this.#results.push(result);
    else if (!result.ok) this.#results = [...this.#results.filter(({ seed }) => seed !== result.seed), result];
    if (this.#options.out !== undefined) appendFileSync(this.#options.out, `${JSON.stringify({ ...result, ...(again ? { again } : {}) })}\n`);
    if (!result.ok) process.stderr.write(`FAILED ${result.message}\n  ${replay(result, this.#options)}\n`);
  }
  #tick() {
    for (const runner of this.#runners) runner.tick();
    if (process.stderr.isTTY ? true : ++this.#ticks % PROGRESS_TICKS === 0) this.#progress();
  }
  #progress() {
    const done = this.#results.length;
    const perSecond = done / ((Date.now() - this.#began) / 1000);
    const left = perSecond === 0 ? 0 : Math.round((this.#options.seeds - done) / perSecond / 60);
    const failed = this.#results.filter(({ ok }) => !ok).length;
    const line = `${done} of ${this.#options.seeds} seeds, ${failed} failed, ${perSecond.toFixed(1)}/s, ${left} min left`;
    process.stderr.write(process.stderr.isTTY ? `\r${line}   ` : `${line}\n`);
  }

  #summary() {
    const results = this.#results;
    const failures = results.filter(({ ok }) => !ok).sort((one, other) => one.seed - other.seed);
    const sum = (numbers) => numbers.reduce((all, one) => all + one, 0);
    const [scenarios, guarantees, faults] = [{}, {}, {}];
    const add = (to, name, times = 1) => {
      to[name] = (to[name] ?? 0) + times;
    };
    for (const result of results) {
      add(scenarios, result.scenario);
      add(guarantees, result.guarantee);
      for (const [fault, times] of Object.entries(result.faults ?? {})) add(faults, fault, times);
    }
    const summary = {
      build: buildName(),
      seeds: results.length,
      ...(this.#stopped ? { stopped: true } : {}),
      virtualHours: Math.round(sum(results.map(({ virtualMs }) => virtualMs)) / 36_000) / 100,
      cpuSeconds: Math.round(sum(results.map(({ cpuMs }) => cpuMs)) / 1000),
      scenarios,
      guarantees,
      faults,
    };
    if (process.stderr.isTTY) process.stderr.write('\n');
    for (const failure of failures) process.stdout.write(`FAILED ${failure.message}\n  ${replay(failure, this.#options)}\n`);
    process.stdout.write(`${JSON.stringify(summary)}\n`);
    return { passed: results.length - failures.length, failed: failures.length };
  }
}

/** A process that runs one seed at a time. */
class Runner {
  #child = fork(RUNNER, ['simulate.mjs'], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
  #ran = 0;
  #ticksLeft = Number.POSITIVE_INFINITY;
  #said = '';
  #settle;
  alive = true;

  constructor() {
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#said = (this.#said + text).slice(-2000);
    });
    this.#child.on('message', (result) => this.#done(result));
    this.#child.on('close', (code, signal) => {
      this.alive = false;
      this.#done({ ok: false, message: `its process ended (${signal ?? code}) ${this.#said.trim()}` });
    });
  }
  get tired() {
    return !this.alive || this.#ran >= SEEDS_PER_PROCESS;
  }
  run(seed, scenario, boundS) {
    this.#ran++;
    this.#ticksLeft = boundS;
    return new Promise((resolve) => {
      this.#settle = (result) =>
        resolve(
          result.seed === undefined
            ? { seed, scenario: planOf(seed, scenario === undefined ? {} : { scenario }).scenario, ...failureOf(seed, result) }
            : result,
        );
      this.#child.send({ seed, scenario });
    });
  }
  tick() {
    if (--this.#ticksLeft > 0) return;
    this.#said = 'because it took too long';
    this.#child.kill('SIGKILL');
  }
  end() {
    this.#child.kill('SIGKILL');
  }
  #done(result) {
    this.#ticksLeft = Number.POSITIVE_INFINITY;
    this.#settle?.(result);
    this.#settle = undefined;
  }
}

function failureOf(seed, { message }) {
  return { ok: false, message: `seed ${seed}: ${message}`, faults: {}, virtualMs: 0, cpuMs: 0 };
}

function replay({ seed }, { scenario }) {
  return `npm run simulate -- --seed ${seed}${scenario === undefined ? '' : ` --scenario ${scenario}`}`;
}

/** What runs, for people and for the file of results: a commit, if there is one. */
function buildName() {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: fileURLToPath(new URL('.', import.meta.url)), stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch {
    return 'unknown';
  }
}

/** Passed seeds of this build by number. A last line that was cut off is no result. */
function resultsOf(file, build, scenario) {
  const results = new Map();
  if (!existsSync(file)) return results;
  let same = false;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    let row;
    try {
      row = JSON.parse(line);
    } catch {
      continue;
    }
    if (row.build !== undefined) same = row.build === build && row.scenario === scenario && !build.endsWith('-dirty');
    else if (same && row.ok && !row.again) results.set(row.seed, row);
  }
  return results;
}
