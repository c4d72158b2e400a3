// Random histories of a compacted log against a plain list of what was written: tombstones, transactions that commit or abort, rolls, rounds with
// room for few keys, kills and reopenings. What a read_committed reader folds is never changed by a round.
import { type Chance, memoryDisk, seededChance, type Timers } from '@millrace/core';
import { RecordReader, readBatches } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { appendSpec, marker, openLog } from '../testing/log-fixture.ts';
import { compactPartition } from './compaction.ts';
import type { PartitionLog } from './partition-log.ts';

const CONFIG = { 'cleanup.policy': 'compact', 'segment.bytes': '1024', 'delete.retention.ms': '500' };
const SEEDS = 40;
const STEPS = 150;
const PRODUCERS = 4;
const turns: Timers = { after: () => ({ cancel() {} }), every: () => ({ cancel() {} }), yield: () => Promise.resolve() };

interface Written {
  readonly offset: number;
  readonly key: string;
  readonly value: string | null;
  readonly transaction: { outcome: 'open' | 'committed' | 'aborted'; readonly first: number } | undefined;
}
interface Producer {
  sequence: number;
  last: { readonly sequence: number; readonly offset: number; readonly records: (readonly [string, string | null])[] } | undefined;
  transaction: Written['transaction'];
}

class Model {
  readonly written: Written[] = [];
  readonly producers: Producer[] = Array.from({ length: PRODUCERS }, () => ({ sequence: 0, last: undefined, transaction: undefined }));

  /** What a read_committed reader has folded at the last stable offset. */
  fold(logEnd: number): { readonly stable: number; readonly state: Record<string, string> } {
    const stable = Math.min(logEnd, ...this.producers.map(({ transaction }) => (transaction?.outcome === 'open' ? transaction.first : logEnd)));
    const state: Record<string, string> = {};
    for (const { offset, key, value, transaction } of this.written) {
      if (offset >= stable || transaction?.outcome === 'aborted') continue;
      if (value === null) delete state[key];
      else state[key] = value;
    }
    return { stable, state };
  }
}

test(`${SEEDS} random histories: rounds of compaction change nothing that a reader keeps`, async () => {
  let removed = 0;
  for (let seed = 1; seed <= SEEDS; seed++) removed += await oneHistory(seed);
  expect(removed).toBeGreaterThan(SEEDS * 1000);
});

/** Returns how many bytes its rounds removed. */
async function oneHistory(seed: number): Promise<number> {
  const chance = seededChance(seed);
  const disk = memoryDisk();
  const model = new Model();
  let { log, host } = openLog({ disk, config: CONFIG });
  let leaderEpoch = 0;
  let nowMs = 10_000;
  let removed = 0;
  for (let step = 0; step < STEPS; step++) {
    nowMs += chance.integer(100);
    const what = chance.integer(20);
    if (what < 12) write(log, model, chance, nowMs);
    else if (what < 15) endOne(log, model, chance, nowMs);
    else if (what === 15) log.roll();
    else if (what === 16) {
      const clean = chance.integer(2) === 0;
      if (clean) log.close();
      else leaderEpoch += 1;
      disk.kill();
      ({ log, host } = openLog({ disk, config: CONFIG, clean, leaderEpoch }));
    } else {
      const outcome = await compactPartition(host, log, turns, nowMs, { force: true, keysMax: 1 + chance.integer(12) });
      removed += (outcome?.bytesBefore ?? 0) - (outcome?.bytesAfter ?? 0);
    }
    if (what > 14) check(log, model, `seed ${seed}, step ${step}`);
  }
  for (const [producerId, { last }] of model.producers.entries())
    if (last !== undefined)
      expect(appendSpec(log, { records: last.records, producerId, sequence: last.sequence, transactional: producerId > 1 }), `seed ${seed}`).toMatchObject({
        kind: 'duplicate',
        baseOffset: last.offset,
      });
  return removed;
}

/** Producers 0 and 1 write plainly, the others in transactions. */
function write(log: PartitionLog, model: Model, chance: Chance, nowMs: number): void {
  const producerId = chance.integer(PRODUCERS);
  const producer = model.producers[producerId] as Producer;
  const records = Array.from({ length: 1 + chance.integer(3) }, (_, at): readonly [string, string | null] => [
    `key-${chance.integer(8)}`,
    chance.integer(4) === 0 ? null : `value-${model.written.length + at}`,
  ]);
  const transactional = producerId > 1;
  const { sequence } = producer;
  const outcome = appendSpec(log, { records, producerId, sequence, transactional, timestamp: nowMs }, nowMs);
  if (outcome.kind !== 'appended') throw new Error(`not appended: ${JSON.stringify(outcome)}`);
  producer.sequence += records.length;
  producer.last = { sequence, offset: outcome.baseOffset, records };
  if (transactional && producer.transaction?.outcome !== 'open') producer.transaction = { outcome: 'open', first: outcome.baseOffset };
  for (const [at, [key, value]] of records.entries())
    model.written.push({ offset: outcome.baseOffset + at, key, value, transaction: transactional ? producer.transaction : undefined });
}

function endOne(log: PartitionLog, model: Model, chance: Chance, nowMs: number): void {
  const open = [...model.producers.entries()].filter(([, { transaction }]) => transaction?.outcome === 'open');
  const chosen = open[chance.integer(Math.max(1, open.length))];
  if (chosen === undefined) return;
  const commit = chance.integer(2) === 0;
  log.appendMarker(marker(chosen[0], commit), nowMs);
  (chosen[1].transaction as { outcome: string }).outcome = commit ? 'committed' : 'aborted';
}

function check(log: PartitionLog, model: Model, where: string): void {
  const { stable, state } = model.fold(log.logEnd);
  expect(log.lastStableOffset, where).toBe(stable);
  expect(readCommitted(log), where).toEqual(state);
}

/** Reads as a client does: batch by batch, aborted ones left out by the list that a fetch gives. */
function readCommitted(log: PartitionLog): Record<string, string> {
  const state: Record<string, string> = {};
  const upTo = log.lastStableOffset;
  const reader = new RecordReader();
  const waiting = log.abortedIn(log.logStart, upTo);
  const aborted = new Set<number>();
  for (let offset = log.logStart; offset < upTo; ) {
    const { bytes, nextOffset } = log.read(offset, upTo, 2_000, true);
    if (bytes.length === 0) break;
    for (const batch of readBatches(bytes, 0, bytes.length, { checkCrc: true })) {
      while (waiting[0] !== undefined && waiting[0].firstOffset <= batch.lastOffset) aborted.add((waiting.shift() as (typeof waiting)[number]).producerId);
      if (batch.control) aborted.delete(batch.producerId);
      if (batch.control || (batch.transactional && aborted.has(batch.producerId))) continue;
      reader.reset(batch);
      while (reader.next()) {
        const key = reader.buffer.toString('utf8', reader.keyStart, reader.keyStart + reader.keyLength);
        if (reader.valueLength < 0) delete state[key];
        else state[key] = reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength);
      }
    }
    offset = nextOffset;
  }
  return state;
}
