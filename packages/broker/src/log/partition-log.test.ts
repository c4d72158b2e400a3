import { memoryDisk } from '@millrace/core';
import { RecordReader } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { appendSpec, appendValues, clientBatch, marker, openLog, readAll, viewOf } from '../testing/log-fixture.ts';

const SMALL = { 'segment.bytes': '1024' };

describe('appending and reading', () => {
  test('offsets are dense and reading gives back every record, over segment boundaries', () => {
    const { log } = openLog({ config: SMALL });
    const values = Array.from({ length: 100 }, (_, at) => `value-${at}`);
    appendValues(log, ...values);
    expect(log.segments.length).toBeGreaterThan(3);
    expect(readAll(log)).toEqual(values.map((value, at) => `${at}:k=${value}`));
  });

  test('a read may begin inside a batch: the whole batch comes', () => {
    const { log } = openLog();
    appendSpec(log, {
      records: [
        ['a', '1'],
        ['b', '2'],
        ['c', '3'],
      ],
    });
    const read = log.read(1, log.logEnd, 1_000, true);
    expect(viewOf(read.bytes).baseOffset).toBe(0);
    expect(read.nextOffset).toBe(3);
  });

  test('a read holds whole batches within its limit, the first one even beyond it', () => {
    const { log } = openLog();
    appendValues(log, 'x'.repeat(500), 'y'.repeat(500), 'z'.repeat(500));
    expect(log.read(0, log.logEnd, 10, true).nextOffset).toBe(1);
    expect(log.read(0, log.logEnd, 10, false)).toMatchObject({ nextOffset: 0, bytes: { length: 0 } });
    expect(log.read(0, log.logEnd, 1_300, true).nextOffset).toBe(2);
  });

  test('a reader at the end of a segment goes on in the next one after a roll', () => {
    const { log } = openLog();
    appendValues(log, 'first');
    expect(log.read(0, log.logEnd, 1_000, true).nextOffset).toBe(1);
    log.roll();
    appendValues(log, 'second');
    expect(log.read(1, log.logEnd, 1_000, true).nextOffset).toBe(2);
  });

  test('many batches are found by offset through the index', () => {
    const { log } = openLog();
    for (let at = 0; at < 500; at++) appendSpec(log, { records: [['k', `${at}-${'p'.repeat(100)}`]] });
    for (const offset of [0, 1, 37, 250, 499]) expect(viewOf(log.read(offset, log.logEnd, 200, true).bytes.subarray(0, 180)).baseOffset).toBe(offset);
  });

  test('when the disk refuses a write, nothing has changed and the next write succeeds', () => {
    const disk = memoryDisk();
    const { log } = openLog({ disk });
    appendValues(log, 'a');
    disk.failNext('ENOSPC');
    expect(appendSpec(log, { records: [['k', 'b']], producerId: 7 })).toMatchObject({ kind: 'refused', code: 56 });
    expect(log.logEnd).toBe(1);
    expect(appendSpec(log, { records: [['k', 'b']], producerId: 7 })).toMatchObject({ kind: 'appended', baseOffset: 1 });
    expect(readAll(log)).toEqual(['0:k=a', '1:k=b']);
  });

  test('watchers hear of appends, markers and the close', () => {
    const { log } = openLog();
    let calls = 0;
    const stop = log.watch(() => calls++);
    appendValues(log, 'a');
    log.appendMarker(marker(1, true), 1000);
    expect(calls).toBe(2);
    stop();
    appendValues(log, 'b');
    expect(calls).toBe(2);
  });
});

describe('transactions', () => {
  test('the last stable offset stays at the earliest open transaction until its marker', () => {
    const { log } = openLog();
    appendValues(log, 'plain');
    appendSpec(log, { records: [['a', '1']], producerId: 1, transactional: true });
    appendSpec(log, { records: [['b', '1']], producerId: 2, transactional: true });
    expect(log.lastStableOffset).toBe(1);
    log.appendMarker(marker(1, true), 1000);
    expect(log.lastStableOffset).toBe(2);
    log.appendMarker(marker(2, false), 1000);
    expect(log.lastStableOffset).toBe(log.logEnd);
  });

  test('a read_committed reader is told of the aborted transactions that touch its range, and only those', () => {
    const { log } = openLog();
    appendSpec(log, { records: [['a', '1']], producerId: 1, transactional: true }); // 0
    log.appendMarker(marker(1, false), 1000); // 1
    appendSpec(log, { records: [['b', '1']], producerId: 2, transactional: true }); // 2
    log.appendMarker(marker(2, true), 1000); // 3
    appendSpec(log, { records: [['c', '1']], producerId: 1, sequence: 1, transactional: true }); // 4
    log.appendMarker(marker(1, false), 1000); // 5
    expect(log.abortedIn(0, 6)).toEqual([
      { producerId: 1, firstOffset: 0, lastOffset: 1 },
      { producerId: 1, firstOffset: 4, lastOffset: 5 },
    ]);
    expect(log.abortedIn(2, 4)).toEqual([]);
    expect(log.abortedIn(5, 6)).toEqual([{ producerId: 1, firstOffset: 4, lastOffset: 5 }]);
  });

  test('an abort marker of a producer that wrote nothing here leaves no entry', () => {
    const { log } = openLog();
    log.appendMarker(marker(9, false), 1000);
    expect(log.abortedIn(0, 10)).toEqual([]);
  });

  test('a transactional batch whose partition is in no transaction is refused, but its duplicate is not', () => {
    const { log } = openLog();
    const batch = (): Buffer => clientBatch({ records: [['a', '1']], producerId: 1, transactional: true });
    expect(log.append(viewOf(batch()), 1000, false)).toMatchObject({ kind: 'refused', code: 48 });
    expect(log.append(viewOf(batch()), 1000, true)).toMatchObject({ kind: 'appended' });
    log.appendMarker(marker(1, true), 1000);
    expect(log.append(viewOf(batch()), 1000, false)).toMatchObject({ kind: 'duplicate', baseOffset: 0 });
  });
});

