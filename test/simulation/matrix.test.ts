// Rows of the fault matrix that ask for more than right results: what an instance must live through without ending.
import { serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { runScenario, simulate } from '@millrace/sim';
import { expect, test } from 'vitest';

const BOUND_MS = 120_000;
const ROWS = 160;
const ROW_CHARS = 5000;

const pages = topic('pages', { key: serde.string(), value: serde.string() });
const kept = store.keyValue('kept', { key: serde.string(), value: serde.string() });
const keeping = topology('keeping', (t) => {
  t.stream(pages)
    .groupByKey()
    .reduce((_, page) => page, { store: kept });
});

/** Virtual ms of each start that came to run. */
function startsOf(trace: readonly string[]): readonly number[] {
  const begun = new Map<string, number>();
  return trace.flatMap((line) => {
    const [, at, who, what] = /^([\d.]+) (app-\d#\d+): (created → rebalancing|rebalancing → running)$/.exec(line) ?? [];
    if (at === undefined || who === undefined) return [];
    if (what?.startsWith('created') === true) begun.set(who, Number(at));
    const from = begun.get(who);
    if (what?.endsWith('running') !== true || from === undefined) return [];
    begun.delete(who);
    return [Number(at) - from];
  });
}

test(
  'B5: a restore that takes longer than session and transaction costs neither the membership nor a transaction',
  async () => {
    const { trace } = await simulate(keeping, {
      seed: 1,
      workers: 1,
      partitions: 1,
      duration: '40s',
      tuning: { sessionTimeout: 1500, transactionTimeout: 2000, fetchBytesMax: 65_536 },
      faults: { narrowLines: 8 },
      async workload(sim) {
        for (let n = 0; n < ROWS; n++) {
          sim.input(pages).send(`page-${n}`, 'x'.repeat(ROW_CHARS));
          await sim.sleep(20);
        }
      },
      verify: (sim) => expect(sim.store(kept).entries()).toHaveLength(ROWS),
    });
    expect(Math.max(...startsOf(trace))).toBeGreaterThan(4000);
    expect(trace.filter((line) => /membership lost|gives up|failed:/.test(line))).toEqual([]);
  },
  BOUND_MS,
);

test.each([2, 3])(
  'B2: instances live through a broker that is away for a minute: seed %i',
  async (seed) => {
    const { trace, faults } = await runScenario(seed, {
      scenario: 'timers',
      workers: 2,
      guarantee: 'exactly-once',
      faults: { absentBrokers: 20 },
      tuning: { taskTimeout: '5 minutes' },
    });
    expect(faults.absentBrokers).toBeGreaterThan(0);
    expect(trace.filter((line) => /gives up|failed:/.test(line))).toEqual([]);
  },
  BOUND_MS,
);
