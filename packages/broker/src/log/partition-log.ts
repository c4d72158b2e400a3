// One partition's log: appends whole validated batches, reads runs of them, and knows where it starts, ends and is stable.
// Owns: the segments, the producers, the leader epochs, the side files of one directory.
// Never: validates a client's bytes (validate.ts), decides retention or compaction (they hand it plans), waits.
// L1 offsets ascend without gaps as appended; compaction alone leaves gaps.  L2 a batch is written in one piece at the log end, then noted:
// a failed write changes nothing.  L3 the high watermark is the log end (one replica); where acknowledgements wait for the device it is the
// end of what is there, so that a power loss takes nothing that a reader has seen.  L4 what is acknowledged is in the page cache;
// whether it is on the device is the sync group's business.  L5 every change that readers wait for ends in `#changed`.
import { assert, type Clock, type Logger } from '@millrace/core';
import { encodeControlBatch, patchBaseOffset, RecordBatchView } from '@millrace/protocol';
import type { MarkerFacts, PartitionProducer } from '../internal-log.ts';
import type { TopicConfig } from '../topics/topic-config.ts';
import { collectAborted } from './aborted-index.ts';
import { snapshotFileName } from './file-names.ts';
import type { LeaderEpochs } from './leader-epochs.ts';
import { type FoundOffset, offsetForTime, offsetOfMaxTimestamp } from './lookup.ts';
import type { OpenFiles } from './open-files.ts';
import type { PartitionFacts, PartitionStateFile } from './partition-state.ts';
import type { AbortedTransaction, ProducerState } from './producer-state.ts';
import { type Lend, type LogRead, ReadPlaces, readRun } from './read-run.ts';
import { Segment } from './segment.ts';
import { encodeSnapshot } from './snapshot.ts';
import type { HidingLog, SyncGroup } from './sync-group.ts';

const INVALID_TXN_STATE = 48;
const KAFKA_STORAGE_ERROR = 56;
const NO_BYTES = Buffer.alloc(0);

/** What all partitions of a broker share. */
export interface LogHost {
  readonly files: OpenFiles;
  readonly syncs: SyncGroup;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface PartitionIdentity {
  readonly topic: string;
  readonly partition: number;
  readonly directory: string;
  /** Read at each use: configs change while the log is open. */
  readonly config: () => TopicConfig;
  /** Epoch that this broker's batches carry. */
  readonly leaderEpoch: number;
}

/** What opening (recovery) found. */
export interface LogContents {
  readonly segments: Segment[];
  readonly producers: ProducerState;
  readonly epochs: LeaderEpochs;
  readonly state: PartitionStateFile;
  readonly logStart: number;
  /** The side files say all this already: a close without an append need not write them. */
  readonly sideFilesFresh: boolean;
}

export type AppendOutcome =
  | { readonly kind: 'appended'; readonly baseOffset: number }
  | { readonly kind: 'duplicate'; readonly baseOffset: number; readonly timestampMs: number }
  | { readonly kind: 'refused'; readonly code: number; readonly message: string };

export type { LogRead };

/** What readers may see of a log. */
interface Visible {
  readonly end: number;
  /** Last stable offset of what lies below `end`. */
  readonly stable: number;
}

export class PartitionLog implements HidingLog {
  readonly topic: string;
  readonly partition: number;
  readonly directory: string;
  readonly leaderEpoch: number;
  readonly #config: () => TopicConfig;
  readonly #host: LogHost;
  readonly #producers: ProducerState;
  readonly #epochs: LeaderEpochs;
  readonly #state: PartitionStateFile;
  readonly #sideFilesFresh: boolean;
  readonly #watchers = new Set<() => void>();
  readonly #places = new ReadPlaces();
  #segments: Segment[];
  #logStart: number;
  #failure: string | undefined;
  /** Records since `flush.messages` was last heeded. */
  #unflushed = 0;
  /** Something was appended since the log was opened. */
  #appended = false;
  /** Offset up to which compaction has looked; forgotten at a restart, which costs one round. */
  compactedUpTo = 0;
  #closed = false;
  /** What is on the device, as of the last sync; undefined: readers may see everything. */
  #visible: Visible | undefined;
  /** Settles when the recovery point has passed the newest finished segment; rejects once a sync has failed. */
  #advancing: Promise<void> = Promise.resolve();

