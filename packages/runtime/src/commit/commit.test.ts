import { MillraceError } from '@millrace/core';
import { expect, test } from 'vitest';
import { SpanOutput } from '../outbox.ts';
import type { Span, SpanTask } from './close.ts';
import { spanFailure } from './failures.ts';
import { decodeOffsetMetadata, encodeOffsetMetadata } from './offset-metadata.ts';
import { planCommit } from './plan.ts';
import { closeIsDue, settleIsDue, takesInput } from './policy.ts';

const idle = { closing: false, dirty: true, requested: false, sinceCloseMs: 0, commitIntervalMs: 100, stagedBytes: 0, stagedBytesMax: 1000 };

test('a close is due by interval, by half the staging, or when asked; never while one is closing or nothing was done', () => {
  expect(closeIsDue(idle)).toBe(false);
  expect(closeIsDue({ ...idle, sinceCloseMs: 100 })).toBe(true);
  expect(closeIsDue({ ...idle, stagedBytes: 500 })).toBe(true);
  expect(closeIsDue({ ...idle, requested: true })).toBe(true);
  expect(closeIsDue({ ...idle, requested: true, closing: true })).toBe(false);
  expect(closeIsDue({ ...idle, sinceCloseMs: 1e9, dirty: false })).toBe(false);
});

test('input is taken up to the bound of staging and output; a cautious worker takes none while closing', () => {
  const facts = { stagedBytes: 999, stagedBytesMax: 1000, outboxFull: false, cautious: false, closing: true, halted: false };
  expect(takesInput(facts)).toBe(true);
  expect(takesInput({ ...facts, stagedBytes: 1000 })).toBe(false);
  expect(takesInput({ ...facts, outboxFull: true })).toBe(false);
  expect(takesInput({ ...facts, cautious: true })).toBe(false);
  expect(takesInput({ ...facts, cautious: true, closing: false })).toBe(true);
  expect(takesInput({ ...facts, halted: true })).toBe(false);
});

test('a settle is due by interval, by a quarter of the staging, or when somebody waits', () => {
  const facts = { unsettled: true, requested: false, stale: false, sinceSettleMs: 0, settleIntervalMs: 1000, stagedBytes: 0, stagedBytesMax: 1000 };
  expect(settleIsDue(facts)).toBe(false);
  expect(settleIsDue({ ...facts, sinceSettleMs: 1000 })).toBe(true);
  expect(settleIsDue({ ...facts, stagedBytes: 250 })).toBe(true);
  expect(settleIsDue({ ...facts, requested: true })).toBe(true);
  expect(settleIsDue({ ...facts, requested: true, unsettled: false })).toBe(false);
});

const group = { groupId: 'g', memberId: 'm', generation: 4, instanceId: undefined };
const offset = (partition: number) => ({ topic: 't', partition, offset: 1 as never, leaderEpoch: 0, metadata: '' });
const span = (tasks: readonly string[], output = new SpanOutput()): Span => ({
  id: 1,
  tasks: tasks.map((id, index) => ({ task: { id }, offsets: [offset(index)], inputs: new Map(), inputPositions: '' }) as unknown as SpanTask),
  output,
  records: 0,
  closedAtMs: 0,
});

test('the positions of every task that took part are committed as the member of the last acknowledged assignment', () => {
  expect(planCommit(span(['0_0', '0_1']), { group, tasks: new Set(['0_0', '0_1', '1_0']) })).toEqual({
    kind: 'commit',
    group,
    offsets: [offset(0), offset(1)],
  });
});

test('a task that has gone makes the plan an abort; a span without anything needs nothing', () => {
  expect(planCommit(span(['0_0', '0_1']), { group, tasks: new Set(['0_0']) })).toEqual({ kind: 'abort', notOurs: ['0_1'] });
  expect(planCommit(span([]), { group, tasks: new Set() })).toEqual({ kind: 'nothing' });
});

test('a commit is never planned over an output that failed or is in flight', () => {
  const output = new SpanOutput();
  output.inFlight = 1;
  expect(() => planCommit(span(['0_0'], output), { group, tasks: new Set(['0_0']) })).toThrow(/acknowledged/);
});

test.each([
  ['ERR_TRANSACTION_ABORTABLE', 'abort', 'initialise'],
  ['ERR_GENERATION', 'abort', 'abort'],
  ['ERR_PRODUCER_FENCED', 'initialise', 'initialise'],
  ['ERR_TRANSACTION_INDEFINITE', 'initialise', 'initialise'],
  ['ERR_TIMEOUT', 'initialise', 'again'],
  ['ERR_MEMBERSHIP_LOST', 'lost', 'lost'],
  ['ERR_RECORD_TOO_LARGE', 'end', 'end'],
  ['ERR_AUTHORIZATION', 'end', 'end'],
] as const)('after %s: %s under exactly-once, %s under at-least-once', (code, exactly, atLeast) => {
  expect([spanFailure(new MillraceError(code, ''), 'exactly-once'), spanFailure(new MillraceError(code, ''), 'at-least-once')]).toEqual([exactly, atLeast]);
});

test('a defect of ours is never answered by going on', () => {
  expect(spanFailure(new TypeError('x is undefined'), 'exactly-once')).toBe('end');
});

test('offset metadata is the text Kafka Streams writes: version 2, partition time, then processor metadata', () => {
  expect(encodeOffsetMetadata({ partitionTime: 1000, processors: new Map() })).toBe(Buffer.from([2, 0, 0, 0, 0, 0, 0, 3, 232]).toString('base64'));
  const full = { partitionTime: -1, processors: new Map([['counts', 1_700_000_000_000]]) };
  const bytes = Buffer.from(encodeOffsetMetadata(full), 'base64');
  expect(bytes.subarray(1, 9).readBigInt64BE()).toBe(-1n);
  expect(bytes.readInt32BE(9)).toBe(1);
  expect(bytes.readInt32BE(13)).toBe(6);
  expect(bytes.toString('utf8', 17, 23)).toBe('counts');
  expect(bytes.readBigInt64BE(23)).toBe(1_700_000_000_000n);
  expect(decodeOffsetMetadata(bytes.toString('base64'))).toEqual(full);
});

test('records that wait for an answer from outside are told beside the offset, apart from what operators keep', () => {
  const pending = { partitionTime: 7, processors: new Map([['counts', 5]]), pendingOutside: 3 };
  expect(decodeOffsetMetadata(encodeOffsetMetadata(pending))).toEqual(pending);
  expect(encodeOffsetMetadata({ ...pending, pendingOutside: 0 })).toBe(encodeOffsetMetadata({ partitionTime: 7, processors: pending.processors }));
});

test('metadata of version 1, of somebody else, or cut short means what it can, and never fails', () => {
  expect(decodeOffsetMetadata(Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 7]).toString('base64')).partitionTime).toBe(7);
  for (const text of ['', 'hello', Buffer.from([9, 1, 2]).toString('base64'), Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9]).toString('base64')]) {
    expect(decodeOffsetMetadata(text).partitionTime).toBe(-1);
  }
});
