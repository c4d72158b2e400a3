// What feeds the inputs of a simulated application: an ordinary idempotent producer on a machine of its own that no fault strikes
// (the network and the broker between may fail). Remembers what was acknowledged.
// I1 records of one partition arrive in the order of `send`, once each.  I2 `acknowledged` holds what is durably in the log.
import { createProducer, type LogProducer } from '@millrace/client';
import { type Chance, type ErasedSerde, encodeWith, noHeaders, partitionForKey, type RecordHeaders, type Timer } from '@millrace/core';
import { type TopicSink, topicDeclaration } from '@millrace/dsl';
import { type BatchBuilder, BatchPool } from '@millrace/protocol';
import type { SimProcess } from './sim-process.ts';

export interface SendOptions {
  /** Event time, ms since the epoch; the present unless given. */
  readonly at?: number;
  readonly headers?: RecordHeaders;
  /** By the key unless given. */
  readonly partition?: number;
}

/** The writing end of a topic. */
export interface SimInput<in K, in V> {
  /** Queued at once; the log has it a little later. */
  send(key: K, value: V, options?: SendOptions): void;
  sendAll(entries: Iterable<readonly [key: K, value: V]>): void;
  /** Bytes as they are, for what no serde writes. */
  sendBytes(key: Uint8Array | null, value: Uint8Array | null, options?: SendOptions): void;
}

interface Queued {
  readonly at: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: RecordHeaders;
}

/** What is sent waits up to this long for company, as a producer lingers: records come alone and in groups. */
const LINGER_MS_MAX = 80;
const BATCH_RECORDS_MAX = 200;

export class Inputs {
  readonly #process: SimProcess;
  readonly #producer: LogProducer;
  readonly #partitions: number;
  readonly #pool = new BatchPool();
  readonly #queues = new Map<string, { readonly topic: string; readonly partition: number; readonly waiting: Queued[]; busy: boolean }>();
  #timer: Timer | undefined;
  #ready = false;
  #round = 0;
  sent = 0;
  acknowledged = 0;
  failure: unknown;
  /** The last records that were sent, one of each partition. */
  readonly #last = new Map<string, Queued & { readonly topic: string; readonly partition: number }>();

  constructor(process: SimProcess, ports: Parameters<typeof createProducer>[2], connection: Parameters<typeof createProducer>[0], partitions: number) {
    this.#process = process;
    this.#partitions = partitions;
    this.#producer = createProducer(connection, { deliveryTimeoutMs: 600_000 }, ports);
  }

  async open(): Promise<void> {
    await this.#producer.initialise();
    this.#producer.begin();
    this.#ready = true;
    this.#pumpLater();
  }
  get settled(): boolean {
    return this.acknowledged === this.sent;
  }
  async close(): Promise<void> {
    this.#ready = false;
    this.#timer?.cancel();
    await this.#producer.close();
  }

  of<K, V>(topic: TopicSink<K, V>): SimInput<K, V> {
    const declared = topicDeclaration(topic, 'input()');
    const bytesOf = (serde: ErasedSerde, value: unknown, role: 'key' | 'value', headers: RecordHeaders): Uint8Array | null => {
      const bytes = encodeWith(serde, value, { topic: topic.name, role, headers });
      return bytes === null ? null : Buffer.from(bytes);
    };
    const input: SimInput<K, V> = {
      send: (key, value, options = {}) => {
        const headers = options.headers ?? noHeaders;
        const keyBytes = bytesOf(declared.key, key, 'key', headers);
        const chosen = declared.partitioner?.(key, value, this.#partitions);
        const partition = options.partition ?? (typeof chosen === 'number' ? chosen : undefined);
        this.#queue(topic.name, keyBytes, bytesOf(declared.value, value, 'value', headers), { ...options, ...(partition === undefined ? {} : { partition }) });
      },
      sendAll: (entries) => {
        for (const [key, value] of entries) input.send(key, value);
      },
      sendBytes: (key, value, options = {}) => this.#queue(topic.name, key, value, options),
    };
    return input;
  }

  /** A batch like one that was sent, and where: for those who write what must not count. Undefined before the first. */
  copyOfOne(chance: Chance): { readonly topic: string; readonly partition: number; readonly batch: BatchBuilder } | undefined {
    const all = [...this.#last.values()];
    const one = all[chance.integer(Math.max(1, all.length))];
    if (one === undefined) return undefined;
    const batch = this.#pool.take();
    batch.append(one.at, one.key as Buffer | null, 0, one.key?.length ?? 0, one.value as Buffer | null, 0, one.value?.length ?? 0, one.headers);
    return { topic: one.topic, partition: one.partition, batch };
  }

  #queue(topic: string, key: Uint8Array | null, value: Uint8Array | null, options: SendOptions): void {
    const partition = options.partition ?? (key === null ? this.#round++ % this.#partitions : partitionForKey(key, 0, key.length, this.#partitions));
    const name = `${topic}-${partition}`;
    const queue = this.#queues.get(name) ?? { topic, partition, waiting: [], busy: false };
    this.#queues.set(name, queue);
    const record = { at: options.at ?? this.#process.share.clock.nowMs(), key, value, headers: options.headers ?? noHeaders };
    queue.waiting.push(record);
    this.#last.set(name, { ...record, topic, partition });
    this.sent++;
    this.#pumpLater();
  }

  #pumpLater(): void {
    if (!this.#ready || this.#timer !== undefined) return;
    this.#timer = this.#process.timers.after(this.#process.chance.float() * LINGER_MS_MAX, () => {
      this.#timer = undefined;
      this.#pump();
    });
  }
  #pump(): void {
    for (const queue of this.#queues.values()) {
      if (queue.busy || queue.waiting.length === 0) continue;
      const records = queue.waiting.splice(0, BATCH_RECORDS_MAX);
      const batch = this.#pool.take();
      for (const { at, key, value, headers } of records)
        batch.append(at, key as Buffer | null, 0, key?.length ?? 0, value as Buffer | null, 0, value?.length ?? 0, headers);
      queue.busy = true;
      this.#producer.send(queue.topic, queue.partition, batch).then(
        () => {
          queue.busy = false;
          this.acknowledged += records.length;
          if (queue.waiting.length > 0) this.#pumpLater();
        },
        (error: unknown) => {
          this.failure ??= error;
        },
      );
    }
  }
}
