// The public names of @millrace/cli.
export type { CliDeps } from './command.ts';
export { processDeps } from './process-deps.ts';
export { runCli } from './run-cli.ts';
