// A worker on the calling thread (workers: 0): no module needed, and what its callbacks do is done right here.
// A callback longer than the session timeout does cost the membership (design, Membership 7).
import { errorToWire, type Ports } from '@millrace/core';
import type { ByteStoreEngine } from '@millrace/state';
import type { Topology } from '@millrace/topology';
import type { ErrorPolicies } from './options.ts';
import { serveWorker } from './worker-assembly.ts';
import { createWorkerHost, type WorkerHost, type WorkerHostEvents } from './worker-host.ts';
import type { WorkerBlueprint } from './worker-messages.ts';

export async function startInlineWorker(
  blueprint: WorkerBlueprint,
  topology: Topology,
  errors: ErrorPolicies,
  engine: ByteStoreEngine,
  ports: Ports,
  events: WorkerHostEvents,
): Promise<WorkerHost> {
  const seat = createWorkerHost(events);
  const server = await serveWorker({ blueprint, topology, errors, ports, engine, say: (message) => seat.receive(message) });
  let number = -1;
  seat.connect({
    post: (message) => server.receive(message),
    // There is no thread to end: stop without a deadline left means drop, close, done.
    terminate: async () => {
      server.receive({ number: number--, request: { kind: 'stop', deadlineMs: 0 } });
      await server.ended.catch(() => undefined);
    },
  });
  seat.receive({ kind: 'ready' });
  server.ended.then(
    () => seat.ended(undefined),
    (error: unknown) => seat.receive({ kind: 'news', news: { kind: 'failed', error: errorToWire(error) } }),
  );
  return seat.host;
}
