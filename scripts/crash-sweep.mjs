// npm run crash-sweep -- --kills N --seed S: the broker is killed at every named point of its write path, then its files are audited.
// Last line `N kills, M findings`.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { orExplain, prepare, Refusal, root } from './prepare.mjs';

const USAGE = 'npm run crash-sweep -- [--kills 200] [--seed S] [--pause MS] [--keep]';

await orExplain(async () => {
  const text = { type: 'string' };
  const { values } = parseArgs({ options: { kills: text, seed: text, pause: text, keep: { type: 'boolean', default: false }, help: { type: 'boolean' } } });
  if (values.help) throw new Refusal(USAGE);
  const number = (name, fallback) => {
    const value = Number(values[name] ?? fallback);
    if (!Number.isSafeInteger(value) || value < 0) throw new Refusal(`--${name} must be a whole number.\n${USAGE}`);
    return value;
  };
  if (process.env.MILLRACE_SWEEP_BUILT === undefined) await prepare('packages/broker');
  const { crashSweep } = await import(pathToFileURL(join(root, 'test/crash-sweep/sweep.mjs')).href);
  const options = { kills: number('kills', 200), seed: number('seed', Date.now() % 1_000_000), pauseMs: number('pause', 4), keep: values.keep };
  const say = (line) => process.stderr.write(`${line}\n`);
  say(`seed ${options.seed}`);
  const { findings, hits, acknowledged, transactions, folder } = await crashSweep(options, say);
  for (const finding of findings) process.stdout.write(`${finding}\n`);
  if (findings.length > 0) process.stdout.write(`the data directory is kept in ${folder}\n`);
  process.stdout.write(`${JSON.stringify({ ...options, hits, acknowledged, transactions })}\n`);
  process.stdout.write(`${Object.values(hits).reduce((sum, one) => sum + one, 0)} kills, ${findings.length} findings\n`);
  if (findings.length > 0) process.exitCode = 1;
});
