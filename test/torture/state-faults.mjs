// What may happen to the folder of an instance that is down: files lost, cut short, with flipped bits, swapped between tasks, or put back from an
// older copy. Whoever takes the folder next must see it and rebuild from the changelog, or find it merely behind; results are as ever.
// Flipped bits only with RocksDB, whose blocks have checksums: LMDB and our rows have none, so a flipped bit in an LMDB file goes unseen.
import { cpSync, existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { within } from './chance.mjs';

const START_MS = 30_000;
const pick = (run, list) => list[Math.floor(run.chance() * list.length)];

const filesUnder = (folder) =>
  readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => lstatSync(path).isFile());

/** Each takes the run and the folder with the databases of the tasks, at least two of them; returns what it did. */
const DAMAGES = {
  loseFile(run, tasks) {
    const path = pick(run, filesUnder(tasks));
    rmSync(path);
    return path;
  },
  cutFile(run, tasks) {
    const path = pick(
      run,
      filesUnder(tasks).filter((one) => lstatSync(one).size > 0),
    );
    const { size } = lstatSync(path);
    const left = Math.floor(run.chance() * size);
    truncateSync(path, left);
    return `${path}: ${left} of ${size} bytes`;
  },
  flipBits(run, tasks) {
    if (!filesUnder(tasks).some((one) => one.endsWith('CURRENT'))) return DAMAGES.loseFile(run, tasks);
    const path = pick(
      run,
      filesUnder(tasks).filter((one) => lstatSync(one).size > 0 && !/\/LOG|OPTIONS|LOCK|IDENTITY/.test(one)),
    );
    const bytes = readFileSync(path);
    const count = 1 + Math.floor(run.chance() * 20);
    for (let flip = 0; flip < count; flip++) bytes[Math.floor(run.chance() * bytes.length)] ^= 1 << Math.floor(run.chance() * 8);
    writeFileSync(path, bytes);
    return `${path}: ${count} bits of ${bytes.length} bytes`;
  },
  loseTask(run, tasks) {
    const path = join(tasks, pick(run, readdirSync(tasks)));
    rmSync(path, { recursive: true });
    return path;
  },
  swapTasks(run, tasks) {
    const [one, other] = readdirSync(tasks).sort(() => run.chance() - 0.5);
    renameSync(join(tasks, one), join(tasks, 'swap'));
    renameSync(join(tasks, other), join(tasks, one));
    renameSync(join(tasks, 'swap'), join(tasks, other));
    return `${one} and ${other}`;
  },
  olderCopy(run, tasks) {
    const copy = pick(run, [...run.copies.keys()]);
    if (copy === undefined) return DAMAGES.loseTask(run, tasks);
    const to = join(tasks, run.copies.get(copy));
    rmSync(to, { recursive: true, force: true });
    cpSync(copy, to, { recursive: true });
    return `${to} as it was once`;
  },
  strangeFile(run, tasks) {
    const path = join(tasks, pick(run, readdirSync(tasks)), '000007.sst');
    writeFileSync(path, 'not of this database');
    return path;
  },
};

/** Keeps a copy of one task's database; the oldest goes. */
function keepCopy(run, tasks) {
  const task = pick(run, readdirSync(tasks));
  const copy = join(run.folder, `copy-${run.nextAct++}`);
  cpSync(join(tasks, task), copy, { recursive: true });
  run.copies.set(copy, task);
  const [oldest] = run.copies.keys();
  if (run.copies.size <= 4) return;
  run.copies.delete(oldest);
  rmSync(oldest, { recursive: true });
}

const damage = (kind) => async (run) => {
  await Promise.all([...run.instances.values()].map((one) => within(one.printed('running'), START_MS))); // nobody is choosing a folder now
  const one = run.any();
  const id = run.instanceIdOf(one);
  if (id === undefined) return;
  if (run.chance() < 0.5) await one.end('SIGKILL');
  else await run.terminate(one);
  const tasks = join(run.folders, id, 'tasks');
  if (existsSync(tasks) && readdirSync(tasks).length >= 2) {
    keepCopy(run, tasks);
    run.say(`    ${DAMAGES[kind](run, tasks)}`);
    run.note({ [kind]: 1 });
  }
  await run.launch(run.options.instances);
};

export const stateFaults = {
  stateLosesFile: { weight: 3, run: damage('loseFile') },
  stateFileCut: { weight: 3, run: damage('cutFile') },
  stateFlipsBits: { weight: 4, run: damage('flipBits') },
  stateLosesTask: { weight: 2, run: damage('loseTask') },
  stateSwapped: { weight: 2, run: damage('swapTasks') },
  stateOlder: { weight: 3, run: damage('olderCopy') },
  stateStrangeFile: { weight: 1, run: damage('strangeFile') },
};
