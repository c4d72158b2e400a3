// What runs in a worker thread: imports the user's module, takes its default export as the topology, serves the main thread.
import { errorToWire, MillraceError, nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers, threadSide } from '@millrace/core';
import type { Topology } from '@millrace/topology';
import { serveWorker } from './worker-assembly.ts';
import type { FromWorker, ToWorker, WorkerBlueprint } from './worker-messages.ts';

async function main(): Promise<void> {
  const side = threadSide();
  const blueprint = side.data as WorkerBlueprint;
  const say = (message: FromWorker): void => side.post(message);
  const early: ToWorker[] = [];
  let receive = (message: ToWorker): void => void early.push(message);
  side.onMessage((message) => receive(message as ToWorker));
  try {
    const topology = await importTopology(blueprint.module ?? '');
    const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
    const server = await serveWorker({ blueprint, topology, errors: blueprint.errors, ports, say });
    receive = server.receive;
    say({ kind: 'ready' });
    for (const message of early) receive(message);
    server.ended.then(
      () => side.close(),
      (error: unknown) => {
        say({ kind: 'news', news: { kind: 'failed', error: errorToWire(error) } });
      },
    );
  } catch (error) {
    say({ kind: 'refused', error: errorToWire(error) });
  }
}

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

await main();
