// K11: the checkers are checked. Twenty defects are put into the code, one at a time, and some seed must notice.
// A known seed comes first, and must pass without the defect.
import { serde } from '@millrace/core';
import { topic, topology } from '@millrace/dsl';
import { runScenario, simulate } from '@millrace/sim';
import { afterEach, expect, test, vi } from 'vitest';
import { DEFECTS, type Defect, switches } from './defects.ts';
import { Patches } from './patch.ts';

vi.mock('../../packages/runtime/src/assignment/assign.ts', async (importOriginal) => {
  const real = await importOriginal<typeof import('../../packages/runtime/src/assignment/assign.ts')>();
  const assignTasks: typeof real.assignTasks = (members, tasks) => {
    const dealt = real.assignTasks(members, tasks);
    if (!switches.twiceAssigned || members.length < 2) return dealt;
    const all = members.map(({ memberId }) => dealt.tasks.get(memberId) ?? []);
    const shared = all.find((mine) => mine.length > 0)?.at(-1);
    const given = members.map(
      ({ memberId }, at) => [memberId, shared === undefined || all[at]?.includes(shared) ? (all[at] ?? []) : [...(all[at] ?? []), shared]] as const,
    );
    return { ...dealt, tasks: new Map(given) };
  };
  return { ...real, assignTasks };
});

vi.mock('../../packages/runtime/src/worker.ts', async (importOriginal) => {
  const real = await importOriginal<typeof import('../../packages/runtime/src/worker.ts')>();
  const createWorker: typeof real.createWorker = (options, ports) => {
    const seat = real.createWorker(options, ports);
    const kept = new Map<string, { readonly id: string }>();
    return {
      ...seat,
      assign(assignment) {
        for (const task of assignment.tasks) kept.set(task.id, task);
        return seat.assign(switches.keepsTasks ? { ...assignment, tasks: [...kept.values()] as never } : assignment);
      },
    };
  };
  return { ...real, createWorker };
});

vi.mock('../../packages/dsl/src/operators/window-aggregate.ts', async (importOriginal) => {
  const real = await importOriginal<typeof import('../../packages/dsl/src/operators/window-aggregate.ts')>();
  const windowAggregateOperator: typeof real.windowAggregateOperator = (settings) => {
    const create = real.windowAggregateOperator(settings);
    return (context) => {
      const node = create(context);
      const { process } = node;
      node.process = (key, value) => {
        if (switches.latenessByWallClock && context.record.timestamp + 60_000 < context.wallClockMs()) context.drop('late');
        else process.call(node, key, value);
      };
      return node;
    };
  };
  return { ...real, windowAggregateOperator };
});

/** Seeds tried until one notices. */
const SEEDS_MAX = 20;
/** Long enough for every history without a defect; one with it may never come to rest, and is told to sooner. */
const PATIENCE = '30s';

const given = topic('given', { value: serde.safeInt() });
const counted = topic('counted', { key: serde.string(), value: serde.safeInt() });
const unshuffled = topology('unshuffled', (t) => {
  t.stream(given)
    .selectKey((n) => `key-${n % 3}`, { key: serde.string() })
    .repartition({ key: serde.string(), value: serde.safeInt(), partitioner: (_key, value, partitions) => value % partitions })
    .groupByKey({ key: serde.string(), value: serde.safeInt() })
    .count()
    .toStream()
    .to(counted);
});

/** Where a key's records are not together no count is right. */
function runUnshuffled(seed: number): Promise<unknown> {
  return simulate(unshuffled, {
    seed,
    duration: '1s',
    workload: (sim) => {
      for (let n = 0; n < 60; n++) sim.input(given).send(null, n);
    },
    verify: (sim) =>
      expect(
        sim
          .output(counted)
          .latest()
          .map(({ value }) => value),
      ).toEqual([20, 20, 20]),
  });
}

function run(defect: Defect, seed: number): Promise<unknown> {
  if (defect.scenario === 'unshuffled') return runUnshuffled(seed);
  const { scenario, faults, workers = 2, partitions, patience = PATIENCE } = defect;
  return runScenario(seed, { scenario, faults, workers, ...(partitions === undefined ? {} : { partitions }), guarantee: 'exactly-once', patience });
}

const patches = new Patches();
afterEach(() => {
  patches.undo();
  switches.twiceAssigned = false;
  switches.keepsTasks = false;
  switches.latenessByWallClock = false;
});

test('there are twenty', () => expect(new Set(DEFECTS.map(({ name }) => name)).size).toBe(20));

test.each(DEFECTS.map((defect) => [defect.name, defect] as const))('noticed: %s', async (_name, defect) => {
  const known = defect.seed ?? 1;
  if (defect.scenario !== 'unshuffled') await run(defect, known);
  defect.put(patches);
  let noticed: string | undefined;
  const beganMs = process.cpuUsage();
  for (const seed of [known, ...Array.from({ length: SEEDS_MAX }, (_, at) => at + 1)]) {
    noticed = await run(defect, seed).then(
      () => undefined,
      (error: Error) => error.message,
    );
    if (noticed !== undefined) break;
  }
  if (process.env.MILLRACE_SIM_TALK !== undefined)
    console.log(`${defect.name}: ${Math.round(process.cpuUsage(beganMs).user / 1000)} ms, ${noticed ?? 'not noticed'}`);
  expect(noticed, `none of ${SEEDS_MAX} seeds noticed`).toMatch(/^seed \d+: /);
});
