// What every command does before its own work: locked dependencies if they are missing, and a build of what is stale.
// Owns: the folder .prepare (a lock, and stamps of what was installed and built).  Never: writes to stdout.
// P1 a warm call spawns nothing.  P2 of several calls at once one works and the others wait.  P3 a failed build leaves no stamp.
// Plain Node, no dependencies: on a fresh clone there are none.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, '.prepare');
const NODE_FLOOR = [20, 19];
const WAIT_MS = 100;
const BEAT_MS = 1000;
const SILENT_MS = 30_000;
const OUTPUT_MAX = 64 * 1024;

/** A reason to stop that a person can act on; printed as one paragraph. */
export class Refusal extends Error {}

const PARENT_CHECK_MS = 200;

/** A program that npm started stops when npm is gone (killed, say): nobody would find it and stop it later. */
function followNpm() {
  if (process.env.npm_lifecycle_event === undefined || process.platform === 'win32') return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, PARENT_CHECK_MS);
  timer.unref();
}

/** Runs `work` and turns a Refusal into one paragraph on stderr and exit code 1. */
export async function orExplain(work) {
  followNpm();
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

/** Installs and builds what `target` (a folder with a tsconfig.json; '.' for everything) needs. */
export async function prepare(target) {
  checkNode();
  if (isInstalled() && isBuilt(target)) return;
  const release = await takeLock();
  try {
    if (!isInstalled()) await install();
    if (!isBuilt(target)) await build(target);
  } finally {
    release();
  }
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_FLOOR[0] || (major === NODE_FLOOR[0] && minor >= NODE_FLOOR[1])) return;
  throw new Refusal(`Millrace needs Node ${NODE_FLOOR.join('.')} or newer, and this is ${process.versions.node}. Install a newer Node and try again.`);
}

// Dependencies -------------------------------------------------------------------------------------------------------------

function isInstalled() {
  const lockfile = readFileSync(join(root, 'package-lock.json'));
  const stamp = createHash('sha256').update(lockfile).digest('hex');
  if (!existsSync(join(root, 'node_modules'))) return false;
  if (readStamp('installed') === stamp) return true;
  if (!installedMatches(JSON.parse(lockfile.toString()))) return false;
  writeStamp('installed', stamp);
  return true;
}

/** npm's own record of what lies in node_modules, compared entry by entry: an edited lockfile alone is no reason to install again. */
function installedMatches(lockfile) {
  let there;
  try {
    there = JSON.parse(readFileSync(join(root, 'node_modules/.package-lock.json'), 'utf8')).packages;
  } catch {
    return false;
  }
  for (const [path, wanted] of Object.entries(lockfile.packages)) {
    if (!path.includes('node_modules/') || wanted.optional || wanted.devOptional || wanted.peer) continue;
    if (there[path]?.version !== wanted.version) return false;
  }
  return true;
}

async function install() {
  say('Installing the locked dependencies (once) …');
  // npm's own error texts are wanted here, though the project keeps npm silent for `npm start`.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath;
  const result = npm?.endsWith('.js') ? await run(process.execPath, [npm, ...args]) : await run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args);
  if (result.code !== 0) {
    throw new Refusal(
      `${result.output}\nInstalling the dependencies failed (npm ci, exit code ${result.code}); npm's own words are above. Check the network connection and the registry set in npm's configuration, then run the command again.`,
    );
  }
  if (!isInstalled()) throw new Refusal('npm ci succeeded, but node_modules does not match package-lock.json. Remove node_modules and run the command again.');
}

// Build --------------------------------------------------------------------------------------------------------------------

function isBuilt(target) {
  const projects = projectsOf(target);
  return projects.every((project) => existsSync(join(project, 'dist/.tsbuildinfo'))) && readStamp(stampName(target)) === fingerprint(projects);
}

async function build(target) {
  say('Building what has changed …');
  const before = fingerprint(projectsOf(target));
  const result = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', join(root, target)]);
  if (result.code !== 0)
    throw new Refusal(
      `${result.output.trimEnd()}\n\nThe build failed: the compiler's messages are above, the first is usually the one to fix. If nothing was edited, remove the dist folders (git clean -Xdf packages examples) and run the command again.`,
    );
  writeStamp(stampName(target), before); // what changed while the compiler ran is stale again
}

