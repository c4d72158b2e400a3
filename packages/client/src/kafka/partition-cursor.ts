// Where a consumer stands in one partition, and what has been fetched of it.
// Owns: positions, back-off, what is held.  Never: talks to a broker.
// P1 position ≤ fetchOffset: what lies between was fetched and waits for `poll`.
// P2 a cursor that is not live is no longer assigned: answers for it are dropped.  P3 one fetch at a time.
import type { Offset } from '@millrace/core';
import type { RecordBatchView } from '@millrace/protocol';
import type { FetchedPartition } from '../port.ts';
import type { PooledFrame } from './frame-pool.ts';

export class PartitionCursor {
  readonly topic: string;
  readonly partition: number;
  /** The next offset that `poll` hands out. */
  position: Offset;
  /** The next offset to ask for. */
  fetchOffset: Offset;
  live = true;
  paused = false;
  /** Reported out of range, recreated or failed: not fetched until assigned anew. */
  stopped = false;
  /** A fetch, or a question about the log's shape, is under way. */
  busy = false;
  /** Bytes fetched and not released. */
  heldBytes = 0;
  /** Leader epoch of the last batch seen; -1 before the first. */
  lastEpoch = -1;
  /** Leader epoch under which the last fetch was made; -1 before the first. */
  leaderEpoch = -1;
  highWatermark: Offset | undefined;
  lastStableOffset: Offset | undefined;
  logStart = 0 as Offset;
  /** Failures in a row, when the first was, and when to try again (monotonic ms). */
  failures = 0;
  failingSinceMs = 0;
  retryAtMs = 0;
  /** Where the last batch was corrupt; the same place twice stops the partition. */
  corruptAt = -1;
  /** Where the last answer went past the log end that it told. */
  beyondAt = -1;

  constructor(topic: string, partition: number, offset: Offset) {
    this.topic = topic;
    this.partition = partition;
    this.position = offset;
    this.fetchOffset = offset;
  }
}

/** What one fetch brought of a partition. */
export class FetchedRun implements FetchedPartition {
  readonly cursor: PartitionCursor;
  readonly topic: string;
  readonly partition: number;
  readonly batches: readonly RecordBatchView[];
  readonly firstOffset: Offset;
  readonly nextOffset: Offset;
  readonly highWatermark: Offset;
  readonly lastStableOffset: Offset;
  readonly logStart: Offset;
  readonly leaderEpoch: number;
  readonly bytes: number;
  assignment = 0;
  readonly #frame: PooledFrame | undefined;
  readonly #onRelease: (run: FetchedRun) => void;
  #released = false;

  /** `cursor` has seen the last batch. Holds `frame` once. */
  constructor(
    cursor: PartitionCursor,
    batches: readonly RecordBatchView[],
    nextOffset: Offset,
    bytes: number,
    frame: PooledFrame | undefined,
    onRelease: (run: FetchedRun) => void,
  ) {
    this.cursor = cursor;
    this.topic = cursor.topic;
    this.partition = cursor.partition;
    this.batches = batches;
    this.firstOffset = cursor.fetchOffset;
    this.nextOffset = nextOffset;
    this.highWatermark = cursor.highWatermark ?? (0 as Offset);
    this.lastStableOffset = cursor.lastStableOffset ?? (0 as Offset);
    this.logStart = cursor.logStart;
    this.leaderEpoch = cursor.lastEpoch;
    this.bytes = bytes;
    this.#frame = frame;
    this.#onRelease = onRelease;
    frame?.hold();
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#frame?.release();
    this.#onRelease(this);
  }
}
