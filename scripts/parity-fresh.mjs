// npm run parity:fresh -- [--count N] [--seed S] [--vary] [--oracle FOLDER] [--keep FOLDER]: N random programs (default 500) from seed S (default 20000) are run by
// Apache Kafka Streams, which records what they do; then `npm run parity` runs the same programs here and prints every difference.
// Needs Java 17, Python 3 and Maven (for the jars, once), and the folder of the recorder: sources of the harness beside its generator of programs.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { withSources } from './from-sources.mjs';
import { orExplain, Refusal, root } from './prepare.mjs';

/** Areas that the generator knows; each gets its share. */
const AREAS = 20;
const DESCRIBE_SHIFT = 100_000;

await orExplain(async () => {
  const options = readOptions();
  for (const tool of ['java', 'javac', 'python3']) need(tool);
  const libs = jars(options.oracle);
  const work = mkdtempSync(join(tmpdir(), 'millrace-parity-'));
  try {
    const out = options.keep ?? join(work, 'out');
    await record(options, libs, work, out);
    const replay = spawnSync(process.execPath, [join(root, 'scripts/parity.mjs'), '--cases', out], { stdio: 'inherit', cwd: root });
    process.exitCode = replay.status ?? 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
});

function readOptions() {
  const { values } = parseArgs({
    options: {
      vary: { type: 'boolean', default: false },
      count: { type: 'string', default: '500' },
      seed: { type: 'string', default: '20000' },
      oracle: { type: 'string' },
      keep: { type: 'string' },
    },
  });
  const whole = (name) => {
    const number = Number(values[name]);
    if (Number.isSafeInteger(number) && number > 0) return number;
    throw new Refusal(`--${name} is ${values[name]}; it takes a whole number from 1.`);
  };
  const here = process.env.INIT_CWD ?? process.cwd();
  const oracle = resolve(here, values.oracle ?? process.env.PARITY_ORACLE ?? join(root, '../shared/parity/oracle'));
  if (!existsSync(join(oracle, 'genrand.py')))
    throw new Refusal(`The recorder is not in ${oracle}. Name its folder: npm run parity:fresh -- --oracle FOLDER, or PARITY_ORACLE=FOLDER.`);
  return { vary: values.vary, count: whole('count'), seed: whole('seed'), oracle, keep: values.keep === undefined ? undefined : resolve(here, values.keep) };
}

function need(tool) {
  if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).error !== undefined)
    throw new Refusal(`${tool} is not there. Fresh cases are recorded by Apache Kafka Streams, which needs Java 17 and Python 3.`);
}

/** The jars of Kafka Streams and its test driver, from Maven once. */
function jars(oracle) {
  const libs = process.env.KAFKA_LIBS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'kafka-4.3.1/libs');
  if (existsSync(libs) && readdirSync(libs).some((name) => name.startsWith('kafka-streams-test-utils'))) return libs;
  mkdirSync(libs, { recursive: true });
  run('mvn', ['-q', '-f', join(oracle, '../../kafka/pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${libs}`], oracle);
  return libs;
}

async function record({ count, seed, oracle, vary }, libs, work, out) {
  const classes = join(work, 'classes');
  const programs = join(work, 'in');
  const sources = readdirSync(oracle)
    .filter((name) => name.endsWith('.java'))
    .map((name) => join(oracle, name));
  run('javac', ['-nowarn', '-cp', `${libs}/*`, '-d', classes, ...sources], work);
  const perArea = String(Math.ceil(count / AREAS));
  run('python3', ['genrand.py', programs, String(seed), perArea, String(seed + DESCRIBE_SHIFT), '0'], oracle);
  // With --vary each program is changed in ways that the generator has not: see test/golden/fresh/vary.ts.
  if (vary) await withSources('/test/golden/fresh/vary-folder.ts', ({ varyFolder }) => varyFolder(programs, seed));
  process.stdout.write(`${count} programs from seed ${seed} go to Kafka Streams; about 4 a second.\n`);
  run('java', ['-Xmx1500m', `-Dstate=${join(work, 'state')}`, '-cp', `${libs}/*:${classes}`, 'Harness', programs, out], work, 'quiet');
}

function run(command, args, cwd, output) {
  const result = spawnSync(command, args, {
    cwd,
    stdio: ['ignore', output === 'quiet' ? 'ignore' : 'inherit', output === 'quiet' ? 'ignore' : 'inherit'],
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
  if (result.status !== 0) throw new Refusal(`${command} ended with ${result.status ?? result.signal ?? result.error}; nothing was compared.`);
}
