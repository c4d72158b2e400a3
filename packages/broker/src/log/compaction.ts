// Compaction of one partition: finished segments are rewritten with the last record per key.
// Owns: one round, from the map of keys to the swap that makes the output count.
// Never: touches the active segment or anything at or past the last stable offset, changes an offset, holds the event loop for more than a slice.
// K1 a batch keeps base offset, last offset and sequence; an emptied one stays (count 0) while duplicate detection needs it or it ends the round.
// K2 the output is synced and renamed before the old segments go: a crash leaves the old or the new, never a mix (recovery.ts finishes a swap).
// K3 records of aborted transactions go; tombstones go `delete.retention.ms` after a round first saw them, markers likewise once their data is gone.
// Source: KIP-58, KIP-534, protocol.md section 9.
import type { Timers } from '@millrace/core';
import { type RecordBatchView, RecordReader } from '@millrace/protocol';
import { AbortedIndex } from './aborted-index.ts';
import { emptyBatch, rewriteBatch } from './compaction-batch.ts';
import { groupSegments, planCompaction } from './compaction-plan.ts';
import { cleanedFileName, swapFileName } from './file-names.ts';
import type { LogHost, PartitionLog } from './partition-log.ts';
import { finishSwap } from './recovery.ts';
import { Segment } from './segment.ts';

/** Bytes looked at between two turns of the event loop. */
const SLICE_BYTES = 4 * 1024 * 1024;
/** Keys one round remembers; what lies behind the last of them waits for the next round. About 100 bytes of heap each. */
const KEYS_MAX = 1_000_000;

export interface CompactionOptions {
  /** Compact whatever the dirty ratio says. */
  readonly force?: boolean;
  readonly keysMax?: number;
}

