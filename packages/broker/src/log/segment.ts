// One segment of a partition's log: a file of whole batches from a base offset on, with what is known about them.
// Owns: the file's length, the index, the aborted transactions whose marker lies here, the largest timestamp.
// Never: decides when to roll or to delete, assigns offsets, knows producers.
// G1 the file holds whole, sound batches up to `sizeBytes`; what lies behind is cut before the next append.
// G2 everything but the batches can be rebuilt from them; `.index` is a copy written when the segment is finished or the log closed.
import { assert } from '@millrace/core';
import { crc32c, type RecordBatchView } from '@millrace/protocol';
import { AbortedIndex } from './aborted-index.ts';
import { BATCH_HEADER, baseOffsetAt, damaged, lastOffsetAt, maxTimestampAt, stepAt } from './batch-header.ts';
import { indexFileName, logFileName } from './file-names.ts';
import { INDEX_ENTRIES_MAX, INDEX_INTERVAL_BYTES, SegmentIndex } from './index.ts';
import type { OpenFiles } from './open-files.ts';
import { scanBatches } from './scan.ts';

/** Offsets in one segment fit 32 bits: more rolls it. */
const RELATIVE_OFFSET_MAX = 0x7fff_ffff;
const INDEX_MAGIC = 0x4d524958; // "MRIX"
const INDEX_VERSION = 1;
const INDEX_HEADER = 64;
const WALK_BYTES = 16 * 1024;

export class Segment {
  readonly baseOffset: number;
  readonly logPath: string;
  readonly indexPath: string;
  readonly #files: OpenFiles;
  index = new SegmentIndex();
  aborted = new AbortedIndex();
  sizeBytes = 0;
  /** Offset after the last batch. */
  nextOffset: number;
  /** -1 while empty. */
  maxTimestampMs = -1;
  /** Last offset of the batch with the largest timestamp. */
  maxTimestampOffset = -1;
  /** Largest timestamp of the first batch, or when it was written if it has none: when the segment began, for rolling by time. -1 while empty. */
  firstTimestampMs = -1;
  #bytesSinceEntry = 0;

  constructor(files: OpenFiles, directory: string, baseOffset: number) {
    this.#files = files;
    this.baseOffset = baseOffset;
    this.nextOffset = baseOffset;
    this.logPath = files.disk.join(directory, logFileName(baseOffset));
    this.indexPath = files.disk.join(directory, indexFileName(baseOffset));
  }

  /** True when these bytes with these offsets no longer fit in. */
  isFullFor(bytes: number, lastOffset: number, segmentBytesMax: number): boolean {
    if (this.sizeBytes === 0) return false;
    return this.sizeBytes + bytes > segmentBytesMax || lastOffset - this.baseOffset > RELATIVE_OFFSET_MAX || this.index.count >= INDEX_ENTRIES_MAX;
  }

  /** Writes the batch behind the last one. When the disk refuses, the file is cut back and the error goes up: nothing has changed. */
  append(batch: RecordBatchView, nowMs: number): void {
    assert(batch.baseOffset >= this.nextOffset, `batch at ${batch.baseOffset} behind log end ${this.nextOffset}`);
    const file = this.#files.file(this.logPath);
    const bytes = batch.buffer.subarray(batch.start, batch.end);
    try {
      file.write(bytes, this.sizeBytes);
    } catch (error) {
      file.truncate(this.sizeBytes);
      throw error;
    }
    this.note(batch, this.sizeBytes, nowMs);
  }

  /** Takes the batch at `position` into the index and the figures (after a write, or while scanning). `nowMs` stands for a time that the batch does not have. */
  note(batch: RecordBatchView, position: number, nowMs: number): void {
    if (this.#bytesSinceEntry > INDEX_INTERVAL_BYTES) {
      this.index.add(batch.baseOffset - this.baseOffset, position, this.maxTimestampMs);
      this.#bytesSinceEntry = 0;
    }
    this.#bytesSinceEntry += batch.sizeBytes;
    this.sizeBytes = position + batch.sizeBytes;
    this.nextOffset = batch.lastOffset + 1;
    if (this.firstTimestampMs < 0) this.firstTimestampMs = batch.maxTimestamp < 0 ? nowMs : batch.maxTimestamp;
    if (batch.count > 0 && batch.maxTimestamp > this.maxTimestampMs) {
      this.maxTimestampMs = batch.maxTimestamp;
      this.maxTimestampOffset = batch.lastOffset;
    }
  }

  /** Reads up to `length` bytes at `position`; returns how many there were. */
  read(target: Buffer, targetStart: number, length: number, position: number): number {
    return this.#files.file(this.logPath).read(target, targetStart, Math.min(length, this.sizeBytes - position), position);
  }

  /** Position of the batch that holds `offset`, or of the first one after it; `sizeBytes` when there is none. One whose offsets go back is not passed over. */
  positionOf(offset: number): number {
    if (offset >= this.nextOffset) return this.sizeBytes;
    if (offset <= this.baseOffset) return 0;
    let position = this.index.positionForOffset(offset - this.baseOffset);
    const walk = Buffer.allocUnsafe(Math.min(WALK_BYTES, this.sizeBytes - position));
    let next = this.baseOffset;
    while (position < this.sizeBytes) {
      const held = this.read(walk, 0, walk.length, position);
      if (held < BATCH_HEADER) throw damaged(this.logPath, position, `${held} bytes where a batch should begin`);
      let at = 0;
      while (held - at >= BATCH_HEADER) {
        const first = baseOffsetAt(walk, at);
        const last = lastOffsetAt(walk, at);
        if (first < next || last < first) throw damaged(this.logPath, position + at, `a batch of the offsets ${first} to ${last} where ${next} is next`);
        if (last >= offset) return position + at;
        next = last + 1;
        at += stepAt(walk, at, this.logPath, position + at, this.sizeBytes - position - at);
      }
      position += at;
    }
    return this.sizeBytes;
  }

