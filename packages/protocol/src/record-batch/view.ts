// One record batch inside a larger buffer: its header as plain numbers, its records untouched.
// Owns: nothing, it points into somebody's buffer.  Never: copies, decompresses, walks records.
// B1 start + sizeBytes = end, and the header lies inside.  B2 0 ≤ count.  B3 every number is a safe integer.
import { readInt64 } from '../reader.ts';
import { batchError } from '../wire-error.ts';
import {
  AT_ATTRIBUTES,
  AT_BASE_OFFSET,
  AT_BASE_SEQUENCE,
  AT_BASE_TIMESTAMP,
  AT_COUNT,
  AT_LAST_OFFSET_DELTA,
  AT_LEADER_EPOCH,
  AT_MAX_TIMESTAMP,
  AT_PRODUCER_EPOCH,
  AT_PRODUCER_ID,
  COMPRESSION_MASK,
  CONTROL_BIT,
  DELETE_HORIZON_BIT,
  LOG_APPEND_TIME_BIT,
  TRANSACTIONAL_BIT,
} from './layout.ts';

/** Room for any record's delta beside a safe base: beyond it a timestamp is nonsense, not a time. */
const SAFE_BASE_MAX = Number.MAX_SAFE_INTEGER - 0x1_0000_0000;

export class RecordBatchView {
  readonly buffer: Buffer;
  /** First byte of the header. */
  readonly start: number;
  /** First byte after the batch. */
  readonly end: number;
  readonly baseOffset: number;
  /** Base offset + last offset delta; the next fetch begins one past it, whatever records are left (compaction leaves gaps). */
  readonly lastOffset: number;
  /** Records in the batch; 0 in a batch that compaction emptied. */
  readonly count: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  /** -1: none. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly leaderEpoch: number;
  readonly attributes: number;

  /** The caller has checked that `[start, end)` holds a whole batch with magic 2 (readBatches does). */
  constructor(buffer: Buffer, start: number, end: number) {
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    this.baseOffset = readInt64(buffer, start + AT_BASE_OFFSET);
    this.leaderEpoch = buffer.readInt32BE(start + AT_LEADER_EPOCH);
    this.attributes = buffer.readInt16BE(start + AT_ATTRIBUTES);
    const lastOffsetDelta = buffer.readInt32BE(start + AT_LAST_OFFSET_DELTA);
    this.lastOffset = this.baseOffset + lastOffsetDelta;
    this.baseTimestamp = readInt64(buffer, start + AT_BASE_TIMESTAMP);
    this.maxTimestamp = readInt64(buffer, start + AT_MAX_TIMESTAMP);
    this.producerId = readInt64(buffer, start + AT_PRODUCER_ID);
    this.producerEpoch = buffer.readInt16BE(start + AT_PRODUCER_EPOCH);
    this.baseSequence = buffer.readInt32BE(start + AT_BASE_SEQUENCE);
    this.count = buffer.readInt32BE(start + AT_COUNT);
    if (
      this.baseOffset < 0 ||
      lastOffsetDelta < -1 ||
      this.lastOffset > Number.MAX_SAFE_INTEGER ||
      Math.abs(this.baseTimestamp) > SAFE_BASE_MAX ||
      Math.abs(this.maxTimestamp) > SAFE_BASE_MAX ||
      !Number.isSafeInteger(this.producerId) ||
      this.count < 0 ||
      this.count > lastOffsetDelta + 1
    )
      throw batchError(`record batch header holds impossible numbers (offset ${this.baseOffset}, last offset delta ${lastOffsetDelta}, count ${this.count})`, {
        at: start,
        offset: this.baseOffset,
      });
  }

  get sizeBytes(): number {
    return this.end - this.start;
  }
  /** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; 5-7 mean nothing. */
  get compression(): number {
    return this.attributes & COMPRESSION_MASK;
  }
  get transactional(): boolean {
    return (this.attributes & TRANSACTIONAL_BIT) !== 0;
  }
  /** The batch holds a transaction marker, not data. */
  get control(): boolean {
    return (this.attributes & CONTROL_BIT) !== 0;
  }
  /** The broker set the time: every record's timestamp is `maxTimestamp`. */
  get logAppendTime(): boolean {
    return (this.attributes & LOG_APPEND_TIME_BIT) !== 0;
  }
  get hasDeleteHorizon(): boolean {
    return (this.attributes & DELETE_HORIZON_BIT) !== 0;
  }
  /** Sequence of the last record; -1 without a producer id. Sequences wrap to 0 after 2^31-1, inside a batch too. */
  get lastSequence(): number {
    return this.baseSequence < 0 ? -1 : sequenceAfter(this.baseSequence, this.lastOffset - this.baseOffset);
  }
}

/** `sequence` advanced by `by`, modulo 2^31. */
export function sequenceAfter(sequence: number, by: number): number {
  return (sequence + by) % 0x8000_0000;
}
