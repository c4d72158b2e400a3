// What runs in a worker thread: imports the user's module, takes its default export as the topology, serves the main thread.
import { MillraceError, nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers, threadSide } from '@millrace/core';
import type { Topology } from '@millrace/topology';
import { serveThread } from './thread-service.ts';

async function importTopology(module: string): Promise<Topology> {
  const loaded = await load(module);
  const topology = loaded.default;
  if (topology === undefined || typeof topology.describe !== 'function' || topology.nodes === undefined) {
    throw new MillraceError(
      'ERR_MODULE',
      `${module} has no topology as its default export. Workers import the module to get it: write \`export default topology(…)\`.`,
      { module },
    );
  }
  return topology as Topology;
}

async function load(module: string): Promise<{ readonly default?: Partial<Topology> }> {
  try {
    return (await import(module)) as { readonly default?: Partial<Topology> };
  } catch (error) {
    if (MillraceError.is(error)) throw error;
    throw new MillraceError(
      'ERR_MODULE',
      `${module} could not be loaded in a worker thread, which imports it to get the topology. Mend what the cause says; what only the main program needs belongs behind if (isMain(import.meta)).`,
      { module },
      error,
    );
  }
}

await serveThread({
  side: threadSide(),
  loadTopology: (module) => importTopology(module ?? ''),
  ports: { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger },
});
