// What a topology has written to one topic, all partitions in the order of writing: encoded by the real sinks into real batches.
// Owns: those batches.  Never: runs anything, forgets a record (a test reads what it likes, when it likes).
// L1 what was written since the last `keep` can be taken back, and nothing else can.  L2 a topic that the topology reads itself has one
// record a batch, so that each can go to its task as it is; others share batches.
import { assert } from '@millrace/core';
import { type BatchBuilder, type BatchPool, patchBaseOffset, type RecordBatchView, RecordReader, readBatches } from '@millrace/protocol';
import type { OutputLane } from '@millrace/runtime';

const BATCH_BYTES = 256 * 1024;
const UNSENT = { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false } as const;

interface Chunk {
  readonly view: RecordBatchView;
  /** Index of its first record in the topic. */
  readonly first: number;
  /** Records of it that count: fewer than it holds where the end was taken back. */
  readonly count: number;
}

/** Header and records of `builder` as bytes of their own, at `offset`; the builder goes back to its pool. */
export function sealedView(builder: BatchBuilder, offset: number): RecordBatchView {
  const bytes = Buffer.from(builder.seal(UNSENT));
  builder.release();
  return viewAt(bytes, offset);
}

function viewAt(bytes: Buffer, offset: number): RecordBatchView {
  patchBaseOffset(bytes, 0, offset, 0);
  const view = readBatches(bytes, 0, bytes.length, { checkCrc: false })[0];
  assert(view !== undefined, 'a sealed batch is a whole one');
  return view;
}

export interface TopicLogOptions {
  readonly name: string;
  readonly partitions: number;
  /** The topology reads this topic itself. */
  readonly consumed: boolean;
  readonly pool: BatchPool;
  /** The first record since the last `keep` is about to be written. */
  readonly onWrite: (log: TopicLog) => void;
}

export class TopicLog {
  readonly name: string;
  readonly partitions: number;
  readonly consumed: boolean;
  /** Records that stay. */
  kept = 0;
  readonly #options: TopicLogOptions;
  readonly #lanes: OutputLane[] = [];
  #chunks: Chunk[] = [];
  /** Records in `#chunks`. */
  #sealed = 0;
  #builder: BatchBuilder | undefined;
  /** Partition of each record; not used while there is one partition only. */
  readonly #partitionOf: number[] = [];
  #writing = 0;
  #written = false;

  constructor(options: TopicLogOptions) {
    this.#options = options;
    this.name = options.name;
    this.partitions = options.partitions;
    this.consumed = options.consumed;
  }

  lane(partition: number): OutputLane {
    return (this.#lanes[partition] ??= this.#createLane(partition));
  }

  /** Records written since the last `keep` are there to stay. */
  keep(): void {
    this.#attribute();
    this.kept = this.#count;
    this.#written = false;
  }

  /** Records written since the last `keep` have never been. */
  takeBack(): void {
    this.#seal();
    while (this.#sealed > this.kept) {
      const last = this.#chunks.pop() as Chunk;
      this.#sealed = last.first;
      if (last.first < this.kept) {
        this.#chunks.push({ ...last, count: this.kept - last.first });
        this.#sealed = this.kept;
      }
    }
    this.#partitionOf.length = Math.min(this.#partitionOf.length, this.kept);
    this.#written = false;
  }

  partitionOf(index: number): number {
    return this.partitions === 1 ? 0 : (this.#partitionOf[index] as number);
  }

  /** Of a consumed topic: the batch that holds record `index` and nothing else, as it lies at `offset` of its partition. */
  single(index: number, offset: number): RecordBatchView {
    this.#seal();
    const chunk = this.#chunks[index];
    assert(this.consumed && chunk?.count === 1, `topic ${this.name} keeps one record a batch`);
    return viewAt(chunk.view.buffer, offset);
  }

  /** Visits kept records from `index` on; the reader is the same object each time. */
  visit(from: number, see: (reader: RecordReader, index: number) => void): void {
    this.#seal();
    const reader = new RecordReader();
    for (const chunk of this.#chunks) {
      if (chunk.first + chunk.count <= from) continue;
      reader.reset(chunk.view);
      for (let at = 0; at < chunk.count && chunk.first + at < this.kept; at++) {
        reader.next();
        if (chunk.first + at >= from) see(reader, chunk.first + at);
      }
    }
  }

  get #count(): number {
    return this.#sealed + (this.#builder?.count ?? 0);
  }

  #createLane(partition: number): OutputLane {
    const log = this;
    return {
      room: (bytes) => log.#room(partition, bytes),
      alone: () => log.#room(partition, BATCH_BYTES), // so much more never fits beside anything
      get holdsOne() {
        return log.#builder?.count === 1;
      },
      discardLast() {
        assert(log.#builder?.count === 1, 'only a batch of one record is taken back');
        log.#builder.release();
        log.#builder = undefined;
      },
    };
  }

  #room(partition: number, bytes: number): BatchBuilder {
    if (!this.#written) {
      this.#written = true;
      this.#options.onWrite(this);
    }
    this.#attribute();
    this.#writing = partition;
    const builder = this.#builder;
    if (builder !== undefined && (builder.count === 0 || (!this.consumed && builder.sizeBytes + bytes <= BATCH_BYTES))) return builder;
    this.#seal();
    return (this.#builder = this.#options.pool.take());
  }

  /** Room was asked for before a record was written: only now is it known that it was. */
  #attribute(): void {
    if (this.partitions === 1) return;
    const count = this.#count;
    while (this.#partitionOf.length < count) this.#partitionOf.push(this.#writing);
  }

  #seal(): void {
    this.#attribute();
    const builder = this.#builder;
    if (builder === undefined || builder.count === 0) return;
    const { count } = builder;
    this.#chunks.push({ view: sealedView(builder, 0), first: this.#sealed, count });
    this.#sealed += count;
    this.#builder = undefined;
  }
}
