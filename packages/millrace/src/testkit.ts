// What users import as `millrace/testkit`: the test driver and the simulation, and nothing that runs in production.
// The simulation brings a broker and the whole runtime with it: that is loaded with the first call, not with every test file.
import type { SimulationOptions, SimulationReport } from '@millrace/sim';
import type { Topology } from '@millrace/topology';

export type { Fault, Simulation, SimulationFailed, SimulationOptions, SimulationReport } from '@millrace/sim';
export {
  type DropReason,
  type InputOptions,
  type SendOptions,
  type TestDriver,
  type TestInput,
  type TestOptions,
  type TestOutput,
  testTopology,
} from '@millrace/testkit';

/**
 * Several instances, a broker, a network and disks under one seed and one virtual clock: same seed, same run, to the byte. Rejects with a
 * SimulationFailed (seed, what was wrong, trace) when `verify` throws, or when a record was lost, doubled or wrong.
 *
 * @example
 * ```ts
 * await simulate(wordCount, {
 *   seed: 7,
 *   workers: 3,
 *   faults: { crashes: 20 },
 *   workload: (sim) => sim.input(lines).send('k', 'to be or not to be'),
 *   verify: (sim) => assert.equal(sim.output(wordCounts).latest().length, 4),
 * });
 * ```
 */
export async function simulate(topology: Topology, options: SimulationOptions): Promise<SimulationReport> {
  const { simulate: run } = await import('@millrace/sim');
  return await run(topology, options);
}
