// K6, K9: a cluster at rest: every task with one instance, and after the end nothing left behind.
import type { Cluster } from '../cluster.ts';

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

/** After everything was closed in order. */
export function checkRest(cluster: Cluster): void {
  for (const host of ['broker', ...cluster.members.map(({ name }) => name)]) {
    const links = cluster.network.linksOf(host);
    if (links > 0) throw new Error(`${host} left ${links} connections open (K9)`);
  }
}
