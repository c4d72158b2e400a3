// npm run simulate -- --seeds N: simulated histories of broker, workers and faults, one a seed. Last line `N passed, M failed`.
// --seed S runs one and prints what happened in it. docs/simulation.md says what a history is and what is checked.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { orExplain, prepare, Refusal, root } from './prepare.mjs';

const USAGE = `npm run simulate -- --seeds N [--from 1] [--jobs ${availableParallelism()}] [--scenario NAME] [--bound SECONDS] [--out FILE]
npm run simulate -- --seed S [--scenario NAME]
--seeds: that many, one after another, from --from on.  --seed: one, with its trace.
--bound: a seed that takes longer has failed (120).
--out: a line of JSON for each seed is added to the file; seeds that it has from the same build are not run again.`;

await orExplain(async () => {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: { seeds: text, seed: text, from: text, jobs: text, scenario: text, bound: text, out: text, help: { type: 'boolean', default: false } },
  });
  if (values.help || (values.seeds === undefined) === (values.seed === undefined)) throw new Refusal(USAGE);
  const number = (name, fallback) => {
    const value = Number(values[name] ?? fallback);
    if (!Number.isSafeInteger(value) || value < 1) throw new Refusal(`--${name} must be a whole number from 1 on.\n${USAGE}`);
    return value;
  };
  const [seeds, from, jobs, boundS] = [number('seeds', 1), number('seed', number('from', 1)), number('jobs', availableParallelism()), number('bound', 120)];
  await prepare('packages/sim');
  const { SCENARIOS } = await import(pathToFileURL(join(root, 'packages/sim/dist/index.js')).href);
  if (values.scenario !== undefined && !(values.scenario in SCENARIOS))
    throw new Refusal(`There is no scenario '${values.scenario}'; there are ${Object.keys(SCENARIOS).join(', ')}.`);
  const { runCampaign, runOne } = await import(pathToFileURL(join(root, 'test/simulation/campaign.mjs')).href);
  const options = { from, seeds, jobs, scenario: values.scenario, boundS, out: values.out };
  const { passed, failed } = values.seed === undefined ? await runCampaign(options) : await runOne(options);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  if (failed > 0) process.exitCode = 1;
});
