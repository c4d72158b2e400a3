import { expect, test } from 'vitest';
import { memoryDisk } from './memory-disk.ts';
import { seededChance } from './seeded-chance.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

test('a killed process leaves what it wrote, and its handles and locks are gone', () => {
  const disk = memoryDisk();
  const file = disk.open('/a', 'create');
  expect(disk.lock('/lock')).toBeDefined();
  file.write(Buffer.from('written'), 0);
  disk.kill();
  expect(text(disk.readWhole('/a'))).toBe('written');
  expect(() => file.write(Buffer.from('x'), 0)).toThrow('EBADF');
  expect(disk.lock('/lock')).toBeDefined();
});

test('a power loss keeps what was synced and drops the rest', () => {
  const disk = memoryDisk();
  const file = disk.open('/a', 'create');
  file.write(Buffer.from('synced'), 0);
  file.sync();
  disk.syncDirectory('/');
  file.write(Buffer.from(' lost'), 6);
  disk.crash();
  expect(text(disk.readWhole('/a'))).toBe('synced');
});

test('a torn crash cuts the last unsynced write in half and keeps those before it', () => {
  const disk = memoryDisk();
  const file = disk.open('/a', 'create');
  disk.syncDirectory('/');
  file.write(Buffer.from('one.'), 0);
  file.write(Buffer.from('two.'), 4);
  disk.crash('tear');
  expect(text(disk.readWhole('/a'))).toBe('one.tw');
});

test('a lucky crash keeps everything', () => {
  const disk = memoryDisk();
  disk.open('/a', 'create').write(Buffer.from('all'), 0);
  disk.crash('keep');
  expect(text(disk.readWhole('/a'))).toBe('all');
});

test('a created, renamed or removed name survives a power loss only after the directory was synced', () => {
  const disk = memoryDisk();
  const make = (path: string): void => {
    const file = disk.open(path, 'create');
    file.write(Buffer.from(path), 0);
    file.sync();
  };
  make('/old');
  disk.syncDirectory('/');
  make('/never-synced');
  disk.rename('/old', '/new');
  disk.crash();
  expect(disk.list('/').map((entry) => entry.name)).toEqual(['old']);
  disk.remove('/old');
  disk.crash();
  expect(disk.exists('/old')).toBe(true);
  disk.remove('/old');
  disk.syncDirectory('/');
  disk.crash();
  expect(disk.exists('/old')).toBe(false);
});

test('replaceWhole survives a power loss with the new content', () => {
  const disk = memoryDisk();
  disk.replaceWhole('/side', Buffer.from('1'));
  disk.replaceWhole('/side', Buffer.from('2'));
  disk.crash();
  expect(text(disk.readWhole('/side'))).toBe('2');
});

test('a failure asked for hits one write with that code and leaves the content as it was', () => {
  const disk = memoryDisk();
  const file = disk.open('/a', 'create');
  disk.failNext('ENOSPC');
  expect(() => file.write(Buffer.from('x'), 0)).toThrow('ENOSPC');
  expect(file.size()).toBe(0);
  file.write(Buffer.from('x'), 0);
  expect(file.size()).toBe(1);
});

test('a directory survives a power loss only after the one it stands in was synced, and takes its files with it', () => {
  const disk = memoryDisk();
  disk.makeDirectory('/d/e');
  disk.replaceWhole('/d/e/file', Buffer.from('1'));
  disk.syncDirectory('/d');
  disk.crash();
  expect(disk.exists('/d')).toBe(false);
  disk.makeDirectory('/d/e');
  disk.replaceWhole('/d/e/file', Buffer.from('1'));
  disk.syncDirectory('/d');
  disk.syncDirectory('/');
  disk.crash();
  expect(text(disk.readWhole('/d/e/file'))).toBe('1');
});

test('a sync that was begun covers what was written before it, and nothing if the power fails before its end', async () => {
  const disk = memoryDisk();
  const file = disk.open('/a', 'create');
  disk.syncDirectory('/');
  file.write(Buffer.from('one.'), 0);
  const sync = file.syncLater();
  file.write(Buffer.from('two.'), 4);
  await sync;
  disk.crash();
  expect(text(disk.readWhole('/a'))).toBe('one.');
  const again = disk.open('/a', 'open');
  again.write(Buffer.from('three'), 4);
  const lost = again.syncLater();
  disk.crash();
  await expect(lost).rejects.toThrow('EBADF');
  expect(text(disk.readWhole('/a'))).toBe('one.');
});

test('under chance, unsynced writes come and go each for itself, whole or cut, and the same seed gives the same disk', () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const outcomes = [seed, seed].map((same) => {
      const disk = memoryDisk();
      const file = disk.open('/a', 'create');
      file.write(Buffer.from('safe'), 0);
      file.sync();
      disk.syncDirectory('/');
      file.write(Buffer.from('AA'), 4);
      file.write(Buffer.from('BB'), 6);
      disk.open('/b', 'create');
      disk.open('/c', 'create');
      disk.crash(seededChance(same));
      return `${text(disk.readWhole('/a'))} ${disk.list('/').length}`;
    });
    expect(outcomes[0]).toBe(outcomes[1]);
    seen.add(outcomes[0] as string);
  }
  const files = [...seen].map((outcome) => outcome.split(' '));
  for (const content of ['safe', 'safeAA', 'safeAABB', 'safe\0\0BB', 'safeA']) expect(files.map(([found]) => found)).toContain(content);
  for (const [content, names] of files) expect([content?.startsWith('safe'), ['1', '2', '3'].includes(names as string)]).toEqual([true, true]);
  expect(new Set(files.map(([, names]) => names)).size).toBe(3);
});

test('a sync that takes its time covers what was written when it began, and a power loss before its end takes that', async () => {
  const disk = memoryDisk();
  const file = disk.open('/a', 'create');
  disk.syncDirectory('/');
  const ends: (() => void)[] = [];
  disk.syncsTake(() => new Promise((resolve) => ends.push(resolve)));
  file.write(Buffer.from('one.'), 0);
  const first = file.syncLater();
  file.write(Buffer.from('two.'), 4);
  ends.shift()?.();
  await first;
  const second = file.syncLater();
  disk.crash();
  ends.shift()?.();
  await expect(second).rejects.toThrow('EBADF');
  expect(text(disk.readWhole('/a'))).toBe('one.');
});
