// A database opened by the main thread and used by worker threads through its ticket.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BundledProgram, bundleProgram } from './bundle.ts';
import { ENGINES, STORES } from './engines.ts';
import { contentFault, lastBatch, numberedBatch } from './numbered-batches.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-attach-'));
let program: BundledProgram;
let exiting: BundledProgram;
beforeAll(async () => {
  program = await bundleProgram(new URL('./attached-program.ts', import.meta.url));
  exiting = await bundleProgram(new URL('./exit-program.ts', import.meta.url));
});
afterAll(() => {
  program[Symbol.dispose]();
  exiting[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

describe.each(ENGINES)('$name', (engine) => {
  const open = (name: string) => engine.open({ directory: join(root, `${engine.name}-${name}`), stores: STORES, cacheBytes: 1024 * 1024 });

  test('a worker writes by ticket while the main thread reads; after its detach the owner closes, and all is there', async () => {
    const database = await open('detach');
    const worker = new Worker(program.path, { workerData: { ticket: database.ticket, batches: 1500 } });
    let seen = 0;
    const outcome = await new Promise<string>((resolve, reject) => {
      worker.on('error', reject);
      worker.on('message', (message: number | string) => {
        if (typeof message === 'string') return resolve(message);
        const last = lastBatch(database); // what the worker has told of is visible here
        if (last < message) reject(new Error(`told of batch ${message}, but the main thread sees ${last}`));
        seen++;
      });
    });
    expect(outcome).toBe('done');
    expect(seen).toBeGreaterThan(10);
    expect(contentFault(database)).toBeUndefined();
    await worker.terminate();
    await database.close();
    const again = await open('detach');
    expect(lastBatch(again)).toBe(1500);
    expect(contentFault(again)).toBeUndefined();
    await again.close();
  });

  test('workers ended in the middle of writes leave the database usable and whole', async () => {
    const database = await open('terminate');
    for (let round = 1; round <= 40; round++) {
      const worker = new Worker(program.path, { workerData: { ticket: database.ticket, batches: 1_000_000 } });
      const told = await new Promise<number>((resolve, reject) => {
        worker.on('error', reject);
        worker.on('message', (message: number) => {
          if (message % 50 >= 10) resolve(message);
        });
      });
      const release = await database.holdWrites();
      await worker.terminate();
      release();
      expect(lastBatch(database)).toBeGreaterThanOrEqual(told);
      expect(contentFault(database)).toBeUndefined();
      database.write(numberedBatch(lastBatch(database) + 1));
      expect(contentFault(database)).toBeUndefined();
    }
    await database.close();
    const again = await open('terminate');
    expect(contentFault(again)).toBeUndefined();
    await again.close();
  });

  test('a process exits at once while a thread of its own is in the middle of writes', async () => {
    const directory = join(root, `${engine.name}-exit`);
    for (let round = 1; round <= 12; round++) {
      const child = spawn(process.execPath, [exiting.path, engine.name, directory, program.path], { stdio: 'inherit' });
      const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
      expect({ code, signal }).toEqual({ code: 7, signal: null });
    }
    const database = await open('exit');
    expect(lastBatch(database)).toBeGreaterThan(0);
    expect(contentFault(database)).toBeUndefined();
    await database.close();
  });
});
