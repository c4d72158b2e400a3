// npm run fuzz -- --decoder X --executions N: damaged bytes for one decoder, or for all, as long as asked. Last line as of npm test.
// docs/fuzzing.md says which decoders there are and what counts as a finding.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { orExplain, prepare, Refusal } from './prepare.mjs';
import { runVitest } from './run-vitest.mjs';

const USAGE = `npm run fuzz -- --decoder NAME|all [--executions 1000000] [--seed 1] [--keep]
--keep: inputs that made the decoder say something new are added to test/fuzz/corpus.`;

await orExplain(async () => {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  const { values } = parseArgs({ options: { decoder: text, executions: text, seed: text, keep: flag, help: flag } });
  if (values.help || values.decoder === undefined) throw new Refusal(USAGE);
  const number = (name, fallback) => {
    const value = Number(values[name] ?? fallback);
    if (!Number.isSafeInteger(value) || value < 1) throw new Refusal(`--${name} must be a whole number from 1 on.\n${USAGE}`);
    return String(value);
  };
  await prepare('.');
  const folder = mkdtempSync(join(tmpdir(), 'millrace-fuzz-'));
  const report = join(folder, 'report.jsonl');
  try {
    process.exitCode = await runVitest(['test/fuzz', '--pool=forks', '--execArgv=--expose-gc'], {
      MILLRACE_FUZZ_DECODER: values.decoder,
      MILLRACE_FUZZ_EXECUTIONS: number('executions', 1_000_000),
      MILLRACE_FUZZ_SEED: number('seed', 1),
      MILLRACE_FUZZ_KEEP: values.keep ? '1' : '0',
      MILLRACE_FUZZ_REPORT: report,
    });
    process.stderr.write(readOr(report));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function readOr(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // a finding: the suite's own words are above
  }
}
