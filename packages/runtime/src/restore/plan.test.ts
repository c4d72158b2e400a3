import type { Checkpoint } from '@millrace/state';
import { expect, test } from 'vitest';
import { planRestore, type RestoreFacts } from './plan.ts';

const HOUR = 3_600_000;
const checkpoint = (over: Partial<Checkpoint> = {}): Checkpoint => ({
  changelogOffset: 5,
  topicId: 'id',
  leaderEpoch: 0,
  observedTime: -1,
  duplicates: 0,
  levelAtMs: 0,
  ...over,
});
const facts = (over: Partial<RestoreFacts> = {}): RestoreFacts => ({
  log: { start: 0, end: 10, topicId: 'id' },
  checkpoint: checkpoint(),
  hasRows: true,
  nowMs: HOUR,
  deleteRetentionMs: 24 * HOUR,
  epochEnd: undefined,
  ...over,
});

test('from the checkpoint to the log end', () => {
  expect(planRestore(facts())).toEqual({ kind: 'replay', from: 5, to: 10 });
  expect(planRestore(facts({ checkpoint: checkpoint({ changelogOffset: 10 }) }))).toEqual({ kind: 'up-to-date', from: 10 });
});

test('an empty store begins at the log start; an empty log needs nothing', () => {
  expect(planRestore(facts({ checkpoint: undefined, hasRows: false, log: { start: 3, end: 10, topicId: 'id' } }))).toEqual({ kind: 'replay', from: 3, to: 10 });
  expect(planRestore(facts({ checkpoint: undefined, hasRows: false, log: { start: 10, end: 10, topicId: 'id' } }))).toEqual({ kind: 'up-to-date', from: 10 });
});

test.each([
  ['no checkpoint', { checkpoint: undefined }],
  ['unreadable checkpoint', { checkpoint: 'corrupt' }],
  ['another topic', { checkpoint: checkpoint({ topicId: 'other' }) }],
  ['before log start', { log: { start: 6, end: 10, topicId: 'id' } }],
  ['beyond log end', { checkpoint: checkpoint({ changelogOffset: 11 }) }],
  ['lost tail', { epochEnd: 4 }],
  ['too old', { nowMs: 25 * HOUR }],
] as const)('%s: quarantine and rebuild from the log start', (reason, over) => {
  const plan = planRestore(facts(over));
  expect(plan).toMatchObject({ kind: 'quarantine-and-replay', reason, to: 10 });
});

test('a store that is level is trusted however old: there is nothing behind it to be missed', () => {
  expect(planRestore(facts({ checkpoint: checkpoint({ changelogOffset: 10 }), nowMs: 100 * 24 * HOUR })).kind).toBe('up-to-date');
});
