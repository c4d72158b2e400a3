import { type Disk, type DiskFile, memoryDisk } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { OpenFiles } from './open-files.ts';
import { SyncGroup } from './sync-group.ts';

/** A disk whose syncs finish when told to. */
function slowDisk() {
  const disk = memoryDisk();
  const waiting: { readonly path: string; readonly finish: (error?: Error) => void }[] = [];
  const open: Disk['open'] = (path, mode) => {
    const file = disk.open(path, mode);
    const syncLater: DiskFile['syncLater'] = () =>
      new Promise((resolve, reject) => waiting.push({ path, finish: (error) => (error === undefined ? resolve() : reject(error)) }));
    return { ...file, syncLater };
  };
  for (const path of ['/a', '/b']) disk.open(path, 'create').close();
  return { group: new SyncGroup(new OpenFiles({ ...disk, open }), 'perBatchGroup'), waiting };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('durability in groups', () => {
  test('nothing dirty: nothing to wait for', () => {
    expect(slowDisk().group.durable()).toBeUndefined();
  });

  test('what comes during a sync waits for the next one, together', async () => {
    const { group, waiting } = slowDisk();
    const done: string[] = [];
    group.touch('/a');
    void group.durable()?.then(() => done.push('first'));
    group.touch('/a');
    void group.durable()?.then(() => done.push('second'));
    group.touch('/b');
    void group.durable()?.then(() => done.push('third'));
    expect(waiting.map(({ path }) => path)).toEqual(['/a']);
    waiting[0]?.finish();
    await turn();
    expect(done).toEqual(['first']);
    expect(waiting.slice(1).map(({ path }) => path)).toEqual(['/a', '/b']);
    for (const { finish } of waiting) finish();
    await turn();
    expect(done).toEqual(['first', 'second', 'third']);
    expect(group.durable()).toBeUndefined();
  });

  test('after a failed sync nothing is promised any more', async () => {
    const { group, waiting } = slowDisk();
    group.touch('/a');
    const first = group.durable();
    waiting[0]?.finish(new Error('EIO'));
    await expect(first).rejects.toThrow('EIO');
    group.touch('/b');
    await expect(group.durable()).rejects.toThrow('EIO');
  });

  test('a log that grew is told of what is on the device before anybody who waits for it, and a sync comes though nobody waits', async () => {
    const { group, waiting } = slowDisk();
    const done: string[] = [];
    let size = 0;
    const log = {
      syncBegins: () => {
        const seen = size;
        return () => void done.push(`shows ${seen}`);
      },
    };
    const append = (): void => {
      size += 1;
      group.touch('/a');
      group.grew(log);
    };
    append();
    append();
    await turn();
    expect(waiting.length).toBe(1);
    append();
    await turn();
    expect(waiting.length).toBe(1);
    void group.durable()?.then(() => done.push('third durable'));
    waiting[0]?.finish();
    await turn();
    expect(done).toEqual(['shows 2']);
    waiting[1]?.finish();
    await turn();
    expect(done).toEqual(['shows 2', 'shows 3', 'third durable']);
    append();
    await turn();
    waiting[2]?.finish(new Error('EIO'));
    await turn();
    append();
    await turn();
    expect([done.length, waiting.length]).toEqual([3, 3]);
  });

  test("with 'never' there is nothing to wait for, whatever was written", () => {
    const group = new SyncGroup(new OpenFiles(memoryDisk()), 'never');
    group.touch('/a');
    expect(group.durable()).toBeUndefined();
  });
});
