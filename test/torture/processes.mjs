// The processes under torture: instances and, apart from them, a broker. Starts, signals and watches them.
// An exit that nobody asked for is a finding.  Never: decides what happens to whom.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** For each thread of an instance, MiB. */
const HEAP_MB = 256;
const STDOUT_MAX = 64 * 1024;
const program = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Starts a module of ours with `args`. */
function startModule(name, module, args, logPath, onExit, env = {}) {
  return startProgram(name, process.execPath, [program(module), ...args], logPath, onExit, { MILLRACE_TORTURE_LOG: '1', ...env });
}

/** Starts `command`; both streams go to `logPath`, and `printed` waits for a text on standard output. */
export function startProgram(name, command, args, logPath, onExit, env = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const file = createWriteStream(logPath, { flags: 'a' });
  file.write(`--- ${name} pid ${child.pid}\n`);
  let stdout = ''; // its beginning: what is waited for comes early
  const watchers = new Set();
  child.stdout.on('data', (chunk) => {
    if (stdout.length < STDOUT_MAX) stdout += chunk;
    keep(chunk);
    for (const watcher of [...watchers]) watcher();
  });
  let last = ''; // what it said last, for whoever asks why it ended
  const keep = (chunk) => {
    last = (last + chunk).slice(-STDOUT_MAX);
    file.write(chunk);
  };
  child.stderr.on('data', keep);
  const one = { name, child, logPath, lastWords: () => last, wanted: undefined, over: false, stopped: false, exited: undefined };
  one.exited = new Promise((resolve) => {
    child.on('close', (code, signal) => {
      one.over = true;
      file.write(`--- exit ${code ?? signal}\n`);
      for (const watcher of [...watchers]) watcher();
      resolve({ code, signal });
      onExit(one, code, signal);
    });
  });
  one.printed = (text) =>
    new Promise((resolve) => {
      const check = () => {
        if (!stdout.includes(text) && !one.over) return;
        watchers.delete(check);
        resolve(stdout.includes(text));
      };
      watchers.add(check);
      check();
    });
  one.stdout = () => stdout;
  one.said = () => stdout !== '';
  /** Sends a signal that ends it and waits for the end. */
  one.end = async (signal) => {
    one.wanted = signal;
    if (!one.over) child.kill(signal);
    return one.exited;
  };
  return one;
}

export async function startBrokerProcess(dataDir, port, folder, onExit) {
  const one = startModule('broker', './broker.mjs', [dataDir, String(port)], join(folder, 'broker.log'), onExit);
  await one.printed('ready ');
  const match = /ready (\d+)/.exec(one.stdout());
  if (match === null) throw new Error('the broker did not start; see broker.log');
  return { process: one, port: Number(match[1]) };
}

export function startInstance(name, options, folder, onExit, env) {
  const heap = { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --max-old-space-size=${HEAP_MB}` }; // soon full, where somebody fills it
  return startModule(name, './instance.mjs', [JSON.stringify(options)], join(folder, `${name}.log`), onExit, { ...heap, ...env });
}
