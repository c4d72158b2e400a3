// A log in memory behind the client's ports, for tests of the worker: partitions of real batches, transactions with markers and
// aborts, last stable offset, generation checks. Every request passes a gate, so a test can hold it, refuse it, or lose its answer.
// Never: compacts, expires, times out by itself.
import type {
  CommittedOffset,
  FetchedPartition,
  GroupMetadata,
  LogAdmin,
  LogConsumer,
  LogProducer,
  OffsetToCommit,
  PartitionStart,
  PollEvent,
} from '@millrace/client';
import { assert, MillraceError, noHeaders, type Offset, partitionKey, type RecordHeaders, type TopicPartition } from '@millrace/core';
import { type BatchBuilder, BatchPool, patchBaseOffset, type RecordBatchView, RecordReader, readBatches } from '@millrace/protocol';

interface Transaction {
  state: 'open' | 'committed' | 'aborted';
  readonly touched: Set<MemoryPartition>;
  readonly offsets: Map<string, CommittedOffset>;
}

interface Entry {
  readonly base: number;
  readonly last: number;
  /** Undefined: a marker. */
  readonly view: RecordBatchView | undefined;
  readonly transaction: Transaction | undefined;
  readonly leaderEpoch: number;
}

export interface LogRow {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: RecordHeaders;
  readonly visible: boolean;
}

class MemoryPartition {
  readonly topic: string;
  readonly partition: number;
  start = 0;
  end = 0;
  entries: Entry[] = [];
  leaderEpoch = 0;
  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }
  append(bytes: Buffer, transaction: Transaction | undefined): number {
    const copy = Buffer.from(bytes);
    patchBaseOffset(copy, 0, this.end, this.leaderEpoch);
    const view = readBatches(copy, 0, copy.length, { checkCrc: true })[0];
    assert(view !== undefined, 'a whole batch is appended');
    this.entries.push({ base: this.end, last: view.lastOffset, view, transaction, leaderEpoch: this.leaderEpoch });
    this.end = view.lastOffset + 1;
    return view.baseOffset;
  }
  marker(): void {
    this.entries.push({ base: this.end, last: this.end, view: undefined, transaction: undefined, leaderEpoch: this.leaderEpoch });
    this.end += 1;
  }
  /** An unclean leader change: the new leader never had what lies at or after `end`. */
  loseTail(end: number): void {
    this.entries = this.entries.filter(({ last }) => last < end);
    this.end = Math.min(this.end, end);
    this.leaderEpoch += 1;
  }
  endOfEpoch(epoch: number): number {
    if (epoch > this.leaderEpoch) return -1;
    return this.entries.find(({ leaderEpoch }) => leaderEpoch > epoch)?.base ?? this.end;
  }
  get lastStable(): number {
    return this.entries.find(({ transaction }) => transaction?.state === 'open')?.base ?? this.end;
  }
}

/** What happens at the broker, in order; `gate` sees each before it takes effect. */
export type LogCall =
  | { readonly kind: 'initialise' }
  | { readonly kind: 'send'; readonly topic: string; readonly partition: number; readonly count: number }
  | { readonly kind: 'sendOffsets'; readonly group: GroupMetadata; readonly offsets: readonly OffsetToCommit[] }
  | { readonly kind: 'end'; readonly commit: boolean }
  | { readonly kind: 'commitOffsets'; readonly group: GroupMetadata; readonly offsets: readonly OffsetToCommit[] }
  | { readonly kind: 'committedOffsets' }
  | { readonly kind: 'listOffsets' }
  | { readonly kind: 'fence'; readonly id: string };

/** Awaited before the call takes effect; throwing refuses it. `after` runs once it has taken effect: throwing there loses the answer. */
export interface Gate {
  before?(call: LogCall): Promise<void> | void;
  after?(call: LogCall): Promise<void> | void;
}

export class MemoryLog {
  readonly calls: LogCall[] = [];
  readonly committed = new Map<string, CommittedOffset>();
  readonly #topics = new Map<string, { id: string; partitions: MemoryPartition[]; config: Record<string, string> }>();
  readonly #transactions = new Map<string, Transaction>();
  readonly #listeners = new Set<() => void>();
  readonly #pool = new BatchPool();
  gate: Gate = {};
  generation = 1;
  /** The next fetch of a partition fails with this, and the consumer stops fetching it. */
  readonly fetchFailures = new Map<string, MillraceError>();
  /** Frames handed out and not released. */
  framesOut = 0;

