// K5: state = changelog. Every store as it was equals the store that a fresh instance builds from the log alone.
import type { Cluster } from '../cluster.ts';
import { rowsOf } from '../sim-stores.ts';

export type StoreDump = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Rows of every logged store by their text. */
export function dumpStores(cluster: Cluster): StoreDump {
  const dump = new Map<string, Map<string, string>>();
  for (const [name, spec] of cluster.topology.stores) {
    if (spec.changelog === false || spec.kind === 'versioned') continue;
    const rows = new Map<string, string>();
    for (const { key, value, timestamp } of rowsOf(spec, cluster.databasesOf(name))) {
      const text = JSON.stringify(key);
      const row = `${JSON.stringify(value)}@${timestamp}`;
      const before = rows.get(text);
      // Join buffers keep several rows of one key and time; anything else lies in one partition.
      if (before !== undefined && !(spec.kind === 'window' && spec.duplicates)) throw new Error(`store ${name} has the row ${text} in two partitions (K5)`);
      rows.set(text, before === undefined ? row : `${before} ${row}`);
    }
    dump.set(name, rows);
  }
  return dump;
}

/**
 * Starts one instance on an empty disk and compares. `rest` resolves when it has restored and drained. Without `before` it must only come
 * to rest: under at-least-once a frozen owner writes to the changelog after its successor, and nothing fences it.
 */
export async function checkRebuilt(cluster: Cluster, before: StoreDump | undefined, rest: () => Promise<void>): Promise<void> {
  const [first] = cluster.instances;
  if (first === undefined) return;
  first.machine.loseDisk();
  first.wanted = true;
  first.start();
  await rest();
  if (before === undefined) return;
  const after = dumpStores(cluster);
  for (const [name, rows] of before) {
    const rebuilt = after.get(name) ?? new Map<string, string>();
    for (const [key, value] of rows)
      if (rebuilt.get(key) !== value)
        throw new Error(`store ${name}: ${key} was ${value} and is ${rebuilt.get(key) ?? 'missing'} after a rebuild from the log (K5)`);
    for (const key of rebuilt.keys()) if (!rows.has(key)) throw new Error(`store ${name}: a rebuild from the log has the row ${key}, which was not there (K5)`);
  }
}
