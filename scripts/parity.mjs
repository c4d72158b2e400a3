// npm run parity -- --cases FOLDER: recorded cases of Apache Kafka Streams against this code (default: the copy in test/golden/parity).
// Prints each difference, what was skipped and why, and as its last line `N passed, M failed` (`, K skipped`). Exit code 0 if nothing failed.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { withSources } from './from-sources.mjs';
import { orExplain, prepare, Refusal, root } from './prepare.mjs';
import { printLastLine } from './run-vitest.mjs';

await orExplain(async () => {
  const folder = folderOf(process.argv.slice(2));
  if (!existsSync(folder)) throw new Refusal(`There is no folder ${folder}. Name one with recorded cases: npm run parity -- --cases FOLDER`);
  await prepare('packages/core'); // the runner reads the sources: only the dependencies must be there
  const { equal, failed, skipped, onPurpose } = await withSources('/test/golden/run-folder.ts', ({ runFolder }) =>
    runFolder(folder, (line) => process.stdout.write(`${line}\n`)),
  );
  const reasons = [...skipped].sort((a, b) => b[1].length - a[1].length);
  const count = reasons.reduce((sum, [, names]) => sum + names.length, 0);
  process.stdout.write(`${equal} equal, ${count} skipped\n`);
  for (const [reason, names] of reasons)
    process.stdout.write(`  skipped ${names.length}: ${reason} (${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''})\n`);
  const different = new Set([...onPurpose.values()].flat()).size;
  process.stdout.write(
    `  ${equal - different} equal as they are, ${different} but for a difference on purpose (test/golden/on-purpose.ts), compared whole all the same:\n`,
  );
  for (const [rule, names] of [...onPurpose].sort((a, b) => b[1].length - a[1].length))
    process.stdout.write(`    ${names.length} ${rule} (${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''})\n`);
  printLastLine(equal, failed, count);
  process.exitCode = failed === 0 ? 0 : 1;
});

function folderOf(args) {
  if (args.length === 0) return join(root, 'test/golden/parity');
  const [flag, value] = args[0].startsWith('--cases=') ? ['--cases', args[0].slice('--cases='.length)] : args;
  if (flag !== '--cases' || value === undefined || value === '') throw new Refusal('Run: npm run parity -- --cases FOLDER');
  return resolve(process.env.INIT_CWD ?? process.cwd(), value);
}
