// mapAsync, mapValuesAsync, processAsync: records wait in a line, calls run side by side, outcomes are applied in turns of the task.
// Owns: the line, the calls, what of it the pending store holds.  Never: waits; lets an outcome of an earlier life in (the host's `wake` and
// `close` see to that).
// A1 at each close every record without an applied outcome is in the pending store, and no other is: so an input offset may pass it.
// A2 what came and went between two closes is never written.
// A3 after a crash the store's records are called again in arrival order, under the same idempotency keys. Source: design, Async operators.
import { type ErasedSerde, encodeWith, MillraceError } from '@millrace/core';
import type { KeyValueStore } from '@millrace/state';
import type { NodeContext, NodeProcessor, OutsideHost, OutsideWork, ProcessorFactory, RecordContext } from '@millrace/topology';
import { ownCopy } from '../own-copy.ts';
import { Call, type Outcome } from './call.ts';
import { CallLine, type Waiting } from './call-line.ts';
import type { CallSettings } from './call-settings.ts';
import type { PendingRecord } from './pending-call.ts';
import { Strays } from './strays.ts';

/** What user code learns of a call beside the record. */
export interface CallContext extends RecordContext {
  readonly signal: AbortSignal;
  readonly attempt: number;
  readonly idempotencyKey: string;
}

/** What tells the three operators apart. Made once per task. */
export interface AsyncWork {
  /** Makes one attempt: reads what it needs to, then calls. */
  attempt(record: PendingRecord, context: CallContext): PromiseLike<unknown> | unknown;
  /** In a turn, the cursor on the record: stores may be written, records forwarded. */
  apply(record: PendingRecord, answer: unknown): void;
}

export interface AsyncOperatorParts {
  readonly settings: CallSettings;
  readonly pendingStore: string;
  /** Of the records that come in: tells keys apart by their bytes. */
  readonly key: ErasedSerde;
  readonly create: (context: NodeContext) => AsyncWork;
}

interface Entry extends Waiting {
  readonly record: PendingRecord;
  /** True: a row of the pending store. */
  stored: boolean;
  call: Call | undefined;
  outcome: Outcome | undefined;
}

/** While an outcome is applied: the idempotency key of its record, by the cursor that all nodes of a task share. */
const ON_BEHALF_OF = new WeakMap<object, string>();

/** More than are begun in a millisecond, and few enough for whole numbers to hold the clock times this. */
const NUMBERS_PER_MS = 1000;

export function asyncOperator(parts: AsyncOperatorParts): ProcessorFactory {
  return (context) => new AsyncOperator(context, parts);
}

class AsyncOperator implements NodeProcessor, OutsideWork {
  readonly #context: NodeContext;
  readonly #parts: AsyncOperatorParts;
  readonly #work: AsyncWork;
  readonly #host: OutsideHost;
  readonly #store: KeyValueStore<number, PendingRecord>;
  readonly #line: CallLine<Entry>;
  /** Pauses that are over: the next attempt is made in a turn. */
  readonly #again: Call[] = [];
  readonly #strays: Strays;
  #out = 0;
  #nextNumber = 0;
  #lastSource = '';
  #ofThisSource = 0;

