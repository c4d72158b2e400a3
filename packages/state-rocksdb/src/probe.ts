// Tries the native code in a child process: a build for another processor dies by a signal that nobody can catch.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BINDING } from './rocks-level.ts';

const PROBE_MS_MAX = 20_000;

// Opens a database, writes and reads one row. Arguments: path of the binding, folder.
const PROGRAM = `
const { RocksLevel } = require(process.argv[1]);
const db = new RocksLevel(process.argv[2]);
db.open({ passive: false, createIfMissing: true, cacheSize: 524288, memtableMemoryBudget: 1048576, compaction: 'level', parallelism: 1, columns: { default: {} } }).then(() => {
  const column = db.columns.default;
  const batch = db._chainedBatch();
  batch._put(Buffer.from('k'), Buffer.from('v'), { column });
  batch._writeSync({});
  if (String(db._getManySync([Buffer.from('k')], { column })[0]) !== 'v') throw new Error('a row written was not read back');
  return db.close();
}).catch((error) => { console.error((error.cause || error).message); process.exit(1); });
`;

export type Probe = { readonly ok: true } | { readonly ok: false; readonly reason: string };

let answer: Promise<Probe> | undefined;

/** Whether RocksDB works on this machine; asked once per process. Cost: a short-lived child, about 0.1 s. */
export function probe(): Promise<Probe> {
  answer ??= probeOnce(() => createRequire(import.meta.url).resolve(BINDING));
  return answer;
}

/** One try, for the binding that `locate` finds. */
export async function probeOnce(locate: () => string): Promise<Probe> {
  let path: string;
  try {
    path = locate();
  } catch {
    return { ok: false, reason: `${BINDING} is not installed` };
  }
  const folder = await mkdtemp(join(tmpdir(), 'millrace-probe-'));
  try {
    return await runChild(path, join(folder, 'db'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function runChild(path: string, folder: string): Promise<Probe> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['-e', PROGRAM, path, folder], { timeout: PROBE_MS_MAX, killSignal: 'SIGKILL' }, (error, _out, complaint) => {
      if (error === null) return resolve({ ok: true });
      const signal =
        error.signal === 'SIGILL' ? 'it was built for another processor (illegal instruction)' : `it ended by ${error.signal ?? `exit code ${error.code}`}`;
      const said = complaint.split('\n').find((line) => line.trim() !== '' && !line.startsWith('    at'));
      resolve({ ok: false, reason: error.signal === 'SIGILL' || said === undefined ? signal : said.trim() });
    });
  });
}
