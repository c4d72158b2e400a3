// The worker's end of a thread, real or simulated: makes the worker from the blueprint it was spawned with and serves the main thread.
// Owns: the order of start (requests that come early wait).  Never: reaches the machine but through its ports.
import { errorToWire, type Ports, type ThreadSide } from '@millrace/core';
import { type ByteStoreEngine, memoryEngine } from '@millrace/state';
import type { Topology } from '@millrace/topology';
import { engineOf } from './engines.ts';
import { serveWorker } from './worker-assembly.ts';
import type { FromWorker, ToWorker, WorkerBlueprint } from './worker-messages.ts';

export interface ThreadService {
  readonly side: ThreadSide;
  /** From the blueprint's module to the topology. Rejects with ERR_MODULE. */
  readonly loadTopology: (module: string | undefined) => Promise<Topology>;
  readonly ports: Ports;
  /** Undefined: the blueprint says where it is loaded from. */
  readonly engine?: ByteStoreEngine | undefined;
}

/** Resolves when the worker serves, or has told why it cannot. */
export async function serveThread({ side, loadTopology, ports, engine }: ThreadService): Promise<void> {
  const blueprint = side.data as WorkerBlueprint;
  const say = (message: FromWorker): void => side.post(message);
  const early: ToWorker[] = [];
  let receive = (message: ToWorker): void => void early.push(message);
  side.onMessage((message) => receive(message as ToWorker));
  try {
    const topology = await loadTopology(blueprint.module);
    // Handed in: what stores ask for by name is that engine too, or memory.
    const own = engine === undefined ? undefined : engineOf(topology, engine, new Map([['memory', memoryEngine]]));
    const server = await serveWorker({ blueprint, topology, errors: blueprint.errors, ports, engine: own, say });
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
