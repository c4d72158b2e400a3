import { expect, test } from 'vitest';
import { memoryDisk } from './memory-disk.ts';

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
