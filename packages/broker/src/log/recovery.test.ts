import { type Disk, type MemoryDisk, memoryDisk } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { appendSpec, appendValues, DIRECTORY, marker, openLog, readAll } from '../testing/log-fixture.ts';

const SMALL = { 'segment.bytes': '1024' };
const logFiles = (disk: MemoryDisk): string[] =>
  disk
    .list(DIRECTORY)
    .map(({ name }) => name)
    .filter((name) => name.endsWith('.log'));
const pathOf = (name: string): string => `${DIRECTORY}/${name}`;

function flipByte(disk: MemoryDisk, name: string, position: number): void {
  const file = disk.open(pathOf(name), 'open');
  const byte = Buffer.alloc(1);
  file.read(byte, 0, 1, position);
  byte[0] = (byte[0] as number) ^ 0x40;
  file.write(byte, position);
  file.close();
}

describe('after a clean close', () => {
  test('nothing is scanned and everything is as it was', () => {
    const disk = memoryDisk();
    const first = openLog({ disk, config: SMALL }).log;
    for (let at = 0; at < 50; at++) appendSpec(first, { records: [['k', `v${at}`]], producerId: 5, sequence: at });
    appendSpec(first, { records: [['k', 'open']], producerId: 6, transactional: true });
    const before = readAll(first);
    first.close();
    const { log, scannedBytes } = openLog({ disk, config: SMALL });
    expect(scannedBytes).toBe(0);
    expect(readAll(log)).toEqual(before);
    expect(log.lastStableOffset).toBe(50);
    expect(appendSpec(log, { records: [['k', 'v49']], producerId: 5, sequence: 49 })).toMatchObject({ kind: 'duplicate', baseOffset: 49 });
  });

  test('opened and closed again without an append, the files stay as they are', () => {
    const disk = memoryDisk();
    const first = openLog({ disk }).log;
    appendValues(first, 'a');
    first.close();
    const second = openLog({ disk }).log;
    const before = disk.readWhole(pathOf('00000000000000000000.index'));
    disk.failNext('EIO');
    expect(() => second.close()).not.toThrow();
    expect(disk.readWhole(pathOf('00000000000000000000.index'))).toEqual(before);
  });

  test('a side file that is gone or damaged only costs a scan', () => {
    for (const suffix of ['.index', '.snapshot']) {
      const disk = memoryDisk();
      const first = openLog({ disk, config: SMALL }).log;
      for (let at = 0; at < 50; at++) appendSpec(first, { records: [['k', `v${at}`]], producerId: 5, sequence: at });
      first.close();
      for (const { name } of disk.list(DIRECTORY)) if (name.endsWith(suffix)) flipByte(disk, name, 6);
      const { log, scannedBytes } = openLog({ disk, config: SMALL });
      expect(scannedBytes, suffix).toBeGreaterThan(0);
      expect(readAll(log).length, suffix).toBe(50);
      expect(appendSpec(log, { records: [['k', 'v49']], producerId: 5, sequence: 49 }), suffix).toMatchObject({ kind: 'duplicate' });
    }
  });
});

