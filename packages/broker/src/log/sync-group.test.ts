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

  test("with 'never' there is nothing to wait for, whatever was written", () => {
    const group = new SyncGroup(new OpenFiles(memoryDisk()), 'never');
    group.touch('/a');
    expect(group.durable()).toBeUndefined();
  });
});
