// npm run test:interop: every foreign client against the embedded broker, which runs as a process of its own.
// With --write the table of docs/interop.md is written from what passed. Other arguments go to vitest (-t NAME runs what matches).
import { join } from 'node:path';
import { interopClients } from './interop-clients.mjs';
import { orExplain, prepare, root } from './prepare.mjs';
import { runVitest } from './run-vitest.mjs';

await orExplain(async () => {
  await prepare('.');
  const args = process.argv.slice(2).filter((arg) => arg !== '--write');
  const env = { MILLRACE_TEST_INTEROP: JSON.stringify(interopClients()) };
  if (process.argv.includes('--write')) {
    args.push(`--reporter=${join(root, 'scripts/interop-table.mjs')}`);
    env.MILLRACE_INTEROP_TABLE = join(root, 'docs/interop.md');
  }
  process.exitCode = await runVitest(args, env);
});
