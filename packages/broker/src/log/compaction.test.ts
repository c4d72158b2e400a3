import { type Disk, type MemoryDisk, memoryDisk, type Timers } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { appendSpec, appendValues, DIRECTORY, marker, openLog, readAll } from '../testing/log-fixture.ts';
import { compactPartition } from './compaction.ts';
import { planCompaction } from './compaction-plan.ts';
import type { LogHost, PartitionLog } from './partition-log.ts';

const CONFIG = { 'cleanup.policy': 'compact', 'segment.bytes': '1024', 'delete.retention.ms': '1000' };
const turns: Timers = { after: () => ({ cancel() {} }), every: () => ({ cancel() {} }), yield: () => Promise.resolve() };
const compact = (host: LogHost, log: PartitionLog, nowMs = 1000) => compactPartition(host, log, turns, nowMs, { force: true });

function open(disk: MemoryDisk = memoryDisk(), clean = true) {
  return openLog({ disk, config: CONFIG, clean });
}
/** What a reader keeps: the last value per key. */
function folded(log: PartitionLog, upTo?: number): Record<string, string> {
  const state: Record<string, string> = {};
  for (const line of readAll(log, upTo)) {
    const [, key, value] = /^\d+:(.*?)=(.*)$/.exec(line) as unknown as [string, string, string];
    if (value === 'null') delete state[key];
    else state[key] = value;
  }
  return state;
}

describe('a round', () => {
  test('keeps the last record per key, at its offset, and the fold of the log', async () => {
    const { log, host } = open();
    for (let at = 0; at < 200; at++) appendSpec(log, { records: [[`key-${at % 7}`, `v${at}`]] });
    log.roll();
    const before = folded(log);
    const outcome = await compact(host, log);
    expect(outcome?.bytesAfter).toBeLessThan((outcome?.bytesBefore ?? 0) / 5);
    expect(folded(log)).toEqual(before);
    expect(readAll(log)).toEqual(Array.from({ length: 7 }, (_, at) => `${193 + at}:key-${(193 + at) % 7}=v${193 + at}`));
    expect(log.logEnd).toBe(200);
  });

  test('never touches the active segment', async () => {
    const { log, host } = open();
    for (let at = 0; at < 5; at++) appendSpec(log, { records: [['k', `v${at}`]] });
    expect(await compact(host, log)).toBeUndefined();
    expect(readAll(log).length).toBe(5);
  });

  test('never touches what an open transaction may still change', async () => {
    const { log, host } = open();
    appendSpec(log, { records: [['k', 'committed']] });
    log.roll();
    appendSpec(log, { records: [['k', 'open']], producerId: 1, transactional: true });
    log.roll();
    await compact(host, log);
    expect(readAll(log, log.lastStableOffset)).toEqual(['0:k=committed']);
    expect(readAll(log).length).toBe(2);
  });

  test('drops part of a batch, compressed or not, and what remains checks out', async () => {
    for (const compression of [0, 1]) {
      const { log, host } = open();
      appendSpec(log, {
        records: [
          ['a', '1'],
          ['b', '2'],
          ['c', '3'],
        ],
        timestamps: [5, 3, 9],
        compression,
      });
      appendSpec(log, { records: [['b', '4']] });
      log.roll();
      await compact(host, log);
      expect(readAll(log)).toEqual(['0:a=1', '2:c=3', '3:b=4']);
      expect(log.offsetForTime(9, 10)).toEqual({ offset: 2, timestampMs: 9 });
    }
  });

  test('drops aborted records, whatever was committed under the same key before', async () => {
    const { log, host } = open();
    appendSpec(log, { records: [['k', 'good']] });
    appendSpec(log, { records: [['k', 'bad']], producerId: 1, transactional: true });
    log.appendMarker(marker(1, false), 1000);
    appendSpec(log, { records: [['x', 'later']], producerId: 1, sequence: 1, transactional: true });
    log.appendMarker(marker(1, true), 1000);
    log.roll();
    await compact(host, log);
    expect(readAll(log)).toEqual(['0:k=good', '3:x=later']);
  });

  test('a tombstone stays for delete.retention.ms after the round that first saw it, then goes', async () => {
    const { log, host } = open();
    appendSpec(log, {
      records: [
        ['k', 'v'],
        ['other', 'v'],
      ],
    });
    appendSpec(log, { records: [['k', null]] });
    log.roll();
    await compact(host, log, 5_000);
    expect(readAll(log)).toEqual(['1:other=v', '2:k=null']);
    appendSpec(log, { records: [['z', 'v']] });
    log.roll();
    await compact(host, log, 5_500);
    expect(readAll(log)).toContain('2:k=null');
    appendSpec(log, { records: [['z', 'w']] });
    log.roll();
    await compact(host, log, 6_001);
    expect(readAll(log)).toEqual(['1:other=v', '4:z=w']);
  });

  test('a marker goes only when its data is gone and its time is over, and its aborted entry goes with it', async () => {
    const { log, host } = open();
    appendSpec(log, { records: [['k', 'bad']], producerId: 1, transactional: true });
    log.appendMarker(marker(1, false), 1000);
    appendSpec(log, { records: [['z', '1']] });
    log.roll();
    await compact(host, log, 5_000);
    expect(log.abortedIn(0, 10).length).toBe(1);
    appendSpec(log, { records: [['z', '2']] });
    log.roll();
    await compact(host, log, 6_001);
    expect(log.abortedIn(0, 10)).toEqual([]);
    expect(readAll(log)).toEqual(['3:z=2']);
  });

  test('duplicate detection works across it and a restart: the last batch of a producer stays, emptied', async () => {
    const disk = memoryDisk();
    const { log, host } = open(disk);
    appendSpec(log, { records: [['k', 'v']], producerId: 1, sequence: 0 });
    appendSpec(log, { records: [['k', 'newer']] });
    log.roll();
    await compact(host, log);
    disk.kill();
    for (const { name } of disk.list(DIRECTORY)) if (name.endsWith('.snapshot')) disk.remove(`${DIRECTORY}/${name}`);
    const again = open(disk, false).log;
    expect(appendSpec(again, { records: [['k', 'v']], producerId: 1, sequence: 0 })).toMatchObject({ kind: 'duplicate', baseOffset: 0 });
    expect(readAll(again)).toEqual(['1:k=newer']);
  });
});

