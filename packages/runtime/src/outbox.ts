// Everything a worker writes to the log, on its way out: one batch in the making per partition, full ones behind it.
// Under exactly-once the batches of the open span wait while a span is closing; otherwise full ones leave at once, and what is
// not full leaves when nothing is in flight (so: at once at low load, full batches under load, no linger to tune).
// Owns: builders until they are handed to the producer; what became of each batch of a span.
// Never: decides when a span closes; commits.
// O1 a batch belongs to the span in which its first record was written.  O2 per partition batches leave in the order in which they were begun.
// O3 without transactions changelogs leave last: one that says a held record has gone would else outlive the record itself, should we die between.
// O4 a span's output is acknowledged only when every batch of it is, without error (I5 of reliability.md).
import type { LogProducer } from '@millrace/client';
import { assert } from '@millrace/core';
import type { BatchBuilder, BatchPool } from '@millrace/protocol';

/** Past this size a batch is full. Larger ones only cost latency and memory; a single record may be larger. */
export const BATCH_BYTES = 256 * 1024;
/** Unsent and in flight together: this is what a commit has to wait for. At the bound the worker takes no input. */
export const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;

export interface OutboxOptions {
  readonly producer: LogProducer;
  readonly batches: BatchPool;
  readonly transactional: boolean;
  /** After an acknowledgement that left nothing in flight, and after a failure: the loop may have something to do. */
  readonly wake: () => void;
}

/** What writes to one partition see of it. Sinks keep their lanes: asking one for room is the hot path. */
export interface OutputLane {
  /** A builder for one more record of at most `bytes`. */
  room(bytes: number): BatchBuilder;
  /** A builder with nothing in it, for a record that may turn out too large. */
  alone(): BatchBuilder;
  /** True if the batch in the making holds nothing but the last record. */
  readonly holdsOne: boolean;
  /** Takes a record that turned out too large out again: it is alone in its batch. */
  discardLast(): void;
}

/** One partition's batch in the making. */
export class Lane implements OutputLane {
  readonly topic: string;
  readonly partition: number;
  readonly isChangelog: boolean;
  readonly #outbox: Outbox;
  #builder: BatchBuilder | undefined;
  #full: BatchBuilder[] = [];

  constructor(topic: string, partition: number, isChangelog: boolean, outbox: Outbox) {
    this.topic = topic;
    this.partition = partition;
    this.isChangelog = isChangelog;
    this.#outbox = outbox;
  }

  room(bytes: number): BatchBuilder {
    const builder = this.#builder;
    if (builder !== undefined && builder.sizeBytes + bytes <= BATCH_BYTES) return builder;
    return this.#another();
  }

