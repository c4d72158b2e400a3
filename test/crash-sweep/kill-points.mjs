// A disk that ends the process at one named step of the write path: before it, after it, or (a write) in the middle.
// The broker knows nothing of it: the names come from what is done to which file.  Owns: the names, the counting.
// SIGKILL to oneself is delivered before the call returns: nothing runs afterwards, no handler, no flush of ours.
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Every named point; `half`: a write that may be cut in the middle; `often`: how many of them a second has, about (one if not said). */
export const POINTS = {
  append: { half: true, often: 40 }, // a client's batch
  marker: { half: true, often: 30 }, // a transaction marker in a client's partition
  'group-offsets': { half: true, often: 30 }, // __consumer_offsets, markers included
  'transaction-state': { half: true, often: 40 }, // __transaction_state
  roll: { half: false, often: 4 }, // a new segment file
  index: { half: true, often: 4 },
  snapshot: { half: true, often: 4 },
  'partition-state': { half: true },
  flush: { half: false, often: 40 }, // a segment forced to the device
  'directory-sync': { half: false },
  'compaction-write': { half: true, often: 4 },
  'compaction-swap': { half: false }, // .cleaned becomes .swap
  'compaction-finish': { half: false }, // .swap becomes .log
  'segment-remove': { half: false, often: 4 }, // retention, or compaction taking the old ones away
  'topic-create': { half: true },
  'topic-delete': { half: false },
  'topic-sweep': { half: false },
  'partition-directory': { half: false },
  'recovery-truncate': { half: false },
  meta: { half: true }, // the raised leader epoch
};

/** `plan`: point, phase (before, half, after), and which one since the start counts. Undefined: never. */
export function dyingDisk(disk, plan) {
  let left = plan?.nth ?? 0;
  const topicNames = new Map();

  const die = () => process.kill(process.pid, 'SIGKILL');
  /** True when this very step is the one. */
  const isDue = (point) => plan !== undefined && point === plan.point && --left === 0;
  const step = (point, run, half) => {
    if (!isDue(point)) return run();
    if (plan.phase === 'half' && half !== undefined) half();
    if (plan.phase === 'after') run();
    return die();
  };
  const topicOf = (path) => {
    const folder = dirname(dirname(path));
    let name = topicNames.get(folder);
    if (name === undefined) {
      try {
        name = JSON.parse(readFileSync(join(folder, 'topic.json'), 'utf8')).name;
        topicNames.set(folder, name);
      } catch {
        name = 'new';
      }
    }
    return name;
  };
  const writePoint = (path, bytes) => {
    if (path.endsWith('.cleaned')) return 'compaction-write';
    if (path.endsWith('.index')) return 'index';
    if (path.endsWith('.snapshot')) return 'snapshot';
    if (basename(path) === 'state') return 'partition-state';
    if (!path.endsWith('.log')) return 'other';
    const topic = topicOf(path);
    if (topic === '__consumer_offsets') return 'group-offsets';
    if (topic === '__transaction_state') return 'transaction-state';
    return (bytes[22] & 0x20) !== 0 ? 'marker' : 'append';
  };
  const wrapFile = (file) => ({
    path: file.path,
    size: () => file.size(),
    read: (target, start, length, position) => file.read(target, start, length, position),
    write: (bytes, position) =>
      step(
        writePoint(file.path, bytes),
        () => file.write(bytes, position),
        () => file.write(bytes.subarray(0, bytes.length >> 1), position),
      ),
    writeAll: (pieces, position) =>
      step(
        writePoint(file.path, pieces[0]),
        () => file.writeAll(pieces, position),
        () => file.write(pieces[0].subarray(0, pieces[0].length >> 1), position),
      ),
    truncate: (size) => (size > 0 && file.path.endsWith('.log') ? step('recovery-truncate', () => file.truncate(size)) : file.truncate(size)),
    sync: () => step('flush', () => file.sync()),
    async syncLater() {
      const due = isDue('flush');
      if (due && plan.phase === 'before') die();
      await file.syncLater();
      if (due) die();
    },
    close: () => file.close(),
  });
  const removePoint = (path) => {
    if (path.endsWith('.log')) return 'segment-remove';
    if (basename(path) === 'topic.json') return 'topic-delete';
    return basename(dirname(path)) === 'topics' ? 'topic-sweep' : 'other';
  };
  const replacePoint = (path) => (basename(path) === 'topic.json' ? 'topic-create' : basename(path) === 'meta.json' ? 'meta' : 'other');

  return {
    ...disk,
    open(path, mode) {
      const isNew = path.endsWith('.log') && mode === 'openOrCreate' && !disk.exists(path);
      return wrapFile(isNew ? step('roll', () => disk.open(path, mode)) : disk.open(path, mode));
    },
    makeDirectory: (path) =>
      basename(dirname(dirname(path))) === 'topics' ? step('partition-directory', () => disk.makeDirectory(path)) : disk.makeDirectory(path),
    remove: (path) => step(removePoint(path), () => disk.remove(path)),
    rename: (from, to) => step(to.endsWith('.swap') ? 'compaction-swap' : from.endsWith('.swap') ? 'compaction-finish' : 'other', () => disk.rename(from, to)),
    syncDirectory: (path) => step('directory-sync', () => disk.syncDirectory(path)),
    replaceWhole: (path, bytes) =>
      step(
        replacePoint(path),
        () => disk.replaceWhole(path, bytes),
        () => {
          const file = disk.open(`${path}.tmp`, 'openOrCreate');
          file.write(bytes.subarray(0, bytes.length >> 1), 0);
        },
      ),
  };
}
