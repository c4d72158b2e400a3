// Files that have rotted under a clean mark: nobody scans them at the start, so reading must find out.
import { type Disk, type DiskFile, MillraceError, memoryDisk } from '@millrace/core';
import { crc32c } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { appendValues, DIRECTORY, openLog, readAll } from '../testing/log-fixture.ts';
import { logFileName } from './file-names.ts';
import { ProducerState } from './producer-state.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts';

/** A log of three batches of one size, closed cleanly, whose file `rot` then changes. */
function rottenDisk(rot: (file: DiskFile, batchBytes: number) => void): Disk {
  const disk = memoryDisk();
  const { log } = openLog({ disk });
  appendValues(log, 'a', 'b', 'c');
  const batchBytes = log.read(0, 1, 1, true).bytes.length;
  log.close();
  const file = disk.open(disk.join(DIRECTORY, logFileName(0)), 'open');
  rot(file, batchBytes);
  file.close();
  return disk;
}

/** With another length in the second batch. */
const withLength = (length: (was: number) => number): Disk =>
  rottenDisk((file, batchBytes) => {
    const field = Buffer.alloc(4);
    file.read(field, 0, 4, batchBytes + 8);
    field.writeInt32BE(length(field.readInt32BE(0)));
    file.write(field, batchBytes + 8);
  });
const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'no error';
  } catch (error) {
    return MillraceError.is(error) ? error.code : String(error);
  }
};

test.each<[string, (was: number) => number]>([
  ['to stand still', () => -12],
  ['to run backwards', () => -1_000],
  ['of less than a header', () => 5],
  ['beyond the file', (was) => was * 100],
  ['of two gigabytes', () => 0x7fff_ffff],
])('a length %s is told as damage, by reads and by lookups', (_, length) => {
  const { log } = openLog({ disk: withLength(length), clean: true });
  expect(log.logEnd).toBe(3);
  expect(codeOf(() => readAll(log))).toBe('ERR_RECORD_BATCH_CORRUPT');
  expect(codeOf(() => log.read(2, 3, 1_000, true))).toBe('ERR_RECORD_BATCH_CORRUPT');
  expect(codeOf(() => log.offsetForTime(2_000_000, 3))).toMatch(/no error|ERR_RECORD_BATCH_CORRUPT/);
});

test('a first offset that goes back is told as damage: a reader would go round in a circle', () => {
  const disk = rottenDisk((file, batchBytes) => file.write(Buffer.alloc(8), batchBytes)); // its checksum does not cover it
  const rotten = openLog({ disk, clean: true }).log;
  expect(codeOf(() => readAll(rotten))).toBe('ERR_RECORD_BATCH_CORRUPT');
  expect(rotten.read(0, 3, 1, true).nextOffset).toBe(1);
  expect(codeOf(() => rotten.read(0, 3, 1_000, true))).toBe('ERR_RECORD_BATCH_CORRUPT');
});

test.each([0, 1, 2])('a first offset past the log end, in batch %i, is told as damage: a reader would wait for ever for what is there', (batch) => {
  const disk = rottenDisk((file, batchBytes) => file.write(Buffer.from([1]), batch * batchBytes));
  const rotten = openLog({ disk, clean: true }).log;
  expect(codeOf(() => readAll(rotten))).toBe('ERR_RECORD_BATCH_CORRUPT');
  expect(codeOf(() => rotten.read(batch, 3, 1, true))).toBe('ERR_RECORD_BATCH_CORRUPT');
});

test.each([1, 2])('a last offset before the first, in batch %i, is told as damage to a reader that comes anew, not passed over', (batch) => {
  const disk = rottenDisk((file, batchBytes) => file.write(Buffer.from([0x80]), batch * batchBytes + 23));
  const rotten = openLog({ disk, clean: true }).log;
  expect(codeOf(() => rotten.read(batch, 3, 1, true))).toBe('ERR_RECORD_BATCH_CORRUPT');
});

test('an unclean start scans, and cuts the log where it is damaged', () => {
  const { log, damage } = openLog({ disk: withLength(() => -12), clean: false });
  expect(damage).toBeDefined();
  expect(readAll(log)).toEqual(['0:k=a']);
});

test('a snapshot whose checksum fits and whose content makes no sense is as good as none', () => {
  for (const text of ['', '{', 'null', '[]', '{"version":1}', '{"version":1,"offset":3,"producers":7}']) {
    const bytes = Buffer.alloc(4 + text.length);
    bytes.write(text, 4);
    bytes.writeUInt32BE(crc32c(bytes, 4, bytes.length), 0);
    expect(decodeSnapshot(bytes)).toBeUndefined();
  }
  expect(decodeSnapshot(encodeSnapshot(3, new ProducerState(), []))?.offset).toBe(3);
});