test('an emptied batch of a finished transaction does not open it again at a recovery, when its marker is gone', async () => {
  const disk = memoryDisk();
  const { log, host } = open(disk);
  appendSpec(log, { records: [['k', 'v']], producerId: 1, transactional: true });
  log.appendMarker(marker(1, true), 1000);
  appendSpec(log, { records: [['k', 'newer']] });
  log.roll();
  await compact(host, log, 5_000);
  appendSpec(log, { records: [['z', '1']] });
  log.roll();
  await compact(host, log, 6_001);
  disk.kill();
  for (const { name } of disk.list(DIRECTORY)) if (name.endsWith('.snapshot')) disk.remove(`${DIRECTORY}/${name}`);
  const again = open(disk, false).log;
  expect(again.lastStableOffset).toBe(again.logEnd);
  expect(readAll(again)).toEqual(['2:k=newer', '3:z=1']);
});

describe('a crash', () => {
  test('between the finished output and the removal of the old segments is settled at the next start', async () => {
    const disk = memoryDisk();
    const { log, host } = open(disk);
    for (let at = 0; at < 100; at++) appendSpec(log, { records: [[`key-${at % 5}`, `v${at}`]] });
    log.roll();
    const before = folded(log);
    const old = new Map(disk.list(DIRECTORY).map(({ name }) => [name, Buffer.from(disk.readWhole(`${DIRECTORY}/${name}`))]));
    const lastFinished = log.segments.at(-2)?.nextOffset as number;
    await compact(host, log);
    const outputs = log.segments.filter((segment) => segment.nextOffset <= lastFinished);
    disk.kill();
    // Put the directory back to how it was just after the rename to .swap of the first output.
    const output = Buffer.from(disk.readWhole(outputs[0]?.logPath as string));
    for (const { name } of disk.list(DIRECTORY)) disk.remove(`${DIRECTORY}/${name}`);
    for (const [name, bytes] of old) disk.replaceWhole(`${DIRECTORY}/${name}`, bytes);
    const end = String(outputs.length > 1 ? outputs[1]?.baseOffset : lastFinished).padStart(20, '0');
    disk.replaceWhole(`${DIRECTORY}/${'0'.repeat(20)}.${end}.swap`, output);
    disk.replaceWhole(`${DIRECTORY}/${'0'.repeat(20)}.${end}.cleaned`, Buffer.from('half'));
    const again = open(disk, false).log;
    expect(folded(again)).toEqual(before);
    expect(again.logEnd).toBe(100);
    expect(disk.list(DIRECTORY).some(({ name }) => name.endsWith('.swap') || name.endsWith('.cleaned'))).toBe(false);
  });
});