  constructor(host: LogHost, identity: PartitionIdentity, contents: LogContents) {
    assert(contents.segments.length > 0, `${identity.directory}: a log needs an active segment`);
    this.#host = host;
    this.topic = identity.topic;
    this.partition = identity.partition;
    this.directory = identity.directory;
    this.leaderEpoch = identity.leaderEpoch;
    this.#config = identity.config;
    this.#segments = contents.segments;
    this.#producers = contents.producers;
    this.#epochs = contents.epochs;
    this.#state = contents.state;
    this.#logStart = contents.logStart;
    this.#sideFilesFresh = contents.sideFilesFresh;
    if (host.syncs.policy === 'perBatchGroup') this.#visible = this.#asOfNow(); // the broker serves nobody before what was found is synced
  }

  // ---- facts ----------------------------------------------------------------------------------------------------------

  get config(): TopicConfig {
    return this.#config();
  }
  get logStart(): number {
    return this.#logStart;
  }
  /** Offset of the next record. */
  get logEnd(): number {
    return this.#active.nextOffset;
  }
  /** End of what readers may see. */
  get highWatermark(): number {
    return this.#visible === undefined ? this.logEnd : this.#visible.end;
  }
  /** First offset of the earliest transaction that is open as far as readers may see, else the high watermark. */
  get lastStableOffset(): number {
    return this.#visible === undefined ? this.#stableEnd : this.#visible.stable;
  }
  get sizeBytes(): number {
    let total = 0;
    for (const segment of this.#segments) total += segment.sizeBytes;
    return total;
  }
  get closed(): boolean {
    return this.#closed;
  }
  /** Oldest first; the last one is active. */
  get segments(): readonly Segment[] {
    return this.#segments;
  }
  get producers(): readonly PartitionProducer[] {
    return this.#producers.describe();
  }
  /** True when this is the newest batch that duplicate detection needs of the producer. */
  isLastBatchOf(producerId: number, lastOffset: number): boolean {
    return this.#producers.entries.get(producerId)?.batches.at(-1)?.lastOffset === lastOffset;
  }
  /** True when the producer has an open transaction here. */
  hasOpenTransaction(producerId: number): boolean {
    return this.#producers.hasOpenTransaction(producerId);
  }
  /** Where the largest epoch ≤ `epoch` ends. */
  endOfEpoch(epoch: number): { readonly epoch: number; readonly startOffset: number } {
    return this.#epochs.endOf(epoch, this.leaderEpoch, this.logEnd);
  }

  /** Epoch of the batch that holds `offset`; -1 when unknown. */
  epochAt(offset: number): number {
    return this.#epochs.at(offset);
  }

  /** Calls `run` after each change a parked reader may wait for (records or a marker to be seen, log start, close), until taken back. */
  watch(run: () => void): () => void {
    this.#watchers.add(run);
    return () => this.#watchers.delete(run);
  }

  // ---- append ---------------------------------------------------------------------------------------------------------

  /**
   * A client's sound batch. Offsets and epoch are written into its buffer. `mayTransact`: a transactional batch belongs to a transaction that
   * holds this partition. `fromZero`: a producer new to this partition must begin with sequence 0.
   */
  append(batch: RecordBatchView, nowMs: number, mayTransact: boolean, fromZero = false): AppendOutcome {
    const decision = this.#producers.decide(batch, fromZero);
    if (decision.kind === 'duplicate') return decision;
    if (decision.kind === 'refuse') return { kind: 'refused', code: decision.code, message: decision.message };
    if (batch.transactional && !mayTransact)
      return {
        kind: 'refused',
        code: INVALID_TXN_STATE,
        message: `${this.topic}-${this.partition} was not added to a transaction of producer ${batch.producerId}`,
      };
    const placed = this.#place(batch, nowMs);
    if (typeof placed === 'string') return { kind: 'refused', code: KAFKA_STORAGE_ERROR, message: placed };
    this.#producers.applyBatch(placed, nowMs);
    this.#grown();
    return { kind: 'appended', baseOffset: placed.baseOffset };
  }

  /** A batch of our own coordinators: no sequence is checked. Its offset. Throws when the disk refuses. */
  appendOwn(batch: RecordBatchView, nowMs: number): number {
    const placed = this.#place(batch, nowMs);
    if (typeof placed === 'string') throw new Error(placed);
    this.#producers.applyBatch(placed, nowMs);
    this.#grown();
    return placed.baseOffset;
  }

  /** A marker of the transaction coordinator; its offset. Throws when the disk refuses. */
  appendMarker(marker: MarkerFacts, nowMs: number): number {
    const bytes = encodeControlBatch({
      type: marker.commit ? 'commit' : 'abort',
      coordinatorEpoch: marker.coordinatorEpoch,
      producerId: marker.producerId,
      producerEpoch: marker.producerEpoch,
      timestamp: nowMs,
    });
    const placed = this.#place(new RecordBatchView(bytes, 0, bytes.length), nowMs);
    if (typeof placed === 'string') throw new Error(placed);
    const aborted = this.#producers.applyMarker(marker.producerId, marker.producerEpoch, marker.commit, marker.coordinatorEpoch, placed.baseOffset, nowMs);
    if (aborted !== undefined) this.#active.aborted.add(aborted);
    this.#grown();
    return placed.baseOffset;
  }

  /** Something was appended: readers are told once they may see it. */
  #grown(): void {
    if (this.#visible === undefined) this.#changed();
    else this.#host.syncs.grew(this);
  }

  /** The sync group's: what is here now becomes visible when it is on the device, open transactions as they are now. */
  syncBegins(): () => void {
    const visible = this.#asOfNow();
    return () => {
      this.#visible = visible;
      this.#changed();
    };
  }

  #asOfNow(): Visible {
    return { end: this.logEnd, stable: this.#stableEnd };
  }

  /** Gives the batch its offsets and writes it. A text instead of the batch says why the disk refused. */
  #place(batch: RecordBatchView, nowMs: number): RecordBatchView | string {
    if (this.#closed) return 'the partition is closed';
    if (this.#failure !== undefined) return this.#failure;
    const baseOffset = this.logEnd;
    const lastOffset = baseOffset + (batch.lastOffset - batch.baseOffset);
    try {
      if (this.#rollIsDue(batch, lastOffset, nowMs)) this.roll();
      patchBaseOffset(batch.buffer, batch.start, baseOffset, this.leaderEpoch);
      const placed = new RecordBatchView(batch.buffer, batch.start, batch.end);
      this.#active.append(placed, nowMs);
      this.#appended = true;
      this.#touch(placed);
      this.#epochs.note(this.leaderEpoch, baseOffset);
      return placed;
    } catch (error) {
      return this.#storageFailed(error);
    }
  }

  /** Lets the sync group know of an append: `flush.messages` asks for the device after so many records, whatever the broker's setting. */
  #touch(placed: RecordBatchView): void {
    const { flushMessages } = this.#config();
    this.#unflushed += placed.lastOffset - placed.baseOffset + 1;
    const demanded = this.#unflushed >= flushMessages;
    if (demanded) this.#unflushed = 0;
    this.#host.syncs.touch(this.#active.logPath, demanded);
  }

  /** The write failed. If the file could be cut back the next one may succeed; if not, the partition takes no more until a restart recovers it. */
  #storageFailed(error: unknown): string {
    const text = `the disk refused a write to ${this.directory}: ${error instanceof Error ? error.message : String(error)}`;
    this.#host.log.error({ topic: this.topic, partition: this.partition, error: text }, 'append failed');
    try {
      const active = this.#active;
      if (active.fileBytes() !== active.sizeBytes) this.#failure = text;
    } catch {
      this.#failure = text;
    }
    return text;
  }

  #rollIsDue(batch: RecordBatchView, lastOffset: number, nowMs: number): boolean {
    const active = this.#active;
    if (active.sizeBytes === 0) return false;
    const config = this.#config();
    const time = batch.maxTimestamp < 0 ? nowMs : batch.maxTimestamp;
    const spanMs = config.compact ? Math.min(config.segmentMs, config.maxCompactionLagMs) : config.segmentMs; // an active segment is never compacted
    return active.isFullFor(batch.sizeBytes, lastOffset, config.segmentBytes) || time - active.firstTimestampMs > spanMs;
  }