export interface CompactionOutcome {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

interface Round {
  readonly host: LogHost;
  readonly log: PartitionLog;
  readonly timers: Timers;
  readonly nowMs: number;
  /** Key as latin1 → offset of its last record. */
  readonly latest: Map<string, number>;
  /** `latest` knows everything below this offset; batches from here on stay as they are. */
  readonly mappedTo: number;
  /** Ends the round: the batch that holds `endOffset - 1` is kept even when empty. */
  readonly endOffset: number;
}

/** One round, if it is due; undefined if not, or if the log changed under it. */
export async function compactPartition(
  host: LogHost,
  log: PartitionLog,
  timers: Timers,
  nowMs: number,
  options: CompactionOptions = {},
): Promise<CompactionOutcome | undefined> {
  const { segments, lastStableOffset, compactedUpTo } = log;
  const planned = planCompaction({ segments, lastStableOffset, compactedUpTo, nowMs }, log.config, options.force ?? false);
  const cleanable = segments.slice(0, planned);
  if (cleanable.length === 0) return undefined;
  try {
    return await compactSegments(host, log, timers, nowMs, cleanable, options.keysMax ?? KEYS_MAX);
  } catch (error) {
    if (hasChanged(log, cleanable)) return undefined; // retention or a deletion took the files away: no failure
    throw error;
  }
}

function hasChanged(log: PartitionLog, segments: readonly Segment[]): boolean {
  return log.closed || segments.some((segment) => !log.segments.includes(segment));
}

async function compactSegments(
  host: LogHost,
  log: PartitionLog,
  timers: Timers,
  nowMs: number,
  cleanable: Segment[],
  keysMax: number,
): Promise<CompactionOutcome | undefined> {
  const latest = new Map<string, number>();
  const mappedTo = await mapKeys(log, cleanable, latest, timers, keysMax);
  const chosen = cleanable.filter((segment) => segment.baseOffset < mappedTo);
  if (log.closed || chosen.length === 0) return undefined;
  const endOffset = (chosen.at(-1) as Segment).nextOffset;
  const round: Round = { host, log, timers, nowMs, latest, mappedTo, endOffset };
  const walk = new BatchWalk(round);
  let bytesBefore = 0;
  let bytesAfter = 0;
  for (const [from, to] of groupSegments(chosen, log.config.segmentBytes)) {
    const group = chosen.slice(from, to);
    const replacement = await rewriteGroup(round, walk, group);
    if (replacement === undefined) return undefined;
    cleanable.splice(0, group.length); // they went by our own hand: what fails from here on fails for another reason
    for (const segment of group) bytesBefore += segment.sizeBytes;
    bytesAfter += replacement.sizeBytes;
  }
  log.compactedUpTo = Math.min(mappedTo, endOffset);
  return { bytesBefore, bytesAfter };
}

/** Fills `latest` from what is dirty; returns the offset up to which it does. Whole batches: the last one may take it past `keysMax`. */
async function mapKeys(log: PartitionLog, cleanable: readonly Segment[], latest: Map<string, number>, timers: Timers, keysMax: number): Promise<number> {
  const reader = new RecordReader();
  const aborted = new AbortedFilter(log, log.compactedUpTo, (cleanable.at(-1) as Segment).nextOffset);
  let mappedTo = 0;
  for (const segment of cleanable) {
    if (segment.nextOffset <= log.compactedUpTo) continue;
    await inSlices(segment, timers, (batch) => {
      if (batch.lastOffset < log.compactedUpTo) return true;
      if (latest.size >= keysMax) return false;
      mappedTo = batch.lastOffset + 1;
      const dropped = aborted.drops(batch); // asked of markers too: the data of their transaction may be gone already
      if (batch.control || dropped || batch.count === 0) {
        aborted.pass(batch);
        return true;
      }
      reader.reset(batch);
      while (reader.next())
        if (reader.keyLength >= 0) latest.set(reader.buffer.toString('latin1', reader.keyStart, reader.keyStart + reader.keyLength), reader.offset);
      return true;
    });
    if (log.closed || latest.size >= keysMax) return mappedTo;
  }
  return (cleanable.at(-1) as Segment).nextOffset;
}

async function rewriteGroup(round: Round, walk: BatchWalk, group: readonly Segment[]): Promise<Segment | undefined> {
  const { host, log, timers } = round;
  const { disk } = host.files;
  const { baseOffset } = group[0] as Segment;
  const endOffset = (group.at(-1) as Segment).nextOffset;
  const cleanedPath = disk.join(log.directory, cleanedFileName(baseOffset, endOffset));
  const output = new Segment(host.files, log.directory, baseOffset);
  const aborted = new AbortedIndex();
  disk.remove(cleanedPath);
  const file = disk.open(cleanedPath, 'create');
  try {
    for (const segment of group) {
      await inSlices(segment, timers, (batch) => {
        const kept = walk.visit(batch);
        if (kept === undefined) return true;
        const position = output.sizeBytes;
        file.write(kept.buffer.subarray(kept.start, kept.end), position);
        output.note(kept, position, round.nowMs);
        if (!kept.control) return true;
        for (const entry of segment.aborted.entries) if (entry.lastOffset === kept.baseOffset) aborted.add(entry);
        return true;
      });
      if (log.closed) return undefined;
    }
    await file.syncLater();
  } catch (error) {
    disk.remove(cleanedPath);
    throw error;
  } finally {
    file.close();
  }
  if (hasChanged(log, group)) {
    disk.remove(cleanedPath); // deleted meanwhile
    return undefined;
  }
  const swapName = swapFileName(baseOffset, endOffset);
  disk.rename(cleanedPath, disk.join(log.directory, swapName));
  disk.syncDirectory(log.directory);
  finishSwap(host, log.directory, baseOffset, endOffset, swapName);
  output.aborted = aborted;
  output.saveIndex();
  log.replaceSegments(group, output);
  return output;
}

/** Visits a segment's batches until `visit` says false, giving the event loop a turn every few MiB. */
async function inSlices(segment: Segment, timers: Timers, visit: (batch: RecordBatchView) => boolean): Promise<void> {
  let position = 0;
  let going = true;
  while (going && position < segment.sizeBytes) {
    const sliceEnd = position + SLICE_BYTES;
    segment.scan(position, (batch, at) => {
      going = visit(batch);
      position = at + batch.sizeBytes;
      return going && position < sliceEnd;
    });
    await timers.yield();
  }
}

/** Tells batches of aborted transactions, walking in offset order (the rule of a read_committed client). */
class AbortedFilter {
  readonly #waiting: { readonly producerId: number; readonly firstOffset: number }[];
  readonly #active = new Set<number>();