  alone(): BatchBuilder {
    return this.#another();
  }
  discardLast(): void {
    assert(this.#builder?.count === 1, 'only a batch of one record is taken back');
    this.#builder.release();
    this.#builder = undefined;
  }

  get holdsOne(): boolean {
    return this.#builder?.count === 1;
  }

  get waitingBytes(): number {
    let bytes = this.#builder?.sizeBytes ?? 0;
    for (const builder of this.#full) bytes += builder.sizeBytes;
    return bytes;
  }

  /** Batches that may leave: the full ones, and with `partial` what is in the making. */
  takeOut(partial: boolean): readonly BatchBuilder[] {
    const out = this.#full;
    if (out.length > 0) this.#full = [];
    const builder = this.#builder;
    if (!partial || builder === undefined) return out;
    this.#builder = undefined;
    if (builder.count === 0) builder.release();
    else if (out.length === 0) return [builder];
    else out.push(builder);
    return out;
  }

  get hasFull(): boolean {
    return this.#full.length > 0;
  }

  #another(): BatchBuilder {
    const old = this.#builder;
    if (old !== undefined) {
      if (old.count === 0) return old; // one record larger than a batch: it gets a batch of its own
      this.#full.push(old);
    } else this.#outbox.activate(this);
    return (this.#builder = this.#outbox.takeBuilder());
  }
}

interface WaitingBatch {
  readonly lane: Lane;
  readonly batch: BatchBuilder;
}

/** A place in a log, and a leader epoch under which it was there. */
export interface LogPosition {
  readonly offset: number;
  /** -1 unknown. */
  readonly leaderEpoch: number;
}

/** What one span wrote, and what became of it. */
export class SpanOutput {
  /** Sent and not yet acknowledged. */
  inFlight = 0;
  batches = 0;
  records = 0;
  /** The transaction of this span has begun. */
  begun = false;
  failure: unknown = undefined;
  /** After the last acknowledged record, by lane. */
  readonly ends = new Map<OutputLane, LogPosition>();
  readonly waiting: WaitingBatch[] = [];
  #settled: (() => void) | undefined;

  get failed(): boolean {
    return this.failure !== undefined;
  }
  /** Resolves when nothing is in flight any more, or something has failed. Never rejects. */
  acknowledged(): Promise<void> {
    if (this.inFlight === 0 || this.failed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#settled = resolve;
    });
  }
  /** The outbox tells. */
  answered(): void {
    if (this.inFlight > 0 && !this.failed) return;
    this.#settled?.();
    this.#settled = undefined;
  }
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #lanes = new Map<string, Lane[]>();
  readonly #active = new Set<Lane>();
  #open = new SpanOutput();
  #closing: SpanOutput | undefined;
  /** Set after a transaction timed out: nothing leaves before its span is closed. */
  cautious = false;
  /** The worker takes no input because of us: wake it as soon as there is room. */
  blocking = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  lane(topic: string, partition: number, isChangelog = false): Lane {
    let lanes = this.#lanes.get(topic);
    if (lanes === undefined) this.#lanes.set(topic, (lanes = []));
    return (lanes[partition] ??= new Lane(topic, partition, isChangelog, this));
  }

  /** What the open span has written so far. */
  get open(): SpanOutput {
    return this.#open;
  }
  /** True if the open span has written anything. */
  get dirty(): boolean {
    return this.#active.size > 0 || this.#open.batches > 0;
  }
  /** A transaction is open at the producer. */
  get transactionBegun(): boolean {
    return this.#open.begun || this.#closing?.begun === true;
  }
  /** Bytes not yet handed to the producer, of both spans. */
  get waitingBytes(): number {
    let bytes = 0;
    for (const lane of this.#active) bytes += lane.waitingBytes;
    for (const { batch } of this.#closing?.waiting ?? []) bytes += batch.sizeBytes;
    return bytes;
  }
  /** Bytes not yet acknowledged, sent or not. */
  get heldBytes(): number {
    return this.#options.producer.inFlight.bytes + this.waitingBytes;
  }
  /** True while so much is under way that the worker should take no input. */
  get full(): boolean {
    const { bytes } = this.#options.producer.inFlight;
    return bytes >= OUTPUT_BYTES_MAX || this.heldBytes >= OUTPUT_BYTES_MAX;
  }

  activate(lane: Lane): void {
    this.#active.add(lane);
  }
  takeBuilder(): BatchBuilder {
    return this.#options.batches.take();
  }

  /** Sends what may leave now. Called once a turn, and after the last acknowledgement. */
  sendFull(): void {
    if (this.#active.size === 0 || this.#held) return;
    const partial = this.#options.producer.inFlight.batches === 0;
    for (const lane of this.#active) {
      if (!partial && !lane.hasFull) continue;
      for (const batch of lane.takeOut(partial)) this.#send(this.#open, lane, batch);
      if (partial) this.#active.delete(lane);
    }
  }

  /** Freezes the open span's output; records written from here on belong to the next. */
  close(): SpanOutput {
    assert(this.#closing === undefined, 'a span closes while another is closing');
    const output = this.#open;
    for (const lane of this.#active) for (const batch of lane.takeOut(true)) output.waiting.push({ lane, batch });
    this.#active.clear();
    this.#open = new SpanOutput();
    this.#closing = output;
    return output;
  }

  /** Sends the rest of a closed span and waits until all of it is acknowledged. Rejects with the first failure. */
  async sendAll(output: SpanOutput): Promise<void> {
    if (!this.#options.transactional) await this.#sendWaiting(output, ({ isChangelog }) => !isChangelog);
    await this.#sendWaiting(output, () => true);
    assert(output.inFlight === 0, 'a span was acknowledged with batches in flight');
  }

  async #sendWaiting(output: SpanOutput, leaves: (lane: Lane) => boolean): Promise<void> {
    const waiting = output.waiting.splice(0);
    output.waiting.push(...waiting.filter(({ lane }) => !leaves(lane)));
    for (const { lane, batch } of waiting) if (leaves(lane)) this.#send(output, lane, batch);
    await output.acknowledged();
    if (output.failed) throw output.failure;
  }

  /** The closing span's transaction begins if nothing has begun it: offsets alone need one too. */
  begin(output: SpanOutput): void {
    if (output.begun) return;
    output.begun = true;
    this.#options.producer.begin();
  }

  /** The closing span has ended: what waited may leave. */
  closed(): void {
    this.#closing = undefined;
  }

  /** Forgets both spans: what has not been sent goes, answers to what was sent are not looked at. */
  drop(): void {
    for (const lane of this.#active) for (const batch of lane.takeOut(true)) batch.release();
    this.#active.clear();
    for (const { batch } of this.#closing?.waiting.splice(0) ?? []) batch.release();
    this.#closing = undefined;
    this.#open = new SpanOutput();
  }

  get #held(): boolean {
    return (this.#options.transactional && this.#closing !== undefined) || this.cautious;
  }

  #send(output: SpanOutput, lane: Lane, batch: BatchBuilder): void {
    this.begin(output);
    const { count } = batch;
    output.inFlight += 1;
    output.batches += 1;
    output.records += count;
    this.#options.producer.send(lane.topic, lane.partition, batch).then(
      (ack) => {
        output.inFlight -= 1;
        output.ends.set(lane, { offset: ack.nextOffset, leaderEpoch: ack.leaderEpoch });
        this.#answered(output);
      },
      (error: unknown) => {
        output.inFlight -= 1;
        output.failure ??= error;
        this.#answered(output);
      },
    );
  }

  #answered(output: SpanOutput): void {
    output.answered();
    if (output.failed || (this.blocking && !this.full)) this.#options.wake();
    if (!output.failed && this.#options.producer.inFlight.batches === 0) this.sendFull();
  }
}