  /** Finishes the active segment and begins a new one. Nothing happens while it is empty. */
  roll(): void {
    const finished = this.#active;
    if (finished.sizeBytes === 0) return;
    finished.saveIndex();
    this.#saveSnapshot();
    const next = new Segment(this.#host.files, this.directory, finished.nextOffset);
    this.#host.files.create(next.logPath);
    const demanded = Number.isFinite(this.#config().flushMessages);
    this.#host.syncs.touchDirectory(this.directory, demanded);
    if (demanded) this.#host.syncs.touch(finished.logPath, true);
    this.#segments.push(next);
    this.#places.clear(); // a place at the end of the finished segment would look like the end of the log
    // In order, and not past one that failed: a recovery point speaks for everything before it.
    this.#advancing = this.#advancing.then(() => this.#advanceRecoveryPoint(finished, demanded));
    this.#advancing.catch((error: unknown) =>
      this.#host.log.warn({ topic: this.topic, partition: this.partition, error: String(error) }, 'a finished segment could not be synced'),
    );
  }

  /** Once the finished segment is on the device, a recovery need not read it again. */
  async #advanceRecoveryPoint(finished: Segment, demanded: boolean): Promise<void> {
    try {
      await this.#host.files.syncLater(finished.logPath);
    } catch (error) {
      this.#host.syncs.failed(error, demanded);
      throw error;
    }
    if (this.#closed || finished.nextOffset <= this.#state.facts.recoveryPoint) return;
    this.#saveState({ logStart: this.#logStart, recoveryPoint: finished.nextOffset });
  }

  #saveSnapshot(): void {
    const { files } = this.#host;
    const path = files.disk.join(this.directory, snapshotFileName(this.logEnd));
    files.disk.remove(path);
    const file = files.disk.open(path, 'openOrCreate');
    try {
      file.write(encodeSnapshot(this.logEnd, this.#producers, this.#epochs.starts), 0);
    } finally {
      file.close();
    }
    // A recovery begins at a segment's base: besides the newest, the snapshots there are the ones it can use.
    const useful = new Set([this.logEnd, ...this.#segments.slice(-2).map((segment) => segment.baseOffset)].map(snapshotFileName));
    for (const entry of files.disk.list(this.directory))
      if (entry.name.endsWith('.snapshot') && !useful.has(entry.name)) files.disk.remove(files.disk.join(this.directory, entry.name));
  }

  // ---- read -----------------------------------------------------------------------------------------------------------

  /**
   * Whole batches from the one that holds `offset` on, below `upTo`, within `bytesMax` (the first batch even beyond it when `atLeastOne`).
   * The caller has checked logStart ≤ offset ≤ logEnd. Throws ERR_RECORD_BATCH_CORRUPT where the file has rotted. The file is read straight into
   * what `lend` gives.
   */
  read(offset: number, upTo: number, bytesMax: number, atLeastOne: boolean, lend: Lend = Buffer.allocUnsafe): LogRead {
    if (offset >= upTo || (bytesMax <= 0 && !atLeastOne)) return { bytes: NO_BYTES, nextOffset: offset };
    const { segment, position } = this.#places.find(this.#segments, offset);
    const run = readRun({ segment, position }, { offset, upTo, logEnd: this.logEnd, bytesMax, atLeastOne }, lend);
    if (run.bytes.length > 0) this.#places.remember(run.nextOffset, { segment, position: position + run.bytes.length }, segment === this.#active);
    return run;
  }

  /** Bytes from the batch that holds `offset` to the log end: what `min_bytes` is measured against. */
  bytesFrom(offset: number): number {
    if (offset >= this.logEnd) return 0;
    const { segment, position } = this.#places.find(this.#segments, offset);
    let total = -position;
    for (let at = this.#segments.indexOf(segment); at < this.#segments.length; at++) total += (this.#segments[at] as Segment).sizeBytes;
    return total;
  }

  /** Aborted transactions a read_committed reader of [from, to) must know, in order of their first offset. */
  abortedIn(from: number, to: number): AbortedTransaction[] {
    const found: AbortedTransaction[] = [];
    for (const segment of this.#segments) if (segment.nextOffset > from) collectAborted(segment.aborted, from, to, found);
    return found.sort((left, right) => left.firstOffset - right.firstOffset);
  }

  /** First record at or after the log start, below `upTo`, whose timestamp is ≥ `timeMs`. */
  offsetForTime(timeMs: number, upTo: number): FoundOffset | undefined {
    return offsetForTime(this.#segments, this.#logStart, timeMs, upTo);
  }

  /** The record with the largest timestamp, the first of equals; undefined for an empty log. */
  offsetOfMaxTimestamp(): FoundOffset | undefined {
    return offsetOfMaxTimestamp(this.#segments, this.#logStart);
  }

  /** Visits every batch from the log start on; `visit` returns false to stop. Views are valid during the call only. */
  scan(visit: (batch: RecordBatchView) => boolean): void {
    let going = true;
    for (const segment of this.#segments) {
      if (!going || segment.nextOffset <= this.#logStart || segment.sizeBytes === 0) continue;
      segment.scan(segment.positionOf(this.#logStart), (batch) => (going = visit(batch)));
    }
  }

  // ---- upkeep ---------------------------------------------------------------------------------------------------------

  /** Raises the log start, durably as the setting asks, and drops segments that lie wholly below it. */
  raiseLogStart(offset: number): void {
    assert(offset <= this.logEnd, `log start ${offset} past the log end ${this.logEnd}`);
    if (offset <= this.#logStart) return;
    this.#saveState({ logStart: offset, recoveryPoint: this.#state.facts.recoveryPoint });
    this.#logStart = offset;
    this.dropSegments(this.#segments.filter((segment) => segment !== this.#active && segment.nextOffset <= offset));
    this.#changed();
  }

  /** Removes finished segments from the head of the log. The log start must be past them already, or is raised here. */
  dropSegments(doomed: readonly Segment[]): void {
    if (doomed.length === 0) return;
    this.#places.clear();
    const keep = this.#segments.filter((segment) => !doomed.includes(segment));
    assert(keep.length > 0 && keep.at(-1) === this.#active, `${this.directory}: the active segment may not be dropped`);
    const start = (keep[0] as Segment).baseOffset;
    if (start > this.#logStart) {
      this.#logStart = start;
      this.#saveState({ logStart: start, recoveryPoint: this.#state.facts.recoveryPoint });
    }
    this.#segments = keep;
    for (const segment of doomed) segment.remove();
    this.#changed();
  }

  /** Compaction has put `replacement` on disk in place of `replaced` (neighbours, none of them active). */
  replaceSegments(replaced: readonly Segment[], replacement: Segment): void {
    this.#places.clear();
    const at = this.#segments.indexOf(replaced[0] as Segment);
    assert(at >= 0 && !replaced.includes(this.#active), `${this.directory}: cannot replace segments that are not there`);
    this.#segments.splice(at, replaced.length, replacement);
  }

  /** Forgets producers idle since before `beforeMs`. */
  expireProducers(beforeMs: number): void {
    this.#producers.expire(beforeMs);
  }

  /** Brings what was appended to the device and writes the side files that make the next start quick. No append may follow. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#failure === undefined && this.#appended) {
      const { files } = this.#host;
      for (const segment of this.#segments) if (segment.nextOffset > this.#state.facts.recoveryPoint) files.file(segment.logPath).sync();
      this.#saveState({ logStart: this.#logStart, recoveryPoint: this.logEnd });
    }
    if (this.#failure === undefined && (this.#appended || !this.#sideFilesFresh)) {
      this.#active.saveIndex();
      this.#saveSnapshot();
    }
    this.#changed();
    this.#watchers.clear();
  }

  /** The topic is deleted: readers wake up, nothing is written any more. */
  abandon(): void {
    this.#closed = true;
    for (const segment of this.#segments) this.#host.files.release(segment.logPath);
    this.#host.files.release(this.#state.path);
    this.#changed();
    this.#watchers.clear();
  }

  #saveState(facts: PartitionFacts): void {
    if (this.#state.save(facts)) this.#host.syncs.touchDirectory(this.directory);
    this.#host.syncs.touch(this.#state.path);
  }

  get #stableEnd(): number {
    return this.#producers.firstOpenOffset ?? this.logEnd;
  }
  get #active(): Segment {
    return this.#segments[this.#segments.length - 1] as Segment;
  }
  #changed(): void {
    for (const run of this.#watchers) run();
  }
}
