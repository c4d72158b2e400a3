// What goes wrong with disks while programs run: no room left, for the state or for the broker's log; a read-only folder; no more files to open;
// system calls that fail. Nothing may be lost. A program may stop, if it says which folder or what limit it was.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { within } from './chance.mjs';

const AFTER_MS = 5_000;
const END_MS = 30_000;
const pick = (run, list) => list[Math.floor(run.chance() * list.length)];

/** While `work` runs, and a while after, programs may end by themselves if their last words match. */
async function excusing(run, words, work) {
  const excuse = { words, until: Number.POSITIVE_INFINITY };
  run.excuses.push(excuse);
  try {
    await work();
  } finally {
    excuse.until = Date.now() + AFTER_MS;
  }
  for (const broker of run.brokers) if (broker.process.over) await broker.start();
}

/** `limit` of a running process, for a time. */
const setLimit = (pid, text) => spawnSync('prlimit', ['--pid', String(pid), `--nofile=${text}`]);

const openFiles = (pid) => readdirSync(`/proc/${pid}/fd`);

function regularFiles(pid, under) {
  const paths = openFiles(pid).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return [...new Set(paths.filter((path) => path.startsWith(under)))];
}

const CALLS = ['fsync', 'fdatasync', 'write', 'pwrite64', 'writev', 'pwritev', 'ftruncate', 'fallocate'];
const ERRORS = ['EIO', 'ENOSPC', 'EINTR'];

/** Every third call of one kind on the program's own open files fails, for a time: strace steps in between. */
async function failCalls(run, { child }, under) {
  const call = pick(run, CALLS);
  const error = pick(run, ERRORS);
  const files = regularFiles(child.pid, under);
  if (files.length === 0) return;
  const strace = spawn(
    'strace',
    ['-f', '-qq', '-o', '/dev/null', '-p', String(child.pid), ...files.flatMap((path) => ['-P', path]), '-e', `inject=${call}:error=${error}:when=2+3`],
    { stdio: 'ignore' },
  );
  const over = new Promise((resolve) => strace.once('exit', resolve).once('error', resolve));
  await wait(1000 + 2000 * run.chance());
  strace.kill('SIGTERM');
  await over;
  run.note({ [`${call} ${error}`]: 1 });
}

const FULL = /no space left|ENOSPC|disk .*full/i;

export const diskFaults = {
  stateDiskFull: {
    weight: 5,
    run: (run) =>
      excusing(run, [FULL, run.dataDir], async () => {
        run.stateDisk.fill();
        await wait(500 + 4000 * run.chance());
        run.stateDisk.free();
        await wait(500);
      }),
  },
  brokerDiskFull: {
    weight: 5,
    run: (run) =>
      excusing(run, [FULL, run.brokerDir], async () => {
        run.brokerDisk.fill();
        await wait(500 + 4000 * run.chance());
        run.brokerDisk.free();
        await wait(500);
      }),
  },
  /** Whoever starts on a folder that cannot be written says so and ends. */
  stateReadOnly: {
    weight: 2,
    async run(run) {
      await Promise.all([...run.instances.values()].map((one) => one.end('SIGKILL')));
      run.stateDisk.readOnly(true);
      await excusing(run, [/read-only|EROFS/i, run.dataDir], async () => {
        await run.launch(1);
        const [one] = run.instances.values();
        if (!(await within(one.exited, END_MS))) run.find(`${one.name} goes on with a state folder that it cannot write`);
        run.stateDisk.readOnly(false);
      });
    },
  },
  /** One instance may open hardly any file more, while it gets the tasks of another. */
  fewFiles: {
    weight: 4,
    run: (run) =>
      excusing(run, [/EMFILE|too many open files/i], async () => {
        const [one, other] = [...run.instances.values()].sort(() => run.chance() - 0.5);
        if (other === undefined || run.instanceIdOf(one) === undefined) return; // Node itself needs files to begin
        setLimit(one.child.pid, `${openFiles(one.child.pid).length + Math.floor(run.chance() * 12)}:`);
        await other.end('SIGKILL');
        await wait(run.options.sessionMs + 2500 * run.chance());
        if (!one.over) setLimit(one.child.pid, '4096:');
      }),
  },
  stateCallsFail: { weight: 5, run: (run) => excusing(run, [/EIO|I\/O error|ENOSPC|no space left|IO error/i], () => failCalls(run, run.any(), run.dataDir)) },
  brokerCallsFail: {
    weight: 5,
    run: (run) => excusing(run, [/EIO|I\/O error|i\/o error|ENOSPC|no space left/i], () => failCalls(run, run.brokers[0].process, run.brokerDir)),
  },
};

/** True when an end that nobody asked for is allowed just now: it said why. */
export function isExcused(run, one, code) {
  const now = Date.now();
  run.excuses = run.excuses.filter(({ until }) => until > now);
  if (run.excuses.length === 0 || code === 0) return false;
  const last = one.lastWords();
  return run.excuses.some(({ words }) => words.every((word) => (typeof word === 'string' ? last.includes(word) : word.test(last))));
}
