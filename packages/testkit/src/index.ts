// The public names of @millrace/testkit.

export type { DriverOptions, Input } from './driver-options.ts';
export type { InputOptions, SendOptions, TestInput } from './test-input.ts';
export type { TestOutput } from './test-output.ts';
export { type DropReason, type TestDriver, type TestOptions, testTopology } from './test-topology.ts';
export { TopologyDriver } from './topology-driver.ts';