describe('lookups', () => {
  test('a time finds the first record at or after it, inside a batch too', () => {
    const { log } = openLog();
    appendSpec(log, {
      records: [
        ['a', '1'],
        ['b', '2'],
      ],
      timestamps: [10, 20],
    });
    appendSpec(log, {
      records: [
        ['c', '3'],
        ['d', '4'],
      ],
      timestamps: [15, 40],
    });
    expect(log.offsetForTime(11, log.logEnd)).toEqual({ offset: 1, timestampMs: 20 });
    expect(log.offsetForTime(21, log.logEnd)).toEqual({ offset: 3, timestampMs: 40 });
    expect(log.offsetForTime(41, log.logEnd)).toBeUndefined();
    expect(log.offsetForTime(0, log.logEnd)).toEqual({ offset: 0, timestampMs: 10 });
    expect(log.offsetOfMaxTimestamp()).toEqual({ offset: 3, timestampMs: 40 });
  });

  test('lookups by time agree with a search from the beginning, over segments and out-of-order times', () => {
    const { log } = openLog({ config: SMALL });
    const times = Array.from({ length: 200 }, (_, at) => (at * 7919) % 1000);
    for (const timestamp of times) appendSpec(log, { records: [['k', 'v']], timestamp });
    for (const wanted of [0, 1, 250, 500, 999]) {
      const naive = times.findIndex((time) => time >= wanted);
      expect(log.offsetForTime(wanted, log.logEnd)?.offset ?? -1).toBe(naive);
    }
  });

  test('a time below the last stable offset only, for a committed reader', () => {
    const { log } = openLog();
    appendSpec(log, { records: [['a', '1']], timestamp: 10 });
    appendSpec(log, { records: [['b', '1']], timestamp: 20, producerId: 1, transactional: true });
    expect(log.offsetForTime(15, log.lastStableOffset)).toBeUndefined();
  });
});

describe('log start', () => {
  test('raising it drops whole segments below and survives a restart', () => {
    const disk = memoryDisk();
    const { log } = openLog({ disk, config: SMALL });
    appendValues(log, ...Array.from({ length: 60 }, (_, at) => `value-${at}`));
    const before = log.segments.length;
    log.raiseLogStart(45);
    expect(log.segments.length).toBeLessThan(before);
    expect(readAll(log)[0]).toBe('45:k=value-45');
    disk.kill();
    expect(openLog({ disk, config: SMALL, clean: false }).log.logStart).toBe(45);
  });

  test('everything may go: the log is empty but its offsets go on', () => {
    const disk = memoryDisk();
    const { log } = openLog({ disk });
    appendValues(log, 'a', 'b');
    log.raiseLogStart(2);
    expect(readAll(log)).toEqual([]);
    log.close();
    const again = openLog({ disk }).log;
    expect([again.logStart, again.logEnd]).toEqual([2, 2]);
    expect(appendSpec(again, { records: [['k', 'c']] })).toMatchObject({ baseOffset: 2 });
  });
});

test('internal readers see every batch from the log start on, markers included', () => {
  const { log } = openLog({ config: SMALL });
  appendValues(log, ...Array.from({ length: 30 }, (_, at) => `value-${at}`));
  log.appendMarker(marker(1, true), 1000);
  let records = 0;
  let markers = 0;
  log.scan((batch) => {
    const reader = new RecordReader().reset(batch);
    while (reader.next()) {
      if (batch.control) markers++;
      else records++;
    }
    return true;
  });
  expect([records, markers]).toEqual([30, 1]);
});

describe('rolling by time', () => {
  test('records without a time do not begin a segment each', () => {
    const { log } = openLog({ config: { 'segment.ms': '1000' } });
    for (let at = 0; at < 5; at++) appendSpec(log, { records: [['k', `v${at}`]], timestamp: -1 }, 1_000_000 + at);
    expect(log.segments.length).toBe(1);
    appendSpec(log, { records: [['k', 'later']], timestamp: -1 }, 1_001_001);
    expect(log.segments.length).toBe(2);
  });

  test('a compacted topic rolls after max.compaction.lag.ms: its active segment would never be compacted', () => {
    for (const [policy, segments] of [
      ['compact', 2],
      ['delete', 1],
    ] as const) {
      const { log } = openLog({ config: { 'cleanup.policy': policy, 'max.compaction.lag.ms': '100' } });
      appendSpec(log, { records: [['k', 'a']], timestamp: 1_000 });
      appendSpec(log, { records: [['k', 'b']], timestamp: 1_101 });
      expect(log.segments.length, policy).toBe(segments);
    }
  });
});
