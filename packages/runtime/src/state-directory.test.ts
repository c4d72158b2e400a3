import { memoryDisk, seededChance } from '@millrace/core';
import { expect, test } from 'vitest';
import { openStateDirectory } from './state-directory.ts';

const options = { stateDir: '/data', applicationId: 'app', instanceId: undefined };

test('two instances of one folder get a place each, and a later one takes over the place of one that has ended', () => {
  const disk = memoryDisk();
  const first = openStateDirectory(options, disk, seededChance(1));
  const second = openStateDirectory(options, disk, seededChance(2));
  expect(second.instanceId).not.toBe(first.instanceId);
  first.release();
  expect(openStateDirectory(options, disk, seededChance(3)).instanceId).toBe(first.instanceId);
});

test('a new folder that another starting instance takes before it is locked is left to it', () => {
  const disk = memoryDisk();
  let locked = 0;
  const seenByAnother = { ...disk, lock: (path: string) => (locked++ === 0 ? undefined : disk.lock(path)) };
  const directory = openStateDirectory(options, seenByAnother, seededChance(1));
  expect(locked).toBe(2);
  expect(disk.lock(disk.join(directory.path, 'lock'))).toBeUndefined();
});

test('a named instance that is running is refused with what to do', () => {
  const disk = memoryDisk();
  openStateDirectory({ ...options, instanceId: 'orders-0' }, disk, seededChance(1));
  expect(() => openStateDirectory({ ...options, instanceId: 'orders-0' }, disk, seededChance(1))).toThrow(/'orders-0' is already running.*another instanceId/);
});

test('the member id of a process that did not leave is found by the next one', () => {
  const disk = memoryDisk();
  const first = openStateDirectory(options, disk, seededChance(1));
  first.keepMember('member-7');
  first.release();
  const next = openStateDirectory(options, disk, seededChance(1));
  expect(next.lastMember).toBe('member-7');
  next.keepMember(undefined);
  next.release();
  expect(openStateDirectory(options, disk, seededChance(1)).lastMember).toBeUndefined();
});

test('a disk that takes no notes any more does not end the program; an older note is not believed then', () => {
  const disk = memoryDisk();
  const full = { now: false };
  const first = openStateDirectory(
    options,
    {
      ...disk,
      replaceWhole(path, bytes) {
        if (full.now) throw new Error('ENOSPC: no space left on device, write');
        disk.replaceWhole(path, bytes);
      },
    },
    seededChance(1),
  );
  first.keepMember('member-7');
  full.now = true;
  first.keepMember('member-8');
  first.keepDeliveries('[]');
  first.release();
  expect(openStateDirectory(options, disk, seededChance(1)).lastMember).toBeUndefined();
});

test('state of another format is refused, not guessed at', () => {
  const disk = memoryDisk();
  const first = openStateDirectory(options, disk, seededChance(1));
  first.release();
  disk.replaceWhole(disk.join(first.path, 'format'), Buffer.from('millrace-state 9\n'));
  expect(() => openStateDirectory(options, disk, seededChance(1))).toThrow(/written by another version/);
});

test('a path that is a file is refused with the path and the fix', () => {
  const disk = memoryDisk();
  disk.makeDirectory('/data');
  disk.replaceWhole('/data/app', Buffer.from('x'));
  expect(() => openStateDirectory(options, disk, seededChance(1))).toThrow(/state directory .*app cannot be used.*stateDir/);
});

test('what is quarantined is kept, the newest two of a task', () => {
  const disk = memoryDisk();
  const directory = openStateDirectory(options, disk, seededChance(1));
  const places: string[] = [];
  for (const stamp of [100, 200, 1000]) {
    disk.makeDirectory(directory.taskPath('0_1'));
    places.push(directory.quarantine('0_1', stamp));
  }
  expect(places.map((path) => disk.exists(path))).toEqual([false, true, true]);
  expect(directory.storedTasks()).toEqual([]);
});

test('what cannot be put aside is told with its folder; an older one that cannot be removed is no trouble', () => {
  const disk = memoryDisk();
  const readOnly = { rename: false, remove: false };
  const refuse = (): never => {
    throw new Error('EROFS: read-only file system');
  };
  const directory = openStateDirectory(
    options,
    {
      ...disk,
      rename: (from, to) => (readOnly.rename ? refuse() : disk.rename(from, to)),
      remove: (path) => (readOnly.remove ? refuse() : disk.remove(path)),
    },
    seededChance(1),
  );
  readOnly.remove = true;
  for (const stamp of [100, 200, 1000]) {
    disk.makeDirectory(directory.taskPath('0_1'));
    directory.quarantine('0_1', stamp);
  }
  readOnly.rename = true;
  disk.makeDirectory(directory.taskPath('0_1'));
  expect(() => directory.quarantine('0_1', 2000)).toThrow(/local state .*tasks.0_1 of task 0_1 cannot be used and could not be put aside: EROFS/);
});
