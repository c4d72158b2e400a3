// SIGKILL while batches are written: every batch whose write returned is there afterwards, and none is torn across stores.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BundledProgram, bundleProgram } from './bundle.ts';
import { ENGINES, STORES } from './engines.ts';
import { contentFault, lastBatch } from './numbered-batches.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-kill-'));
let program: BundledProgram;
beforeAll(async () => {
  program = await bundleProgram(new URL('./writer-program.ts', import.meta.url));
});
afterAll(() => {
  program[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

interface Ended {
  readonly said: number;
  readonly lines: readonly string[];
  readonly code: number | null;
}

/** Runs the writer and kills it after it has said `killAfter` numbers; what it said until its end counts. */
function runWriter(command: string, args: readonly string[], killAfter: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    let lines = 0;
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (part: string) => {
      text += part;
      lines += part.split('\n').length - 1;
      if (lines >= killAfter) child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', (code) => {
      const whole = text
        .slice(0, text.lastIndexOf('\n') + 1)
        .split('\n')
        .slice(0, -1);
      const numbers = whole.filter((line) => /^\d+$/.test(line));
      resolve({ said: Number(numbers.at(-1) ?? 0), lines: whole, code });
    });
  });
}

describe.each(ENGINES)('$name', (engine) => {
  test('killed five times while it writes, it holds every batch whose write had returned, and no half of one', async () => {
    const directory = join(root, `${engine.name}-kill`);
    for (const killAfter of [1, 40, 333, 77, 500]) {
      const { said } = await runWriter(process.execPath, [program.path, engine.name, directory], killAfter);
      expect(said).toBeGreaterThan(0);
      const database = await engine.open({ directory, stores: STORES, cacheBytes: 1024 * 1024 });
      try {
        expect(lastBatch(database)).toBeGreaterThanOrEqual(said);
        expect(contentFault(database)).toBeUndefined();
      } finally {
        await database.close();
      }
    }
  });

  test('a file that may not grow fails the write with ERR_STORE_IO, and leaves the batches before it whole', async () => {
    const directory = join(root, `${engine.name}-full`);
    // The shell bounds the size of a file (in units of 1024 bytes), which stops a write as a full disk does.
    const script = `ulimit -f 6000; exec "${process.execPath}" "${program.path}" ${engine.name} "${directory}" grow`;
    const { said, lines, code } = await runWriter('bash', ['-c', script], 20_000);
    const last = lines.at(-1) ?? '';
    expect(code).toBe(3);
    expect(last).toMatch(/^failed ERR_STORE_IO /);
    expect(Number(last.split(' ')[3])).toBe(said);
    const database = await engine.open({ directory, stores: STORES, cacheBytes: 1024 * 1024 });
    try {
      expect(lastBatch(database)).toBe(said);
      expect(contentFault(database)).toBeUndefined();
    } finally {
      await database.close();
    }
  });
});
