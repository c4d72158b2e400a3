// What users import as `millrace/testkit`: the test driver, and nothing that runs in production.
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
