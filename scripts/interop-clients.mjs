// The foreign clients that npm run test:interop runs: each is fetched once, at an exact version, into a cache folder.
// Owns: what is installed where, and why a client cannot run here.  Never: touches the project's own dependencies.
// I1 a client that cannot be had is left out with a reason, never with a failure.  I2 an interrupted install leaves no half folder.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { root } from './prepare.mjs';

const KAFKA = '4.3.1';
const PLATFORMATIC = '1.35.0';
const LIBRDKAFKA = ['2.16.1', '2.3.0'];
const INSTALL_MS = 600_000;

/** Client → `{ path }` or `{ reason }`: what test/interop is given. */
export function interopClients() {
  return {
    'kafkajs 2.2.4': { path: process.execPath },
    [`@platformatic/kafka ${PLATFORMATIC}`]: platformatic(),
    ...Object.fromEntries(LIBRDKAFKA.map((version) => [`librdkafka ${version} (Python)`, librdkafka(version)])),
    kcat: works('kcat', ['-V']) ? { path: 'kcat' } : { reason: 'kcat is missing (install the package kcat)' },
    [`Java ${KAFKA}`]: java(),
  };
}

export function cacheFolder() {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'millrace', 'interop');
}

function platformatic() {
  return fetched(`platformatic-${PLATFORMATIC}`, join('node_modules', '@platformatic', 'kafka', 'dist', 'index.js'), (folder) => {
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--engine-strict=false', `@platformatic/kafka@${PLATFORMATIC}`];
    run(npm, args, { cwd: folder, shell: process.platform === 'win32' });
  });
}

/** A virtual environment with the wheel, which carries the library. */
function librdkafka(version) {
  const python = process.platform === 'win32' ? 'python' : 'python3';
  if (!works(python, ['--version'])) return { reason: 'Python 3 is missing' };
  const program = process.platform === 'win32' ? join('Scripts', 'python.exe') : join('bin', 'python');
  return fetched(`confluent-kafka-${version}`, program, (folder) => {
    run(python, ['-m', 'venv', folder]);
    run(join(folder, program), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:', `confluent-kafka==${version}`]);
  });
}

/** Apache's jars, and our two programs compiled against them. */
function java() {
  if (!works('javac', ['-version'])) return { reason: 'a JDK is missing (install one of version 17 or newer)' };
  const jars = fetched(`java-${KAFKA}`, `kafka-clients-${KAFKA}.jar`, (folder) => {
    const arguments_ = ['-q', '-f', join(root, 'test/interop/pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${folder}`];
    run('mvn', arguments_, { shell: process.platform === 'win32' });
  });
  if (jars.reason !== undefined) return jars;
  const libs = join(cacheFolder(), `java-${KAFKA}`);
  const classes = join(cacheFolder(), `classes-${KAFKA}`);
  const drivers = join(root, 'test/interop/drivers');
  const sources = readdirSync(drivers)
    .filter((name) => name.endsWith('.java'))
    .map((name) => join(drivers, name));
  const stale = sources.some((path) => {
    const compiled = join(classes, `${path.slice(drivers.length + 1, -'.java'.length)}.class`);
    return !existsSync(compiled) || statSync(compiled).mtimeMs < statSync(path).mtimeMs;
  });
  if (stale) run('javac', ['-nowarn', '-Xlint:-options', '-cp', join(libs, '*'), '-d', classes, ...sources]);
  return { path: [join(libs, '*'), classes].join(process.platform === 'win32' ? ';' : ':') };
}

/** The path of `file` in the cache; when it is not there, `install` gets an empty folder to put it in. */
function fetched(name, file, install) {
  const folder = join(cacheFolder(), name);
  const path = join(folder, file);
  if (existsSync(join(folder, '.complete')) && existsSync(path)) return { path };
  process.stderr.write(`Fetching ${name} (once) …\n`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  try {
    install(folder);
    if (!existsSync(path)) throw new Error(`the installation brought no ${file}`);
    writeFileSync(join(folder, '.new'), '');
    renameSync(join(folder, '.new'), join(folder, '.complete'));
    return { path };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    const words = `${error.stderr ?? ''}${error.stdout ?? ''}`.trim().split('\n').at(-1);
    return { reason: `could not be fetched: ${words === '' || words === undefined ? error.message : words}` };
  }
}

function works(program, args) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

function run(program, args, options = {}) {
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: INSTALL_MS, ...options });
}
