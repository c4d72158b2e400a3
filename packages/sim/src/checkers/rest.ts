// K6, K9: a cluster at rest: every task with one instance, and after the end nothing left behind.
import type { Cluster } from '../cluster.ts';
import type { SimProcess } from '../sim-process.ts';

export function checkOwnership(cluster: Cluster): void {
  const owners = new Map<string, string>();
  for (const { name, app } of cluster.members)
    for (const { id, state } of app?.tasks() ?? []) {
      const other = owners.get(id);
      if (other !== undefined) throw new Error(`task ${id} is with ${other} and ${name} (K6)`);
      if (state !== 'running') throw new Error(`task ${id} of ${name} is ${state} in a cluster at rest (K8)`);
      owners.set(id, name);
    }
}

/** An application that was closed has left nothing in its process that would keep it alive. */
export function checkLeftovers(cluster: Cluster, process: SimProcess, threads: number): void {
  if (process.ended !== undefined) return; // it gave up by itself meanwhile: the system has tidied up
  const links = cluster.network.linksOf(process.host);
  if (links > 0) throw new Error(`${process.name} has left ${links} connections open (K9)`);
  if (threads > 0) throw new Error(`${process.name} has left ${threads} threads (K9)`);
  if (process.share.waiting > 0) throw new Error(`${process.name} has left ${process.share.waiting} timers (K9)`);
  const open = cluster.members.find(({ process: one }) => one === process)?.machine.databases.open ?? [];
  if (open.length > 0) throw new Error(`${process.name} has left databases open: ${open.join(', ')} (K9)`);
}

/** After everything was closed in order. */
export function checkRest(cluster: Cluster): void {
  for (const host of ['broker', ...cluster.members.map(({ name }) => name)]) {
    const links = cluster.network.linksOf(host);
    if (links > 0) throw new Error(`${host} left ${links} connections open (K9)`);
  }
}
