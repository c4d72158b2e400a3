import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nodeDisk } from './node-disk.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-disk-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a directory is made with its parents, for its user alone, and may be there already', () => {
  const deep = join(folder, 'a', 'b', 'c');
  nodeDisk.makeDirectory(deep);
  nodeDisk.makeDirectory(deep);
  expect(statSync(deep).isDirectory()).toBe(true);
  if (process.platform !== 'win32') expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o700);
});

test('a file where the directory should be, or above it, is what the system says', () => {
  writeFileSync(join(folder, 'file'), '');
  expect(() => nodeDisk.makeDirectory(join(folder, 'file'))).toThrow(/EEXIST/);
  expect(() => nodeDisk.makeDirectory(join(folder, 'file', 'below'))).toThrow(/ENOTDIR/);
});

test.skipIf(!existsSync('/proc/self'))('where nothing can be made it is refused, not tried for ever', () => {
  expect(() => nodeDisk.makeDirectory('/proc/millrace')).toThrow(/ENOENT|EACCES/);
  expect(() => nodeDisk.makeDirectory('/proc/millrace/deeper')).toThrow(/ENOENT|EACCES/);
});
