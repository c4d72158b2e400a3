// The processes under torture: instances and, apart from them, a broker. Starts, signals and watches them.
// An exit that nobody asked for is a finding.  Never: decides what happens to whom.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Starts `module` with `args`; both streams go to `logPath`, and `printed` waits for a text on standard output. */
export function startProcess(name, module, args, logPath, onExit) {
  const child = spawn(process.execPath, [program(module), ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, MILLRACE_TORTURE_LOG: '1' } });
  const file = createWriteStream(logPath, { flags: 'a' });
  file.write(`--- ${name} pid ${child.pid}\n`);
  let stdout = '';
  const watchers = new Set();
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
    file.write(chunk);
    for (const watcher of [...watchers]) watcher();
  });
  child.stderr.on('data', (chunk) => file.write(chunk));
  const one = { name, child, logPath, wanted: undefined, over: false, stopped: false, exited: undefined };
  one.exited = new Promise((resolve) => {
    child.on('exit', (code, signal) => {
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
  const one = startProcess('broker', './broker.mjs', [join(dataDir, '$broker'), String(port)], join(folder, 'broker.log'), onExit);
  await one.printed('ready ');
  const match = /ready (\d+)/.exec(one.stdout());
  if (match === null) throw new Error('the broker did not start; see broker.log');
  return { process: one, port: Number(match[1]) };
}

export function startInstance(name, options, folder, onExit) {
  return startProcess(name, './instance.mjs', [JSON.stringify(options)], join(folder, `${name}.log`), onExit);
}