/** The folders of all projects that `target` refers to, itself included. */
function projectsOf(target) {
  const found = new Set();
  const visit = (project) => {
    if (found.has(project)) return;
    found.add(project);
    const { references = [] } = JSON.parse(readFileSync(join(project, 'tsconfig.json'), 'utf8'));
    for (const { path } of references) visit(join(project, path));
  };
  visit(join(root, target));
  found.delete(root); // the root holds references only
  return [...found];
}

/** Path, size and time of every source: equal fingerprints mean that the compiler has nothing to do. */
function fingerprint(projects) {
  const hash = createHash('sha256');
  const add = (path) => {
    const { mtimeMs, size } = statSync(path);
    hash.update(`${relative(root, path)} ${size} ${mtimeMs}\n`);
  };
  const addFolder = (path) => {
    for (const entry of readdirSync(path, { withFileTypes: true }).sort((left, right) => (left.name < right.name ? -1 : 1))) {
      if (entry.isDirectory()) addFolder(join(path, entry.name));
      else add(join(path, entry.name));
    }
  };
  add(join(root, 'tsconfig.base.json'));
  hash.update(readStamp('installed') ?? '');
  for (const project of projects) {
    add(join(project, 'tsconfig.json'));
    if (existsSync(join(project, 'src'))) addFolder(join(project, 'src'));
  }
  return hash.digest('hex');
}

function stampName(target) {
  return `built-${target.replaceAll(/[^a-z0-9]+/gi, '_')}`;
}

function readStamp(name) {
  try {
    return readFileSync(join(folder, name), 'utf8');
  } catch {
    return undefined;
  }
}

function writeStamp(name, text) {
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, name), text);
  } catch {
    // a read-only checkout that is installed and built works too, only without the short cut
  }
}

// One at a time ------------------------------------------------------------------------------------------------------------

async function takeLock() {
  const lock = join(folder, 'lock');
  mkdirSync(folder, { recursive: true });
  for (let waited = false; ; waited = true) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      const beat = setInterval(() => touch(lock), BEAT_MS);
      beat.unref();
      return () => {
        clearInterval(beat);
        rmSync(lock, { force: true });
      };
    } catch (error) {
      if (error.code !== 'EEXIST')
        throw new Refusal(`Cannot write to ${folder} (${error.code}). Make the project folder writable for this user, or prepare it as its owner.`);
    }
    const owner = lockOwner(lock);
    if (owner !== undefined && (!isAlive(owner) || isSilent(lock))) dropStaleLock(lock, owner);
    else {
      if (!waited) say('Waiting for another command that is preparing this folder …');
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    }
  }
}

function touch(path) {
  try {
    utimesSync(path, new Date(), new Date());
  } catch {
    // taken away by hand: the work goes on, only unguarded
  }
}

/** A number that another process got since (in containers they are small) shows by a lock that nobody touches. */
function isSilent(lock) {
  try {
    return Date.now() - statSync(lock).mtimeMs > SILENT_MS;
  } catch {
    return false;
  }
}

function lockOwner(lock) {
  const text = readText(lock);
  return text === undefined || text === '' ? undefined : Number(text);
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Moves the lock aside first: of two commands that find it stale one gets it, and a fresh lock taken by mistake is put back. */
function dropStaleLock(lock, owner) {
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
  } catch {
    return;
  }
  if (lockOwner(aside) === owner) rmSync(aside, { force: true });
  else renameSync(aside, lock);
}

// Commands -----------------------------------------------------------------------------------------------------------------

function say(text) {
  if (process.stderr.isTTY) process.stderr.write(`${text}\n`);
}

/** Runs a command; on a terminal its output is seen live on stderr, else it is kept for the case that it fails. */
function run(command, args) {
  return new Promise((resolve) => {
    let output = '';
    const live = process.stderr.isTTY;
    const path = [join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter);
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PATH: path }, shell: command.endsWith('.cmd') });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        if (live) process.stderr.write(text);
        else output = (output + text).slice(-OUTPUT_MAX);
      });
    }
    child.on('error', (error) => resolve({ code: -1, output: `${output}${error.message}` }));
    child.on('close', (code, signal) => resolve({ code: code ?? `signal ${signal}`, output }));
  });
}
