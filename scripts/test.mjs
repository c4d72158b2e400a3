// npm test: prepare, then every fast suite; arguments are vitest's (file filters, -t NAME). Last line: `N passed, M failed`.
import { orExplain, prepare, Refusal } from './prepare.mjs';
import { printLastLine, runVitest } from './run-vitest.mjs';

await orExplain(async () => {
  try {
    await prepare('.');
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    process.stderr.write(`${error.message}\n`);
    printLastLine(0, 1, 0);
    process.exitCode = 1;
    return;
  }
  process.exitCode = await runVitest(process.argv.slice(2));
});
