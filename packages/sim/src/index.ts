// The public names of @millrace/sim.
export { FAULTS, type Fault, type FaultRates } from './faults.ts';
export { planOf, runScenario, SCENARIOS, type ScenarioOptions, type ScenarioPlan } from './scenarios/run-scenario.ts';
export type { Scenario } from './scenarios/scenario.ts';
export type { SendOptions, SimInput } from './sim-input.ts';
export type { SimOutput, SimRecord } from './sim-output.ts';
export type { SimKeyValueView, SimStores, SimWindowView } from './sim-stores.ts';
export { type Simulation, type SimulationOptions, type SimulationReport, simulate } from './simulate.ts';
export { SimulationFailed } from './simulation-failed.ts';
