// A broker in a process of its own, and foreign programs run against it.
// Owns: both kinds of process until they end.  Never: leaves one behind.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Run } from './clients.ts';

const PROGRAM = fileURLToPath(new URL('./broker.mjs', import.meta.url));
const START_MS = 30_000;
const RUN_MS = 150_000;

export interface BrokerProcess {
  readonly address: string;
  /** What it has complained about so far. */
  words(): string;
  /** Kills it without a word and starts it again, on the same port and data. */
  killAndStart(): Promise<void>;
  stop(): Promise<void>;
}

/** `options` are more of the broker's, in plain JSON. */
export async function startBrokerProcess(options: object = {}): Promise<BrokerProcess> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-interop-'));
  let words = '';
  const launch = async (port: string) => {
    const child = spawn(process.execPath, [PROGRAM, dataDir, port, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stderr.on('data', (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-8_000);
    });
    const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()));
    return { child, exited, port: await ready(child, () => words) };
  };
  let running = await launch('0');
  return {
    address: `127.0.0.1:${running.port}`,
    words: () => words,
    async killAndStart() {
      running.child.kill('SIGKILL');
      await running.exited;
      running = await launch(running.port);
      words = ''; // that it was killed is no complaint
    },
    async stop() {
      running.child.kill('SIGTERM');
      await running.exited;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function ready(child: ChildProcess & { readonly stdout: NonNullable<ChildProcess['stdout']> }, words: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`the broker did not start in ${START_MS} ms: ${words()}`)), START_MS);
    child.on('exit', () => reject(new Error(`the broker ended: ${words()}`)));
    createInterface({ input: child.stdout }).once('line', (line) => {
      clearTimeout(late);
      resolve(line.replace('ready ', ''));
    });
  });
}

/**
 * Standard output. Rejects with the program's words when it fails or takes too long. `input` goes to its standard input; with `onKill` it gets
 * its input when that has settled, which is called when the program says KILL.
 */
export function runForeign({ program, args, env }: Run, input = '', onKill?: () => Promise<void>): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, ...env }, timeout: RUN_MS, maxBuffer: 64 * 1024 * 1024, killSignal: 'SIGKILL' as const };
    const child = execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${program} ended with ${error.signal ?? error.code}\n${stderr.slice(-6_000)}\n${stdout.slice(-2_000)}`));
    });
    child.stdin?.on('error', () => undefined); // it may end before it has read everything
    if (onKill === undefined) child.stdin?.end(input);
    else
      child.stdout?.on('data', (chunk: Buffer | string) => {
        if (String(chunk).includes('KILL')) onKill().then(() => child.stdin?.end('go\n'), reject);
      });
  });
}