describe('after a kill', () => {
  test('the last batch cut at any byte is dropped whole, and only it', () => {
    const written = memoryDisk();
    const first = openLog({ disk: written }).log;
    appendValues(first, 'a', 'b');
    const keptBytes = first.sizeBytes;
    appendSpec(first, {
      records: [
        ['k', 'c'],
        ['k', 'd'],
      ],
    });
    const total = first.sizeBytes;
    const name = logFiles(written)[0] as string;
    const whole = Buffer.from(written.readWhole(pathOf(name)));
    for (let size = keptBytes; size < total; size++) {
      const disk = memoryDisk();
      disk.makeDirectory(DIRECTORY);
      disk.replaceWhole(pathOf(name), whole.subarray(0, size));
      const { log, damage } = openLog({ disk, clean: false, leaderEpoch: 1 });
      expect(readAll(log), `cut at ${size}`).toEqual(['0:k=a', '1:k=b']);
      expect(damage === undefined, `cut at ${size}`).toBe(size === keptBytes);
      expect(appendSpec(log, { records: [['k', 'e']] })).toMatchObject({ baseOffset: 2 });
      expect(readAll(log)).toEqual(['0:k=a', '1:k=b', '2:k=e']);
    }
  });

  test('any flipped byte of a batch body ends the log there, and later segments go', () => {
    const disk = memoryDisk();
    const first = openLog({ disk, config: SMALL }).log;
    appendValues(first, ...Array.from({ length: 60 }, (_, at) => `value-${at}`));
    disk.kill();
    const names = logFiles(disk);
    expect(names.length).toBeGreaterThan(3);
    flipByte(disk, names[1] as string, 70); // inside the first batch of the second segment
    for (const { name } of disk.list(DIRECTORY)) if (name.endsWith('.snapshot') || name === 'state') disk.remove(pathOf(name)); // nothing vouches for it
    const { log, damage } = openLog({ disk, config: SMALL, clean: false });
    expect(damage).toContain('checksum');
    expect(log.logEnd).toBe(Number((names[1] as string).slice(0, 20)));
    expect(logFiles(disk)).toEqual(names.slice(0, 2));
  });

  test('producers, open transactions and aborted transactions are what they were', () => {
    for (const rolled of [false, true]) {
      const disk = memoryDisk();
      const first = openLog({ disk, config: SMALL }).log;
      for (let at = 0; at < 5; at++) appendSpec(first, { records: [['k', `v${at}`]], producerId: 5, sequence: at });
      appendSpec(first, { records: [['x', '1']], producerId: 7, transactional: true }); // 5
      if (rolled) first.roll();
      first.appendMarker(marker(7, false), 1000); // 6
      appendSpec(first, { records: [['y', '1']], producerId: 8, transactional: true }); // 7
      if (rolled) first.roll();
      appendValues(first, 'z'); // 8
      disk.kill();
      const { log } = openLog({ disk, config: SMALL, clean: false, leaderEpoch: 1 });
      expect(log.logEnd).toBe(9);
      expect(log.lastStableOffset).toBe(7);
      expect(log.abortedIn(0, 9)).toEqual([{ producerId: 7, firstOffset: 5, lastOffset: 6 }]);
      expect(appendSpec(log, { records: [['k', 'v2']], producerId: 5, sequence: 2 })).toMatchObject({ kind: 'duplicate', baseOffset: 2 });
      expect(appendSpec(log, { records: [['k', 'v6']], producerId: 5, sequence: 6 })).toMatchObject({ kind: 'refused', code: 45 });
    }
  });

  test('finished segments that were synced are not read again', async () => {
    const disk = memoryDisk();
    const first = openLog({ disk, config: SMALL }).log;
    appendValues(first, ...Array.from({ length: 60 }, (_, at) => `value-${at}`));
    await new Promise((resolve) => setImmediate(resolve)); // the syncs that follow a roll
    const total = first.sizeBytes;
    disk.kill();
    const { log, scannedBytes } = openLog({ disk, config: SMALL, clean: false });
    expect(scannedBytes).toBeLessThan(total / 2);
    expect(readAll(log).length).toBe(60);
  });

  test('a second kill during the first start after one loses nothing either', () => {
    const disk = memoryDisk();
    appendValues(openLog({ disk, config: SMALL }).log, ...Array.from({ length: 30 }, (_, at) => `value-${at}`));
    disk.kill();
    openLog({ disk, config: SMALL, clean: false, leaderEpoch: 1 });
    disk.kill();
    expect(readAll(openLog({ disk, config: SMALL, clean: false, leaderEpoch: 2 }).log).length).toBe(30);
  });

  test('a log closed cleanly several times in one segment still recovers its producers without reading it all', () => {
    const disk = memoryDisk();
    for (let round = 0; round < 4; round++) {
      const { log } = openLog({ disk, config: SMALL });
      for (let at = 0; at < 8; at++) appendSpec(log, { records: [['k', 'v']], producerId: 5, sequence: round * 8 + at });
      log.close();
    }
    const { log } = openLog({ disk, config: SMALL });
    appendSpec(log, { records: [['k', 'v']], producerId: 5, sequence: 32 });
    const total = log.sizeBytes;
    disk.kill();
    const again = openLog({ disk, config: SMALL, clean: false });
    expect(again.scannedBytes).toBeLessThan(total);
    expect(appendSpec(again.log, { records: [['k', 'v']], producerId: 5, sequence: 32 })).toMatchObject({ kind: 'duplicate', baseOffset: 32 });
  });
});

