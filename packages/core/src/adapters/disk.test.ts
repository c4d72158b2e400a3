// One suite for every disk: what the broker's log and the side files rely on.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Disk } from '../disk.ts';
import { memoryDisk } from './memory-disk.ts';
import { nodeDisk } from './node-disk.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const codeOf = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
  return 'no error';
};

const disks: readonly { name: string; make: () => { disk: Disk; root: string; clean: () => void } }[] = [
  {
    name: 'node disk',
    make() {
      const root = mkdtempSync(join(tmpdir(), 'millrace-disk-'));
      return { disk: nodeDisk, root, clean: () => rmSync(root, { recursive: true, force: true }) };
    },
  },
  {
    name: 'memory disk',
    make() {
      const disk = memoryDisk();
      disk.makeDirectory('/root');
      return { disk, root: '/root', clean() {} };
    },
  },
];

describe.each(disks)('$name', ({ make }) => {
  let disk: Disk;
  let root: string;
  let clean: () => void;
  beforeEach(() => {
    ({ disk, root, clean } = make());
  });
  afterEach(() => clean());
  const at = (...parts: string[]): string => disk.join(root, ...parts);

  test('bytes written at a position are read back from it, and a gap reads as zeros', () => {
    const file = disk.open(at('a'), 'create');
    file.write(Buffer.from('abc'), 0);
    file.write(Buffer.from('xy'), 5);
    const target = Buffer.alloc(10, 0x2e);
    expect(file.read(target, 1, 9, 0)).toBe(7);
    expect([...target]).toEqual([0x2e, 0x61, 0x62, 0x63, 0, 0, 0x78, 0x79, 0x2e, 0x2e]);
    expect(file.size()).toBe(7);
    expect(file.read(target, 0, 4, 100)).toBe(0);
    file.close();
  });

  test('several pieces are written one after another, empty ones included', () => {
    const file = disk.open(at('a'), 'create');
    file.writeAll([Buffer.from('one '), Buffer.alloc(0), Buffer.from('two '), Buffer.from('three')], 2);
    file.writeAll([], 0);
    expect(text(disk.readWhole(at('a')))).toBe('\0\0one two three');
    file.close();
  });

  test('more pieces than one system call takes are all written', () => {
    const file = disk.open(at('a'), 'create');
    file.writeAll(
      Array.from({ length: 3000 }, (_, index) => Buffer.from([index & 0xff])),
      0,
    );
    const bytes = disk.readWhole(at('a'));
    expect(bytes.length).toBe(3000);
    expect(bytes[2999]).toBe(2999 & 0xff);
    file.close();
  });

  test('open modes: create refuses what is there, open and read refuse what is not, openOrCreate keeps content', () => {
    expect(codeOf(() => disk.open(at('a'), 'open'))).toBe('ENOENT');
    expect(codeOf(() => disk.open(at('a'), 'read'))).toBe('ENOENT');
    const file = disk.open(at('a'), 'create');
    file.write(Buffer.from('kept'), 0);
    file.close();
    expect(codeOf(() => disk.open(at('a'), 'create'))).toBe('EEXIST');
    disk.open(at('a'), 'openOrCreate').close();
    expect(text(disk.readWhole(at('a')))).toBe('kept');
    const reader = disk.open(at('a'), 'read');
    expect(codeOf(() => reader.write(Buffer.from('x'), 0))).toBe('EBADF');
    reader.close();
    expect(codeOf(() => disk.open(at('no', 'where'), 'create'))).toBe('ENOENT');
  });

  test('truncate cuts, and what is written behind it later does not bring old bytes back', () => {
    const file = disk.open(at('a'), 'create');
    file.write(Buffer.from('abcdef'), 0);
    file.truncate(2);
    expect(file.size()).toBe(2);
    file.write(Buffer.from('z'), 4);
    expect([...disk.readWhole(at('a'))]).toEqual([0x61, 0x62, 0, 0, 0x7a]);
    file.close();
  });

  test('sync and syncLater succeed on an open file; closing twice is harmless', async () => {
    const file = disk.open(at('a'), 'create');
    file.write(Buffer.from('a'), 0);
    file.sync();
    await file.syncLater();
    file.close();
    file.close();
  });

  test('directories: made with parents, listed by name, removed with content; removing what is not there is fine', () => {
    disk.makeDirectory(at('d', 'e', 'f'));
    disk.makeDirectory(at('d', 'e'));
    disk.open(at('d', 'b'), 'create').close();
    disk.open(at('d', 'a'), 'create').close();
    expect(disk.list(at('d'))).toEqual([
      { name: 'a', directory: false },
      { name: 'b', directory: false },
      { name: 'e', directory: true },
    ]);
    disk.syncDirectory(at('d'));
    disk.remove(at('d'));
    disk.remove(at('d'));
    expect(disk.exists(at('d'))).toBe(false);
    expect(disk.exists(at('d', 'e', 'f'))).toBe(false);
    expect(codeOf(() => disk.list(at('d')))).toBe('ENOENT');
  });

  test('rename replaces a file and moves a directory with what is in it', () => {
    disk.replaceWhole(at('old'), Buffer.from('old'));
    disk.replaceWhole(at('new'), Buffer.from('new'));
    disk.rename(at('new'), at('old'));
    expect(text(disk.readWhole(at('old')))).toBe('new');
    expect(disk.exists(at('new'))).toBe(false);
    disk.makeDirectory(at('d', 'e'));
    disk.replaceWhole(at('d', 'e', 'x'), Buffer.from('x'));
    disk.rename(at('d'), at('moved'));
    expect(text(disk.readWhole(at('moved', 'e', 'x')))).toBe('x');
    expect(disk.exists(at('d'))).toBe(false);
    expect(codeOf(() => disk.rename(at('nothing'), at('x')))).toBe('ENOENT');
  });

  test('replaceWhole leaves the new content and no temporary file, whatever lay there before', () => {
    disk.replaceWhole(at('side'), Buffer.from('a longer first version'));
    disk.replaceWhole(at('side'), Buffer.from('second'));
    expect(text(disk.readWhole(at('side')))).toBe('second');
    expect(disk.list(root).map((entry) => entry.name)).toEqual(['side']);
  });

  test('a lock is held once, free after release, and a second release takes nothing from the next holder', () => {
    const first = disk.lock(at('lock'));
    expect(first).toBeDefined();
    expect(disk.lock(at('lock'))).toBeUndefined();
    first?.release();
    const second = disk.lock(at('lock'));
    expect(second).toBeDefined();
    first?.release();
    expect(disk.lock(at('lock'))).toBeUndefined();
    second?.release();
    expect(disk.lock(at('other'))).toBeDefined();
  });
});

test.skipIf(process.platform === 'win32')('what the node disk creates is its user’s alone', () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-modes-'));
  try {
    const directory = join(root, 'made');
    nodeDisk.makeDirectory(directory);
    nodeDisk.replaceWhole(join(directory, 'whole'), Buffer.from('x'));
    nodeDisk.open(join(directory, 'opened'), 'openOrCreate').close();
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const file of ['whole', 'opened']) expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
