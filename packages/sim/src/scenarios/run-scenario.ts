// One seed, one scenario: the seed decides which topology runs, how many workers and partitions it has, and which faults strike how often.
import { type Duration, seededChance } from '@millrace/core';
import { FAULTS, type Fault, type FaultRates } from '../faults.ts';
import { type SimulationOptions, type SimulationReport, simulate } from '../simulate.ts';
import { asyncCalls } from './async-calls.ts';
import { counts } from './counts.ts';
import { streamStream, streamTable, tableTable } from './joins.ts';
import { lateness } from './lateness.ts';
import { ledger } from './ledger.ts';
import { farAhead, hotKey } from './odd-records.ts';
import { patterns } from './patterns.ts';
import { chain, timers } from './processors.ts';
import type { Scenario } from './scenario.ts';
import { sessions } from './windows.ts';

/** What a seed draws from: another one here would change what every seed means. */
const DRAWN: Readonly<Record<string, () => Scenario>> = {
  counts,
  ledger,
  streamTable,
  streamStream,
  tableTable,
  sessions,
  lateness,
  timers,
  chain,
  asyncCalls,
  hotKey,
  farAhead,
};
/** Those drawn, and those that run when they are asked for by name. */
export const SCENARIOS: Readonly<Record<string, () => Scenario>> = { ...DRAWN, patterns };

/** Once in how many seeds records may come again. */
const AT_LEAST_ONCE_IN = 8;
const RATE_MAX = 30;
/** So that a cluster is not down all the time. */
const RARE: ReadonlySet<Fault> = new Set([
  'lostDisks',
  'brokerCrashes',
  'fullDisks',
  'slowBroker',
  'clockJumps',
  'movedCoordinators',
  'movedLeaders',
  'narrowLines',
]);
/** It costs a minute of virtual time each. */
const VERY_RARE: ReadonlySet<Fault> = new Set(['absentBrokers']);

export interface ScenarioOptions {
  /** A name of SCENARIOS; the seed chooses unless given. */
  readonly scenario?: string;
  /** In place of what the seed draws. */
  readonly faults?: FaultRates;
  readonly workers?: number;
  readonly partitions?: number;
  readonly patience?: Duration;
  readonly tuning?: SimulationOptions['tuning'];
  readonly guarantee?: 'exactly-once' | 'at-least-once';
}

export interface ScenarioPlan {
  readonly scenario: string;
  readonly workers: number;
  readonly partitions: number;
  readonly guarantee: 'exactly-once' | 'at-least-once';
  readonly faults: FaultRates;
}

/** What a seed means. */
export function planOf(seed: number, options: ScenarioOptions = {}): ScenarioPlan {
  const chance = seededChance(seed ^ 0x5eed);
  const names = Object.keys(DRAWN);
  const faults: { [F in Fault]?: number } = {};
  for (const fault of FAULTS)
    if (chance.integer(2) === 0) faults[fault] = VERY_RARE.has(fault) ? 0.5 : 1 + chance.integer(RARE.has(fault) ? RATE_MAX / 3 : RATE_MAX);
  return {
    scenario: options.scenario ?? (names[chance.integer(names.length)] as string),
    workers: options.workers ?? 1 + chance.integer(4),
    partitions: options.partitions ?? 1 + chance.integer(4),
    guarantee: options.guarantee ?? (chance.integer(AT_LEAST_ONCE_IN) === 0 ? 'at-least-once' : 'exactly-once'),
    faults: options.faults ?? faults,
  };
}

/** Rejects with a SimulationFailed that names the seed. */
export function runScenario(seed: number, options: ScenarioOptions = {}): Promise<SimulationReport> {
  const plan = planOf(seed, options);
  const make = SCENARIOS[plan.scenario];
  if (make === undefined) throw new Error(`there is no topology '${plan.scenario}'; there are ${Object.keys(SCENARIOS).join(', ')}`);
  const scenario = make();
  return simulate(scenario.topology, {
    seed,
    workers: plan.workers,
    partitions: plan.partitions,
    guarantee: plan.guarantee,
    duration: '6s',
    quiet: scenario.quiet ?? 0,
    faults: plan.faults,
    ...(options.patience === undefined ? {} : { patience: options.patience }),
    tuning: { ...scenario.tuning, ...options.tuning },
    workload: (simulation) => scenario.workload(simulation),
    verify: (simulation) => scenario.verify(simulation, plan.guarantee === 'exactly-once'),
  });
}
