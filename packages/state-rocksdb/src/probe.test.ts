import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { probe, probeOnce } from './probe.ts';

test('the binding that is installed here works', async () => {
  expect(await probe()).toEqual({ ok: true });
});

test('a binding that is missing, throws, dies by a signal or answers wrongly is a reason, not a crash', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-probe-test-'));
  const fake = (name: string, source: string): string => {
    const path = join(folder, `${name}.cjs`);
    writeFileSync(path, source);
    return path;
  };
  try {
    const missing = await probeOnce(() => {
      throw new Error('Cannot find module');
    });
    expect(missing).toEqual({ ok: false, reason: '@nxtedition/rocksdb is not installed' });
    expect(await probeOnce(() => fake('throws', "throw new Error('No native build was found')"))).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/native build|throws\.cjs/),
    });
    expect(await probeOnce(() => fake('signal', "process.kill(process.pid, 'SIGILL'); setInterval(() => {}, 1000)"))).toEqual({
      ok: false,
      reason: 'it was built for another processor (illegal instruction)',
    });
    expect(await probeOnce(() => fake('wrong', 'exports.RocksLevel = class { async open() { throw new Error("no luck"); } }'))).toEqual({
      ok: false,
      reason: 'no luck',
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