describe('after a power loss', () => {
  test.each(['drop', 'tear'] as const)('with fsync, what was reported durable is there (%s)', async (unsynced) => {
    const disk = memoryDisk();
    const { log, host } = openLog({ disk, config: SMALL, fsync: 'perBatchGroup' });
    appendValues(log, ...Array.from({ length: 40 }, (_, at) => `value-${at}`));
    await host.syncs.durable();
    appendValues(log, 'not acknowledged');
    disk.crash(unsynced);
    const again = openLog({ disk, config: SMALL, clean: false, leaderEpoch: 1 }).log;
    expect(readAll(again).slice(0, 40)).toEqual(Array.from({ length: 40 }, (_, at) => `${at}:k=value-${at}`));
  });

  test('the raised epoch begins where the lost tail began, so a reader past it is told', () => {
    const disk = memoryDisk();
    const { log, host } = openLog({ disk });
    appendValues(log, 'a', 'b');
    host.files.file(log.segments[0]?.logPath as string).sync();
    disk.syncDirectory(DIRECTORY);
    appendValues(log, 'c', 'd', 'e');
    disk.crash('drop');
    const again = openLog({ disk, clean: false, leaderEpoch: 1 }).log;
    expect(again.logEnd).toBe(2);
    appendValues(again, 'other');
    expect(again.endOfEpoch(0)).toEqual({ epoch: 0, startOffset: 2 });
    expect(again.endOfEpoch(1)).toEqual({ epoch: 1, startOffset: 3 });
    expect(again.epochAt(1)).toBe(0);
    expect(again.epochAt(2)).toBe(1);
  });
});

test('with fsync, what a killed process had only in the page cache is synced before a duplicate of it is acknowledged', async () => {
  const disk = memoryDisk();
  const first = openLog({ disk, fsync: 'perBatchGroup' }).log;
  appendSpec(first, { records: [['k', 'v']], producerId: 5 }); // never acknowledged: the process dies before the sync
  disk.kill();
  const { log, host } = openLog({ disk, clean: false, leaderEpoch: 1, fsync: 'perBatchGroup' });
  expect(appendSpec(log, { records: [['k', 'v']], producerId: 5 })).toMatchObject({ kind: 'duplicate' });
  await host.syncs.durable();
  disk.crash('drop');
  expect(readAll(openLog({ disk, clean: false, leaderEpoch: 2 }).log)).toEqual(['0:k=v']);
});

test('a tail that was cut off does not come back behind what is appended next', () => {
  const disk = memoryDisk();
  const { log: first, host } = openLog({ disk });
  appendValues(first, 'a', 'b', 'c');
  flipByte(disk, logFiles(disk)[0] as string, first.sizeBytes / 3 + 62); // b is damaged, c behind it is not
  host.files.file(first.segments[0]?.logPath as string).sync();
  disk.syncDirectory(DIRECTORY);
  disk.kill();
  expect(readAll(openLog({ disk, clean: false, leaderEpoch: 1 }).log)).toEqual(['0:k=a']);
  disk.crash('drop');
  const file = disk.open(pathOf(logFiles(disk)[0] as string), 'open');
  expect(file.size()).toBe(first.sizeBytes / 3);
});

test.each([1, 3])('flush.messages=%d asks for the device after so many records, segment by segment, though the broker does not', async (every) => {
  const disk = memoryDisk();
  const { log, host } = openLog({ disk, config: { ...SMALL, 'flush.messages': String(every) } });
  for (let at = 0; at < 40; at++) {
    appendSpec(log, { records: [['k', `value-${at}`]] });
    await host.syncs.durable();
  }
  const flushed = 40 - (40 % every);
  disk.crash('drop');
  const again = openLog({ disk, config: SMALL, clean: false, leaderEpoch: 1 }).log;
  expect(readAll(again).slice(0, flushed)).toEqual(Array.from({ length: flushed }, (_, at) => `${at}:k=value-${at}`));
});

describe('a sync of a finished segment that fails', () => {
  /** A disk on which the first syncs of the first segment fail: the system tells an error once, and drops the pages. */
  function forgetful(failures: number) {
    const memory = memoryDisk();
    let left = failures;
    const open: Disk['open'] = (path, mode) => {
      const file = memory.open(path, mode);
      if (!path.endsWith('/00000000000000000000.log')) return file;
      return { ...file, syncLater: () => (left-- > 0 ? Promise.reject(new Error('EIO')) : file.syncLater()) };
    };
    return { memory, disk: { ...memory, open } };
  }
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test('keeps the recovery point where it is, whatever was synced later', async () => {
    const { memory, disk } = forgetful(1);
    const first = openLog({ disk, config: SMALL }).log;
    appendValues(first, ...Array.from({ length: 60 }, (_, at) => `value-${at}`));
    await turn();
    memory.kill();
    flipByte(memory, logFiles(memory)[0] as string, 70); // what the power loss left of it
    const { log, damage } = openLog({ disk: memory, config: SMALL, clean: false });
    expect(damage).toContain('checksum');
    expect(readAll(log)).toEqual([]);
  });

  test('ends all promises where acknowledgements wait for the device', async () => {
    const { disk } = forgetful(1);
    const { log, host } = openLog({ disk, config: SMALL, fsync: 'perBatchGroup' });
    appendValues(log, ...Array.from({ length: 20 }, (_, at) => `value-${at}`));
    await turn();
    await expect(host.syncs.durable()).rejects.toThrow('EIO');
  });
});