  constructor(context: NodeContext, parts: AsyncOperatorParts) {
    this.#context = context;
    this.#parts = parts;
    this.#line = new CallLine(parts.settings.order);
    this.#work = parts.create(context);
    this.#host = context.workOutside(this);
    const { timers } = this.#host;
    this.#strays = new Strays({ node: context.node, timeoutMs: parts.settings.timeoutMs, timers, log: context.log, freed: () => this.#host.wake() });
    this.#store = context.store(parts.pendingStore) as KeyValueStore<number, PendingRecord>;
    for (const { key, value } of this.#store.range({})) {
      this.#nextNumber = key + 1;
      this.#line.add(this.#entryOf(key, value, true));
    }
    // At-least-once: an owner that was cut off may still write rows. Under a number that its successor uses as well they would take away another record.
    this.#nextNumber = Math.max(this.#nextNumber, context.wallClockMs() * NUMBERS_PER_MS);
    if (this.#line.size > 0) this.#host.wake();
  }

  get pending(): number {
    return this.#line.size;
  }
  get calling(): number {
    let calling = 0;
    for (const entry of this.#line.all()) if (entry.call?.underWay === true) calling += 1;
    return calling;
  }
  get node(): string {
    return this.#context.node;
  }
  get straying(): number {
    return this.#strays.count;
  }
  get callsMax(): number {
    return this.#parts.settings.concurrency;
  }
  get pendingMax(): number {
    return this.#parts.settings.pendingMax;
  }

  get full(): boolean {
    const { concurrency, pendingMax } = this.#parts.settings;
    return this.#out + this.#strays.count >= concurrency || this.#line.size >= pendingMax;
  }

  process(key: unknown, value: unknown): void {
    const record: PendingRecord = { ...this.#host.earlier(), key: ownCopy(key), value: ownCopy(value), idempotencyKey: this.#idempotencyKey() };
    this.#line.add(this.#entryOf(this.#nextNumber++, record, false));
    this.#begin();
  }

  turn(): number {
    while (this.#again.length > 0 && this.calling + this.#strays.count < this.#parts.settings.concurrency) this.#again.shift()?.begin();
    let applied = 0;
    for (let entry = this.#line.take(); entry !== undefined; entry = this.#line.take()) {
      this.#apply(entry);
      applied += 1;
    }
    this.#begin();
    return applied;
  }

  /** The span closes: what is pending now must outlive it. */
  drain(): void {
    for (const entry of this.#line.all()) {
      if (entry.stored) continue;
      entry.stored = true;
      this.#store.put(entry.number, entry.record, entry.record.timestamp);
    }
  }

  close(): void {
    const reason = new MillraceError('ERR_ABORTED', `${this.#context.node} is being closed: its task has moved, begins again, or the instance stops`, {
      node: this.#context.node,
      task: this.#context.taskId,
    });
    for (const entry of this.#line.all()) entry.call?.abandon(reason);
    this.#strays.clear();
  }

  #entryOf(number: number, record: PendingRecord, stored: boolean): Entry {
    return { number, keyText: this.#keyText(record), state: 'waiting', record, stored, call: undefined, outcome: undefined };
  }

  #begin(): void {
    while (this.#out + this.#strays.count < this.#parts.settings.concurrency) {
      const entry = this.#line.next();
      if (entry === undefined) return;
      this.#call(entry);
    }
  }

  #call(entry: Entry): void {
    const { record } = entry;
    this.#out += 1;
    const { streamTime, taskId } = this.#context.record;
    const call = new Call({
      settings: this.#parts.settings,
      timers: this.#host.timers,
      chance: this.#host.chance,
      node: this.#context.node,
      attempt: (attempt, signal) =>
        this.#work.attempt(record, {
          timestamp: record.timestamp,
          headers: record.headers,
          source: record.source,
          streamTime,
          taskId,
          signal,
          attempt,
          idempotencyKey: record.idempotencyKey,
        }),
      again: () => {
        this.#again.push(call);
        this.#host.wake();
      },
      done: (outcome) => {
        this.#out -= 1;
        entry.outcome = outcome;
        this.#line.answered(entry);
        this.#host.wake();
      },
      strays: () => this.#strays.add(),
    });
    entry.call = call;
    call.begin();
  }

  #apply(entry: Entry): void {
    const { record, outcome } = entry;
    if (entry.stored) this.#store.delete(entry.number);
    const cursor = this.#context.record;
    ON_BEHALF_OF.set(cursor, record.idempotencyKey);
    try {
      this.#host.onBehalf(record, () => {
        if (outcome === undefined || !outcome.ok) throw outcome?.error;
        this.#work.apply(record, outcome.answer);
      });
    } finally {
      ON_BEHALF_OF.delete(cursor);
    }
  }

  /**
   * What brought the record here, and which of the records that it brought this is: an answer further up, told by its own key (answers come in any
   * order), else the input record. Below a timer there is neither: the key is drawn.
   */
  #idempotencyKey(): string {
    const { applicationId, node, record } = this.#context;
    const { source } = record;
    const place = ON_BEHALF_OF.get(record) ?? (source === undefined ? undefined : `${source.topic}/${source.partition}/${source.offset}`);
    if (place === undefined) return `${applicationId}/${node}/${this.#host.chance.uuid()}`;
    if (place !== this.#lastSource) {
      this.#lastSource = place;
      this.#ofThisSource = 0;
    }
    return `${applicationId}/${node}/${place}/${this.#ofThisSource++}`;
  }

  #keyText({ key, headers }: PendingRecord): string {
    if (this.#parts.settings.order !== 'key') return '';
    if (typeof key === 'string') return key;
    if (key === null || key === undefined) return '\0';
    const bytes = encodeWith(this.#parts.key, key, { topic: this.#parts.pendingStore, role: 'key', headers });
    return bytes === null ? '\0' : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  }
}