  constructor(log: PartitionLog, from: number, to: number) {
    this.#waiting = log.abortedIn(from, to);
  }
  drops(batch: RecordBatchView): boolean {
    while (this.#waiting.length > 0 && (this.#waiting[0] as { firstOffset: number }).firstOffset <= batch.lastOffset)
      this.#active.add((this.#waiting.shift() as { producerId: number }).producerId);
    return batch.transactional && !batch.control && this.#active.has(batch.producerId);
  }
  /** A marker ends the producer's transaction. */
  pass(batch: RecordBatchView): void {
    if (batch.control) this.#active.delete(batch.producerId);
  }
}

/** Decides batch by batch, from the log's first one on, what of it stays. */
class BatchWalk {
  readonly #round: Round;
  readonly #reader = new RecordReader();
  readonly #aborted: AbortedFilter;
  /** Producers whose current transaction still has data. */
  readonly #withData = new Set<number>();

  constructor(round: Round) {
    this.#round = round;
    this.#aborted = new AbortedFilter(round.log, 0, round.endOffset);
  }

  /** The batch as it stays, in a buffer that lives until the next call; undefined: it goes. */
  visit(batch: RecordBatchView): RecordBatchView | undefined {
    if (batch.baseOffset >= this.#round.mappedTo) return batch;
    const dropped = this.#aborted.drops(batch);
    const kept = batch.control ? this.#marker(batch) : dropped || batch.count === 0 ? undefined : this.#data(batch);
    this.#aborted.pass(batch);
    if (kept !== undefined) return kept;
    const { log, endOffset } = this.#round;
    const needed = batch.lastOffset === endOffset - 1 || (!batch.control && log.isLastBatchOf(batch.producerId, batch.lastOffset));
    return needed ? emptyBatch(batch) : undefined;
  }

  #marker(batch: RecordBatchView): RecordBatchView | undefined {
    if (batch.count === 0) return undefined;
    if (this.#withData.delete(batch.producerId)) return batch;
    if (!batch.hasDeleteHorizon) return rewriteBatch(batch, this.#reader.reset(batch), () => true, this.#horizon());
    return batch.baseTimestamp > this.#round.nowMs ? batch : undefined;
  }

  #data(batch: RecordBatchView): RecordBatchView | undefined {
    const { latest, nowMs } = this.#round;
    const tombstonesGo = batch.hasDeleteHorizon && batch.baseTimestamp <= nowMs;
    let tombstones = 0;
    const keep = (reader: RecordReader): boolean => {
      if (reader.keyLength < 0) return false;
      const newest = latest.get(reader.buffer.toString('latin1', reader.keyStart, reader.keyStart + reader.keyLength));
      if (newest !== undefined && newest > reader.offset) return false;
      if (reader.valueLength >= 0) return true;
      if (tombstonesGo) return false;
      tombstones += 1;
      return true;
    };
    let retained = 0;
    const reader = this.#reader.reset(batch);
    while (reader.next()) if (keep(reader)) retained += 1;
    if (retained === 0) return undefined;
    if (batch.transactional) this.#withData.add(batch.producerId);
    const stamp = tombstones > 0 && !batch.hasDeleteHorizon;
    if (retained === batch.count && !stamp) return batch;
    return rewriteBatch(batch, this.#reader.reset(batch), keep, stamp ? this.#horizon() : undefined);
  }

  #horizon(): number {
    return this.#round.nowMs + this.#round.log.config.deleteRetentionMs;
  }
}