describe('the plan', () => {
  const segments = (...sizes: number[]) =>
    sizes.map((sizeBytes, at) => ({ baseOffset: at * 10, nextOffset: at * 10 + 10, sizeBytes, maxTimestampMs: at * 100 }));
  const facts = { segments: segments(100, 100, 100, 100), lastStableOffset: 40, compactedUpTo: 0, nowMs: 1_000 };
  const config = { minCompactionLagMs: 0, maxCompactionLagMs: Number.MAX_SAFE_INTEGER, minCleanableDirtyRatio: 0.5 };
  test.each([
    ['all finished segments when everything is dirty', facts, config, 3],
    ['nothing while too little is dirty', { ...facts, compactedUpTo: 20 }, config, 0],
    ['whatever the ratio once the oldest dirty record is too old', { ...facts, compactedUpTo: 20 }, { ...config, maxCompactionLagMs: 500 }, 3],
    ['nothing past the last stable offset', { ...facts, lastStableOffset: 25 }, config, 2],
    ['nothing younger than min.compaction.lag.ms', facts, { ...config, minCompactionLagMs: 950 }, 1],
    ['nothing when all was compacted', { ...facts, compactedUpTo: 30 }, config, 0],
  ] as const)('%s', (_, given, settings, count) => {
    expect(planCompaction(given, settings, false)).toBe(count);
  });
});

describe('a round that cannot remember all keys', () => {
  const state = (log: PartitionLog) => folded(log);
  test('ends inside a segment, touches nothing behind, and the next round goes on there', async () => {
    for (let keysMax = 1; keysMax < 40; keysMax += 3) {
      const { log, host } = openLog({ config: { 'cleanup.policy': 'compact', 'delete.retention.ms': '0' } });
      for (let at = 0; at < 120; at++) appendSpec(log, { records: [[`key-${(at * 7) % 30}`, at % 11 === 10 ? null : `v${at}`]] });
      log.roll();
      appendValues(log, 'active');
      const before = state(log);
      for (let round = 0; round < 400 && log.compactedUpTo < 120; round++) {
        const from = log.compactedUpTo;
        await compactPartition(host, log, turns, 1_000 + round, { force: true, keysMax });
        expect(log.compactedUpTo).toBeGreaterThan(from);
        expect(state(log), `${keysMax} keys, round ${round}`).toEqual(before);
      }
      // Tombstones that the last round saw for the first time stay until the one after.
      expect(readAll(log).filter((line) => !line.endsWith('=null')).length, `${keysMax} keys`).toBe(Object.keys(before).length);
    }
  });
});

test('retention or a deletion in the middle of a round ends it in peace and leaves no file behind', async () => {
  for (const [what, gone] of [
    ['retention', (log: PartitionLog) => log.dropSegments(log.segments.slice(0, 1))],
    ['deletion', (log: PartitionLog) => log.abandon()],
  ] as const) {
    const disk = memoryDisk();
    const { log, host } = open(disk);
    for (let at = 0; at < 100; at++) appendSpec(log, { records: [[`key-${at}`, `v${at}`]] });
    let turn = 0;
    const interrupting: Timers = {
      ...turns,
      yield: async () => {
        if (++turn === 3) gone(log);
      },
    };
    expect(await compactPartition(host, log, interrupting, 1_000, { force: true }), what).toBeUndefined();
    const names = disk.list(DIRECTORY).map(({ name }) => name);
    expect(
      names.filter((name) => name.endsWith('.cleaned') || name.endsWith('.swap')),
      what,
    ).toEqual([]);
    if (what === 'retention') expect(names).not.toContain('00000000000000000000.log');
  }
});

test("a marker whose transaction's data is gone already does not make the producer's next transaction look aborted", async () => {
  const { log, host } = openLog({ config: { 'cleanup.policy': 'compact' } });
  appendValues(log, 'v'); // 0
  appendSpec(log, { records: [['z', 'bad']], producerId: 1, transactional: true }); // 1
  appendSpec(log, { records: [['y', '1']] }); // 2
  log.appendMarker(marker(1, false), 1000); // 3
  appendSpec(log, { records: [['k', null]], producerId: 1, sequence: 1, transactional: true }); // 4
  log.appendMarker(marker(1, true), 1000); // 5
  log.roll();
  for (let round = 0; round < 2; round++) await compactPartition(host, log, turns, 1000, { force: true, keysMax: 2 });
  expect(readAll(log)).toEqual(['2:y=1', '4:k=null']);
});

test('a round that the disk stops half-way says so', async () => {
  const memory = memoryDisk();
  let outputs = 0;
  const openFile: Disk['open'] = (path, mode) => {
    if (path.endsWith('.cleaned') && ++outputs === 2) throw new Error('ENOSPC');
    return memory.open(path, mode);
  };
  const { log, host } = openLog({ disk: { ...memory, open: openFile }, config: CONFIG });
  for (let at = 0; at < 100; at++) appendSpec(log, { records: [[`key-${at}`, `v${at}`]] });
  log.roll();
  await expect(compact(host, log)).rejects.toThrow('ENOSPC');
  expect(readAll(log).length).toBe(100);
});
