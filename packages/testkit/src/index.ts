// The public names of @millrace/testkit.
export type { InputOptions, SendOptions, TestInput } from './test-input.ts';
export type { TestOutput } from './test-output.ts';
export { type DropReason, type TestDriver, type TestOptions, testTopology } from './test-topology.ts';
export { type DriverOptions, type Input, TopologyDriver } from './topology-driver.ts';
