// One instance of the torture topology as a process of its own. Options come as one JSON argument.
import { isMain, run } from 'millrace';
import tortured from './topology.mjs';

if (isMain(import.meta)) {
  process.stdout.write('begun\n');
  const options = JSON.parse(process.argv[2] ?? '{}');
  if (process.env.MILLRACE_TORTURE_LOG !== undefined) {
    const at = (level) => (fields, text) => process.stderr.write(`${new Date().toISOString()} ${level} ${text} ${JSON.stringify(fields)}\n`);
    options.log = { debug: () => {}, info: at('info'), warn: at('warn'), error: at('error') };
  }
  const app = await run(tortured, {
    module: new URL('./topology.mjs', import.meta.url),
    http: false,
    ...options,
  });
  if (app.state === 'running' || app.state === 'rebalancing') process.stdout.write(`running ${app.instanceId}\n`);
  app.events.subscribe((event) => {
    if (event.kind === 'workerFailed') process.stderr.write(`${new Date().toISOString()} workerFailed ${event.worker} ${event.error.stack}\n`);
    else if (event.kind !== 'restoreProgress') process.stderr.write(`${new Date().toISOString()} event ${JSON.stringify(event)}\n`);
  });
}