  createTopic(name: string, partitions: number, config: Record<string, string> = {}): void {
    this.#topics.set(name, { id: `id-of-${name}`, partitions: Array.from({ length: partitions }, (_, index) => new MemoryPartition(name, index)), config });
  }
  partitionCounts(): ReadonlyMap<string, number> {
    return new Map([...this.#topics].map(([name, { partitions }]) => [name, partitions.length]));
  }
  partition({ topic, partition }: TopicPartition): MemoryPartition {
    const found = this.#topics.get(topic)?.partitions[partition];
    if (found === undefined) throw new MillraceError('ERR_TOPIC_MISSING', `no partition ${topic}-${partition}`);
    return found;
  }

  /** Appends records outside any transaction, one batch. */
  produce(
    topic: string,
    partition: number,
    rows: readonly { readonly key?: string | null; readonly value: string | null; readonly at: number; readonly headers?: RecordHeaders | undefined }[],
  ): void {
    const builder = this.#pool.take();
    for (const { key = null, value, at, headers = noHeaders } of rows) {
      const keyBytes = key === null ? null : Buffer.from(key);
      const valueBytes = value === null ? null : Buffer.from(value);
      builder.append(at, keyBytes, 0, keyBytes?.length ?? 0, valueBytes, 0, valueBytes?.length ?? 0, headers);
    }
    this.partition({ topic, partition }).append(sealed(builder), undefined);
    builder.release();
    this.changed();
  }
  /** A marker of somebody's transaction. */
  marker(topic: string, partition: number): void {
    this.partition({ topic, partition }).marker();
    this.changed();
  }
  /** Everything below `start` is gone. */
  truncate(topic: string, partition: number, start: number): void {
    const log = this.partition({ topic, partition });
    log.start = start;
    log.entries = log.entries.filter(({ last }) => last >= start);
  }

  /** All records, aborted and open ones included but not visible. */
  rows(topic: string, partition = 0): LogRow[] {
    const log = this.partition({ topic, partition });
    const rows: LogRow[] = [];
    const reader = new RecordReader();
    for (const { view, transaction } of log.entries) {
      if (view === undefined) continue;
      reader.reset(view);
      while (reader.next()) {
        const part = (start: number, length: number): string | null => (length < 0 ? null : reader.buffer.toString('utf8', start, start + length));
        rows.push({
          offset: reader.offset,
          timestamp: reader.timestamp,
          key: part(reader.keyStart, reader.keyLength),
          value: part(reader.valueStart, reader.valueLength),
          headers: reader.headers(),
          visible: transaction === undefined || transaction.state === 'committed',
        });
      }
    }
    return rows;
  }
  visible(topic: string, partition = 0): (string | null)[] {
    return this.rows(topic, partition).flatMap(({ value, visible }) => (visible ? [value] : []));
  }

  // ---- ports ----------------------------------------------------------------------------------------------------------

  createConsumer(): LogConsumer {
    return new MemoryConsumer(this, this.#listeners);
  }

  createProducer(transactionalId: string | undefined): LogProducer {
    return new MemoryProducer(this, this.#transactions, transactionalId);
  }

  createAdmin(): LogAdmin {
    const unused = (): never => {
      throw new Error('not part of the worker tests');
    };
    return {
      describeTopics: async (names) =>
        new Map(
          [...this.#topics]
            .filter(([name]) => names === undefined || names.includes(name))
            .map(([name, { id, partitions }]) => [name, { name, topicId: id, partitions: partitions.length, internal: false }]),
        ),
      createTopics: unused,
      deleteTopics: unused,
      topicConfig: async (name) => this.#topics.get(name)?.config ?? {},
      listOffsets: (partitions, at) =>
        this.call(
          { kind: 'listOffsets' },
          () =>
            new Map(
              partitions.map((one) => {
                const log = this.partition(one);
                return [partitionKey(one.topic, one.partition), (at === 'earliest' ? log.start : at === 'latestStable' ? log.lastStable : log.end) as Offset];
              }),
            ),
        ),
      epochEnds: async (questions) =>
        new Map(questions.map((one) => [partitionKey(one.topic, one.partition), this.partition(one).endOfEpoch(one.leaderEpoch) as Offset])),
      committedOffsets: (_group, partitions) =>
        this.call(
          { kind: 'committedOffsets' },
          () =>
            new Map(
              partitions.flatMap(({ topic, partition }) => {
                const key = partitionKey(topic, partition);
                const found = this.committed.get(key);
                return found === undefined ? [] : [[key, found] as const];
              }),
            ),
        ),
      commitOffsets: (group, offsets) =>
        this.call({ kind: 'commitOffsets', group, offsets }, () => {
          this.checkGeneration(group);
          for (const one of offsets) this.committed.set(partitionKey(one.topic, one.partition), one);
        }),
      deleteRecords: async () => undefined,
      fenceTransactionalId: (id) => this.call({ kind: 'fence', id }, () => this.endTransaction(id, false)),
      groupMembers: async () => [],
      removeMember: async () => undefined,
      close: async () => undefined,
    };
  }

  // ---- what the ports do ----------------------------------------------------------------------------------------------

  async call<T>(call: LogCall, effect: () => T): Promise<T> {
    await this.gate.before?.(call);
    const result = effect();
    this.calls.push(call);
    await this.gate.after?.(call);
    return result;
  }
  checkGeneration(group: GroupMetadata): void {
    if (group.generation !== this.generation) throw new MillraceError('ERR_GENERATION', `generation ${group.generation}, the group is at ${this.generation}`);
  }
  beginTransaction(id: string): void {
    this.#transactions.set(id, { state: 'open', touched: new Set(), offsets: new Map() });
  }
  endTransaction(id: string, commit: boolean): void {
    const transaction = this.#transactions.get(id);
    if (transaction === undefined) return;
    this.#transactions.delete(id);
    transaction.state = commit ? 'committed' : 'aborted';
    if (commit) for (const [key, offset] of transaction.offsets) this.committed.set(key, offset);
    for (const partition of transaction.touched) partition.marker();
    this.changed();
  }
  changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function sealed(builder: BatchBuilder): Buffer {
  return builder.seal({ producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false });
}

class MemoryProducer implements LogProducer {
  readonly #log: MemoryLog;
  readonly #transactions: Map<string, Transaction>;
  readonly #id: string | undefined;
  readonly inFlight = { batches: 0, bytes: 0 };
  #failure: unknown;
  #open = false;
  #broken = true;
  #queue: Promise<unknown> = Promise.resolve();
  #life = 0;

  constructor(log: MemoryLog, transactions: Map<string, Transaction>, id: string | undefined) {
    this.#log = log;
    this.#transactions = transactions;
    this.#id = id;
  }
  async initialise(): Promise<void> {
    this.#life += 1;
    await this.#log.call({ kind: 'initialise' }, () => {
      if (this.#id !== undefined) this.#log.endTransaction(this.#id, false);
    });
    this.#broken = false;
    this.#open = false;
    this.#failure = undefined;
    this.inFlight.batches = 0;
    this.inFlight.bytes = 0;
    this.#queue = Promise.resolve();
  }
  begin(): void {
    assert(!this.#broken, 'begin on a producer that must be initialised');
    this.#failure = undefined;
    if (this.#id === undefined) return;
    assert(!this.#open, 'a transaction begins inside another');
    this.#open = true;
    this.#log.beginTransaction(this.#id);
  }
  send(topic: string, partition: number, batch: BatchBuilder) {
    assert(this.#id === undefined || this.#open, 'a batch is sent outside a transaction');
    const { count, sizeBytes } = batch;
    const life = this.#life;
    const bytes = Buffer.from(sealed(batch));
    batch.release();
    this.inFlight.batches += 1;
    this.inFlight.bytes += sizeBytes;
    const sent = this.#queue.then(() =>
      this.#log.call({ kind: 'send', topic, partition, count }, () => {
        if (life !== this.#life) throw new MillraceError('ERR_PRODUCER_FENCED', 'an older life of this producer');
        const transaction = this.#id === undefined ? undefined : this.#transactions.get(this.#id);
        if (this.#id !== undefined && transaction === undefined) throw new MillraceError('ERR_PRODUCER_FENCED', 'the transaction is gone');
        const log = this.#log.partition({ topic, partition });
        transaction?.touched.add(log);
        const baseOffset = log.append(bytes, transaction) as Offset;
        this.#log.changed();
        return { baseOffset, nextOffset: (baseOffset + count) as Offset, logAppendTime: -1, leaderEpoch: log.leaderEpoch };
      }),
    );
    this.#queue = sent.catch((error: unknown) => {
      if (life === this.#life) this.#failure ??= error;
    });
    return sent.finally(() => {
      if (life !== this.#life) return;
      this.inFlight.batches -= 1;
      this.inFlight.bytes -= sizeBytes;
    });
  }
  async flush(): Promise<void> {
    await this.#queue;
    if (this.#failure !== undefined) throw this.#failure;
  }
  sendOffsets(group: GroupMetadata, offsets: readonly OffsetToCommit[]): Promise<void> {
    assert(this.#open && this.#id !== undefined, 'offsets outside a transaction');
    const id = this.#id;
    return this.#log.call({ kind: 'sendOffsets', group, offsets }, () => {
      this.#log.checkGeneration(group);
      const transaction = this.#transactions.get(id);
      if (transaction === undefined) throw new MillraceError('ERR_PRODUCER_FENCED', 'the transaction is gone');
      for (const one of offsets) transaction.offsets.set(partitionKey(one.topic, one.partition), one);
    });
  }
  async end(commit: boolean): Promise<void> {
    assert(this.#open && this.#id !== undefined, 'there is no transaction to end');
    const id = this.#id;
    await this.#queue;
    if (commit && this.#failure !== undefined) throw this.#failure;
    try {
      await this.#log.call({ kind: 'end', commit }, () => this.#log.endTransaction(id, commit));
      this.#open = false;
    } catch (error) {
      this.#broken = !MillraceError.is(error) || error.code !== 'ERR_TRANSACTION_ABORTABLE';
      throw error;
    }
  }
  async close(): Promise<void> {}
}

class MemoryConsumer implements LogConsumer {
  readonly #log: MemoryLog;
  readonly #listeners: Set<() => void>;
  #positions = new Map<string, TopicPartition & { offset: number; stopped: boolean }>();
  readonly #paused = new Set<string>();
  #number = 0;
  #wake: (() => void) | undefined;
  #woken = false;
  readonly #notify = (): void => this.#wake?.();

  constructor(log: MemoryLog, listeners: Set<() => void>) {
    this.#log = log;
    this.#listeners = listeners;
    listeners.add(this.#notify);
  }
  assign(partitions: readonly PartitionStart[]): number {
    const before = this.#positions;
    this.#positions = new Map();
    for (const { topic, partition, offset } of partitions) {
      const key = partitionKey(topic, partition);
      const kept = before.get(key);
      if (kept === undefined || kept.offset !== offset) this.#paused.delete(key);
      this.#positions.set(key, kept?.offset === offset ? kept : { topic, partition, offset, stopped: false });
    }
    this.#number += 1;
    this.#notify();
    return this.#number;
  }
  pause({ topic, partition }: TopicPartition): void {
    this.#paused.add(partitionKey(topic, partition));
  }
  resume({ topic, partition }: TopicPartition): void {
    this.#paused.delete(partitionKey(topic, partition));
    this.#notify();
  }
  position({ topic, partition }: TopicPartition): Offset | undefined {
    return this.#positions.get(partitionKey(topic, partition))?.offset as Offset | undefined;
  }
  endOffset(partition: TopicPartition): Offset | undefined {
    return this.#log.partition(partition).lastStable as Offset;
  }
  readonly bufferedBytes = 0;
  readonly idleBytes = 0;
  async poll(maxWaitMs: number): Promise<readonly PollEvent[]> {
    let events = this.#fetch();
    if (events.length > 0 || this.#woken || maxWaitMs <= 0) {
      this.#woken = false;
      return events;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, maxWaitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
    this.#woken = false;
    events = this.#fetch();
    return events;
  }
  wake(): void {
    this.#woken = true;
    this.#notify();
  }
  async close(): Promise<void> {
    this.#listeners.delete(this.#notify);
    this.#notify();
  }

  #fetch(): PollEvent[] {
    const events: PollEvent[] = [];
    for (const [key, at] of this.#positions) {
      if (this.#paused.has(key) || at.stopped) continue;
      const failure = this.#log.fetchFailures.get(key);
      if (failure !== undefined) {
        this.#log.fetchFailures.delete(key);
        at.stopped = true;
        events.push({ kind: 'failed', topic: at.topic, partition: at.partition, error: failure });
        continue;
      }
      const log = this.#log.partition(at);
      if (at.offset < log.start || at.offset > log.end) {
        at.stopped = true;
        events.push({
          kind: 'outOfRange',
          topic: at.topic,
          partition: at.partition,
          position: at.offset as Offset,
          logStart: log.start as Offset,
          logEnd: log.end as Offset,
        });
        continue;
      }
      const to = log.lastStable;
      if (at.offset >= to) continue;
      const frames: Buffer[] = [];
      const batches = log.entries.flatMap(({ view, transaction, last, base }) => {
        if (view === undefined || last < at.offset || base >= to || transaction?.state === 'aborted') return [];
        const frame = Buffer.from(view.buffer.subarray(view.start, view.start + view.sizeBytes));
        frames.push(frame);
        return readBatches(frame, 0, frame.length, { checkCrc: true });
      });
      const data: FetchedPartition = {
        topic: at.topic,
        partition: at.partition,
        firstOffset: at.offset as Offset,
        batches,
        nextOffset: to as Offset,
        highWatermark: log.end as Offset,
        lastStableOffset: to as Offset,
        logStart: log.start as Offset,
        leaderEpoch: log.entries.findLast(({ last }) => last < to)?.leaderEpoch ?? -1,
        assignment: this.#number,
        release: this.#frame(frames),
      };
      at.offset = to;
      events.push({ kind: 'data', data });
    }
    return events;
  }

  /** What is given back is used again, as by the client's pool: whoever still looks at it sees other bytes. */
  #frame(frames: readonly Buffer[]): () => void {
    this.#log.framesOut += 1;
    let released = false;
    return () => {
      if (!released) this.#log.framesOut -= 1;
      for (const frame of frames) frame.fill(0x3f);
      released = true;
    };
  }
}
