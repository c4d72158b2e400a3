// Runs vitest and ends with the one line that people and machines read: `N passed, M failed` (`, K skipped`, reasons above).
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './prepare.mjs';

/** Runs the suites with `args` (filters, vitest options) and `env` added; resolves with the exit code. */
export async function runVitest(args, env = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  const resultFile = join(folder, 'result.json');
  try {
    const code = await vitest(args, { ...process.env, ...env, MILLRACE_TEST_RESULT: resultFile });
    return report(readResult(resultFile), code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function vitest(args, env) {
  return new Promise((resolve) => {
    const reporter = join(root, 'scripts/vitest-result.mjs');
    const child = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=default', `--reporter=${reporter}`, ...args], {
      cwd: root,
      stdio: 'inherit',
      env,
    });
    const forward = (signal) => child.kill(signal);
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, forward);
    child.on('close', (code) => {
      for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, forward);
      resolve(code ?? 1);
    });
  });
}

function readResult(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined; // vitest ended before its last word: its own message is above
  }
}

function report(result, code) {
  const { passed, skips } = result ?? { passed: 0, skips: [] };
  const failed = result === undefined || (result.failed === 0 && code !== 0) ? (result?.failed ?? 0) + 1 : result.failed;
  for (const { name, reason } of skips) process.stdout.write(`skipped: ${name}: ${reason}\n`);
  printLastLine(passed, failed, skips.length);
  return failed === 0 ? 0 : 1;
}

export function printLastLine(passed, failed, skipped) {
  process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
}