  /** Position and facts of the first batch at or after `fromOffset` whose largest timestamp is ≥ `timeMs`. */
  batchForTime(timeMs: number, fromOffset: number): { readonly position: number; readonly sizeBytes: number } | undefined {
    if (this.maxTimestampMs < timeMs) return undefined;
    let position = Math.max(this.index.positionForTime(timeMs), this.positionOf(fromOffset));
    const walk = Buffer.allocUnsafe(BATCH_HEADER);
    while (position < this.sizeBytes) {
      this.read(walk, 0, BATCH_HEADER, position);
      const sizeBytes = stepAt(walk, 0, this.logPath, position, this.sizeBytes - position);
      if (maxTimestampAt(walk, 0) >= timeMs && lastOffsetAt(walk, 0) >= fromOffset) return { position, sizeBytes };
      position += sizeBytes;
    }
    return undefined;
  }

  /** Visits batches from `position` on; `visit` returns false to stop. Data was checked when it was appended or recovered. */
  scan(position: number, visit: (batch: RecordBatchView, position: number) => boolean): void {
    const end = scanBatches(this.#files.file(this.logPath), { from: position, to: this.sizeBytes, checkCrc: false }, visit);
    if (end.damage !== undefined) throw damaged(this.logPath, end.position, end.damage);
  }

  /** Forgets what is known and reads the file anew with CRC checks; `onBatch` sees each sound batch and may refuse it with a reason. What lies behind the last good one is cut off. */
  rebuild(nowMs: number, onBatch: (batch: RecordBatchView) => string | undefined): { readonly damage: string | undefined } {
    this.index.clear();
    this.aborted = new AbortedIndex();
    Object.assign(this, { sizeBytes: 0, nextOffset: this.baseOffset, maxTimestampMs: -1, maxTimestampOffset: -1, firstTimestampMs: -1 });
    this.#bytesSinceEntry = 0;
    const file = this.#files.file(this.logPath);
    const fileBytes = file.size();
    let refusal: string | undefined;
    const end = scanBatches(file, { from: 0, to: fileBytes, checkCrc: true }, (batch, position) => {
      refusal = batch.baseOffset < this.nextOffset ? `offset ${batch.baseOffset} after ${this.nextOffset - 1}` : onBatch(batch);
      if (refusal !== undefined) return false;
      this.note(batch, position, nowMs);
      return true;
    });
    const damage = refusal ?? end.damage;
    if (this.sizeBytes < fileBytes) {
      file.truncate(this.sizeBytes);
      file.sync(); // or a power loss could bring the cut tail back behind what is appended next
    }
    return { damage };
  }

  /** Writes what can be rebuilt to `.index`, so that the next start need not scan. */
  saveIndex(): void {
    const bytes = Buffer.alloc(INDEX_HEADER + this.index.sizeBytes + this.aborted.sizeBytes + 4);
    bytes.writeUInt32BE(INDEX_MAGIC, 0);
    bytes.writeUInt16BE(INDEX_VERSION, 4);
    bytes.writeUInt32BE(this.index.count, 8);
    bytes.writeUInt32BE(this.aborted.entries.length, 12);
    const facts = [this.sizeBytes, this.nextOffset, this.firstTimestampMs, this.maxTimestampMs, this.maxTimestampOffset, this.#bytesSinceEntry];
    for (const [slot, value] of facts.entries()) bytes.writeDoubleBE(value, 16 + slot * 8);
    const end = this.aborted.encode(bytes, this.index.encode(bytes, INDEX_HEADER));
    bytes.writeUInt32BE(crc32c(bytes, 0, end), end);
    const file = this.#files.disk.open(this.indexPath, 'openOrCreate');
    try {
      file.truncate(0);
      file.write(bytes, 0);
    } finally {
      file.close();
    }
  }

  /** Takes over `.index`. False when it is missing, damaged, or not about this file as it is. */
  loadIndex(): boolean {
    const disk = this.#files.disk;
    if (!disk.exists(this.indexPath)) return false;
    const bytes = Buffer.from(disk.readWhole(this.indexPath));
    if (bytes.length < INDEX_HEADER + 4 || bytes.readUInt32BE(0) !== INDEX_MAGIC || bytes.readUInt16BE(4) !== INDEX_VERSION) return false;
    const end = bytes.length - 4;
    if (crc32c(bytes, 0, end) !== bytes.readUInt32BE(end)) return false;
    const slot = (at: number): number => bytes.readDoubleBE(16 + at * 8);
    const sizeBytes = slot(0);
    if (this.#files.file(this.logPath).size() < sizeBytes) return false;
    const entries = bytes.readUInt32BE(8);
    this.index = SegmentIndex.decode(bytes, INDEX_HEADER, entries);
    this.aborted = AbortedIndex.decode(bytes, INDEX_HEADER + this.index.sizeBytes, bytes.readUInt32BE(12));
    this.sizeBytes = sizeBytes;
    this.nextOffset = slot(1);
    this.firstTimestampMs = slot(2);
    this.maxTimestampMs = slot(3);
    this.maxTimestampOffset = slot(4);
    this.#bytesSinceEntry = slot(5);
    return true;
  }

  /** Bytes in the file, which may be more than `sizeBytes` after an unclean stop. */
  fileBytes(): number {
    return this.#files.file(this.logPath).size();
  }

  /** Closes the handle and removes both files. */
  remove(): void {
    this.#files.release(this.logPath);
    this.#files.disk.remove(this.logPath);
    this.#files.disk.remove(this.indexPath);
  }
}
