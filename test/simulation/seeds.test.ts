// The first seeds of the simulation: 20 in `npm test`, as many as MILLRACE_SIM_SEEDS says elsewhere (.ci/run: 200).
// A seed that failed in a campaign is added to `FOUND`, with what it found.
import { runScenario, type ScenarioOptions } from '@millrace/sim';
import { expect, test } from 'vitest';

const SEEDS = Number(process.env.MILLRACE_SIM_SEEDS ?? 20);
/** So long a seed takes on a busy machine at most, ms; a quarter of a second on an idle one. */
const BOUND_MS = 120_000;
/** Histories that campaigns have found a defect with, each told in full: what a seed alone means may change with the list of faults. */
const FOUND: readonly (readonly [what: string, seed: number, options: ScenarioOptions])[] = [
  [
    'rows of both tables that change within one commit leave no stale joined row behind',
    1,
    { scenario: 'tableTable', guarantee: 'exactly-once', workers: 2, faults: { slowBroker: 40, networkSplits: 20 } },
  ],
  [
    'drained() resolves where timers commit all the time and markers come late',
    13,
    { scenario: 'timers', guarantee: 'exactly-once', workers: 3, partitions: 4, faults: { slowMarkers: 1 } },
  ],
  [
    'no order is sent before its table may be read, though a foreign transaction lies before the table',
    52,
    { scenario: 'streamTable', guarantee: 'exactly-once', workers: 1, partitions: 1, faults: { foreignTransactions: 120, slowBroker: 60 } },
  ],
  [
    'timers have their quiet after what a foreign transaction held back has come in',
    4,
    {
      scenario: 'timers',
      guarantee: 'at-least-once',
      workers: 1,
      partitions: 2,
      faults: { zombies: 20, slowBroker: 20, brokerCrashes: 20, foreignTransactions: 40, slowMarkers: 1 },
    },
  ],
  [
    'the log is audited after the last foreign transaction has been written, though it was begun right before the end of all faults',
    7419,
    {
      scenario: 'streamTable',
      guarantee: 'exactly-once',
      workers: 3,
      partitions: 4,
      faults: {
        crashes: 8,
        powerLosses: 23,
        restarts: 1,
        networkSplits: 15,
        cuts: 20,
        heldRequests: 1,
        fullDisks: 6,
        foreignTransactions: 28,
        wrongAnswers: 22,
        narrowLines: 4,
        frozenClocks: 18,
      },
    },
  ],
  [
    'stores are looked at while all tasks run, though a rebalance begins right before',
    463,
    {
      scenario: 'counts',
      guarantee: 'exactly-once',
      workers: 1,
      partitions: 1,
      faults: {
        powerLosses: 25,
        restarts: 18,
        rebalances: 23,
        zombies: 28,
        networkSplits: 18,
        cuts: 23,
        corruptBatches: 10,
        slowBroker: 5,
        fullDisks: 9,
        slowDisks: 4,
        clockJumps: 8,
        movedCoordinators: 3,
        movedLeaders: 9,
        narrowLines: 8,
      },
    },
  ],
  [
    'an answer is not forgotten before it is written, at-least-once: a worker dies between the two',
    55,
    {
      scenario: 'asyncCalls',
      guarantee: 'at-least-once',
      workers: 1,
      partitions: 2,
      faults: {
        crashes: 13,
        powerLosses: 25,
        zombies: 11,
        workerDeaths: 25,
        stuckWorkers: 4,
        heldRequests: 9,
        corruptBatches: 9,
        slowBroker: 5,
        lostDisks: 1,
        fullDisks: 6,
        clockJumps: 7,
        narrowLines: 5,
        frozenClocks: 27,
        slowMarkers: 15,
      },
    },
  ],
  [
    'an offset commit that arrives late, at-least-once, is made up for',
    1650,
    {
      scenario: 'hotKey',
      guarantee: 'at-least-once',
      workers: 1,
      partitions: 4,
      faults: {
        crashes: 19,
        rebalances: 17,
        lostAnswers: 11,
        heldRequests: 6,
        corruptBatches: 6,
        slowBroker: 3,
        brokerCrashes: 8,
        slowDisks: 1,
        movedCoordinators: 3,
        absentBrokers: 0.5,
        forgottenIds: 1,
      },
    },
  ],
];

test.each(Array.from({ length: SEEDS }, (_, at) => at + 1))(
  'seed %i',
  async (seed) => {
    const { virtualMs } = await runScenario(seed);
    expect(virtualMs).toBeGreaterThan(6000);
  },
  BOUND_MS,
);

test.each(FOUND)(
  'found: %s',
  async (_what, seed, options) => {
    expect((await runScenario(seed, options)).seed).toBe(seed);
  },
  BOUND_MS,
);
