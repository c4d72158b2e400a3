// npm run oracles -- [--programs N] [--seed S]: N random programs (default 1000) from seed S (default 1): aggregates, windows, sessions, final results,
// cogroups and every kind of join over random disordered input, each against a naive recomputation of its whole input.
// Prints each difference with its seed, and as its last line `N passed, M failed`. Exit code 0 if nothing failed.
import { parseArgs } from 'node:util';
import { withSources } from './from-sources.mjs';
import { orExplain, prepare, Refusal } from './prepare.mjs';
import { printLastLine } from './run-vitest.mjs';

await orExplain(async () => {
  const { values } = parseArgs({ options: { programs: { type: 'string', default: '1000' }, seed: { type: 'string', default: '1' } } });
  const [programs, seed] = ['programs', 'seed'].map((name) => {
    const number = Number(values[name]);
    if (Number.isSafeInteger(number) && number > 0) return number;
    throw new Refusal(`--${name} is ${values[name]}; it takes a whole number from 1.`);
  });
  await prepare('packages/core'); // the runner reads the sources: only the dependencies must be there
  const print = (line) => process.stdout.write(`${line}\n`);
  const summary = await withSources('/test/golden/oracles/run-oracles.ts', ({ runOracles }) => runOracles(seed, programs, print));
  print(`seeds ${seed} to ${seed + programs - 1}, ${summary.compared} rows and records compared`);
  printLastLine(summary.equal, summary.failed, 0);
  process.exitCode = summary.failed === 0 ? 0 : 1;
});
