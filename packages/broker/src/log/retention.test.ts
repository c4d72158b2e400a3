import { memoryDisk } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { appendSpec, openLog, readAll } from '../testing/log-fixture.ts';
import { retainPartition } from '../upkeep.ts';
import { planRetention, type SegmentFacts } from './retention.ts';

const segment = (nextOffset: number, maxTimestampMs: number, sizeBytes = 100): SegmentFacts => ({ nextOffset, maxTimestampMs, sizeBytes });
const unlimited = { delete: true, retentionMs: -1, retentionBytes: -1 };
const three = [segment(10, 100), segment(20, 200), segment(30, 300)];

describe('the plan', () => {
  test.each([
    ['nothing without limits', unlimited, 0, 1_000_000, { rollActive: false, drop: 0 }],
    ['what is older than retention.ms, oldest first', { ...unlimited, retentionMs: 50 }, 0, 251, { rollActive: false, drop: 2 }],
    ['the active one too, rolled first, when it has expired', { ...unlimited, retentionMs: 50 }, 0, 351, { rollActive: true, drop: 3 }],
    ['by size only while the rest stays at least as large', { ...unlimited, retentionBytes: 150 }, 0, 0, { rollActive: false, drop: 1 }],
    ['by size never the active one', { ...unlimited, retentionBytes: 0 }, 0, 0, { rollActive: false, drop: 2 }],
    ['below the log start even when only compacted', { ...unlimited, delete: false, retentionMs: 0 }, 20, 1_000_000, { rollActive: false, drop: 2 }],
  ] as const)('%s', (_, config, logStart, nowMs, plan) => {
    expect(planRetention(three, config, logStart, nowMs)).toEqual(plan);
  });

  test('a future timestamp keeps its segment and those behind it', () => {
    expect(planRetention([segment(10, 9_999), segment(20, 100)], { ...unlimited, retentionMs: 50 }, 0, 1_000)).toEqual({ rollActive: false, drop: 0 });
  });
});

describe('applied to a log', () => {
  const config = { 'segment.bytes': '1024', 'retention.ms': '100' };

  test('expired segments go, the log start follows, and the offsets go on', () => {
    const { log } = openLog({ disk: memoryDisk(), config });
    for (let at = 0; at < 40; at++) appendSpec(log, { records: [['k', `v${at}`]], timestamp: at * 10 });
    retainPartition(log, 300);
    expect(log.logStart).toBeGreaterThan(0);
    expect(readAll(log)[0]).toBe(`${log.logStart}:k=v${log.logStart}`);
    retainPartition(log, 10_000);
    expect([log.logStart, log.logEnd]).toEqual([40, 40]);
    expect(appendSpec(log, { records: [['k', 'next']], timestamp: 10_000 })).toMatchObject({ baseOffset: 40 });
  });

  test('what an open transaction has written stays', () => {
    const { log } = openLog({ disk: memoryDisk(), config });
    appendSpec(log, { records: [['k', 'v']], timestamp: 0, producerId: 1, transactional: true });
    for (let at = 0; at < 40; at++) appendSpec(log, { records: [['k', `v${at}`]], timestamp: 0 });
    retainPartition(log, 10_000);
    expect(log.logStart).toBe(0);
  });
});
