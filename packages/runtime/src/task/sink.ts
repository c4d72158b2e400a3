// The end of a graph: values become bytes in the batch that will leave, without an array in between.
// A key or value that is still the primitive it was decoded from, under a serde of the same format, is copied as bytes.
// Owns: a scratch buffer for keys.  Never: sends.
// What fails here is judged by the sink's own produce policy; it never reaches the policy of a node further up.
import { recordMark } from '@millrace/client';
import { type ErasedSerde, MillraceError, murmur2, noHeaders } from '@millrace/core';
import { BATCH_HEADER_BYTES } from '@millrace/protocol';
import type { ErrorPolicy, NodeProcessor, SinkNode } from '@millrace/topology';
import type { OutputLane } from '../outbox.ts';
import type { TaskCursor } from './cursor.ts';
import { type OutputRule, refusalOf } from './output-rule.ts';
import type { RecordQueue } from './record-queue.ts';

const RECORD_OVERHEAD = 64;

/** All a sink may ask of the task that hosts it. */
export interface SinkHost {
  lane(topic: string, partition: number): OutputLane;
  /** The queue of the record in hand; undefined below a timer. */
  readonly input: RecordQueue | undefined;
  /** Where records without a key go next: any partition, the same for a while. */
  keylessPartition(partitions: number): number;
  /** The largest batch of one record that the topic takes, bytes. */
  recordBytesMax(topic: string): number;
  /** What else the topic is known not to take; undefined for nearly every topic. */
  outputRule(topic: string): OutputRule | undefined;
  wallClockMs(): number;
  judgeProduce(policy: ErrorPolicy, node: string, error: unknown): void;
}

/** Writes key bytes and reports where they are: `buffer`, `start`, `end`; buffer null for a missing key. */
class KeyBytes {
  buffer: Buffer | null = null;
  start = 0;
  end = 0;
  #scratch = Buffer.allocUnsafeSlow(256);
  readonly #serde: ErasedSerde;
  readonly #topic: string;
  constructor(serde: ErasedSerde, topic: string) {
    this.#serde = serde;
    this.#topic = topic;
  }

  encode(key: unknown, cursor: TaskCursor): void {
    const direct = this.#serde['~direct'];
    this.start = 0;
    if (key === null && this.#serde['~null'] === true) {
      this.buffer = null;
      return;
    }
    if (direct?.kind === 'text') {
      const text = direct.toText(key, 'key');
      if (this.#scratch.length < text.length * 3) this.#scratch = Buffer.allocUnsafeSlow(text.length * 4);
      this.buffer = this.#scratch;
      this.end = (this.#scratch as Utf8Write).utf8Write(text, 0);
      return;
    }
    if (direct?.kind === 'fixed') {
      direct.write(key, this.#scratch, 0);
      this.buffer = this.#scratch;
      this.end = direct.size;
      return;
    }
    const bytes = this.#serde.serialize(key as never, { topic: this.#topic, role: 'key', headers: cursor.headers });
    this.buffer = bytes === null ? null : viewOf(bytes);
    this.end = bytes?.length ?? 0;
  }
}

type Utf8Write = Buffer & { utf8Write(text: string, at: number): number };

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function createSink(node: SinkNode, topic: string, partitions: number, cursor: TaskCursor, policy: ErrorPolicy, host: SinkHost): NodeProcessor {
  return new Sink(node, topic, partitions, cursor, policy, host);
}

class Sink implements NodeProcessor {
  readonly #node: SinkNode;
  readonly #topic: string;
  readonly #partitions: number;
  readonly #cursor: TaskCursor;
  readonly #policy: ErrorPolicy;
  readonly #host: SinkHost;
  readonly #lanes: (OutputLane | undefined)[];
  readonly #keyBytes: KeyBytes;
  readonly #toText: ((value: unknown, role: 'key' | 'value') => string) | undefined;
  readonly #nullable: boolean;
  readonly #scratch: Buffer;
  readonly #recordBytesMax: number;
  readonly #rule: OutputRule | undefined;

  constructor(node: SinkNode, topic: string, partitions: number, cursor: TaskCursor, policy: ErrorPolicy, host: SinkHost) {
    this.#node = node;
    this.#topic = topic;
    this.#partitions = partitions;
    this.#cursor = cursor;
    this.#policy = policy;
    this.#host = host;
    this.#lanes = new Array<OutputLane | undefined>(partitions).fill(undefined);
    this.#keyBytes = new KeyBytes(node.key, topic);
    const direct = node.value['~direct'];
    this.#toText = direct?.kind === 'text' ? direct.toText : undefined;
    this.#nullable = node.value['~null'] === true;
    this.#recordBytesMax = host.recordBytesMax(topic);
    this.#rule = host.outputRule(topic);
    this.#scratch = Buffer.allocUnsafe(direct?.kind === 'fixed' ? direct.size : 0);
  }

  process(key: unknown, value: unknown): void {
    try {
      this.#write(key, value);
    } catch (error) {
      this.#host.judgeProduce(this.#policy, this.#node.name, error);
    }
  }

  #write(key: unknown, value: unknown): void {
    const { input } = this.#host;
    const keyBytes = this.#keyBytes;
    if (
      input !== undefined &&
      input.key === key &&
      typeof key === 'string' &&
      input.source.key.format === this.#node.key.format &&
      input.reader.keyLength >= 0
    ) {
      const { reader } = input;
      keyBytes.buffer = reader.buffer;
      keyBytes.start = reader.keyStart;
      keyBytes.end = reader.keyStart + reader.keyLength;
    } else keyBytes.encode(key, this.#cursor);
    if (this.#rule !== undefined) this.#obey(this.#rule, value);

    const chosen = this.#node.partitioner?.(key, value, this.#partitions);
    if (chosen === undefined) this.#append(this.#defaultPartition(), value);
    else if (typeof chosen === 'number') this.#append(this.#checked(chosen), value);
    else for (const partition of chosen) this.#append(this.#checked(partition), value);
  }

  #obey(rule: OutputRule, value: unknown): void {
    const { buffer, start, end } = this.#keyBytes;
    const refusal = refusalOf(rule, {
      topic: this.#topic,
      hasKey: buffer !== null,
      timestamp: this.#cursor.timestamp,
      nowMs: this.#host.wallClockMs(),
      mark: () => {
        const text = this.#toText !== undefined && (value !== null || !this.#nullable) ? this.#toText(value, 'value') : undefined;
        return recordMark(buffer?.subarray(start, end) ?? null, text === undefined ? this.#valueBytes(value) : Buffer.from(text, 'utf8'));
      },
    });
    if (refusal !== undefined) throw refusal;
  }

  #defaultPartition(): number {
    const { buffer, start, end } = this.#keyBytes;
    if (this.#partitions === 1) return 0;
    if (buffer === null) return this.#host.keylessPartition(this.#partitions);
    // Of a windowed key only the key inside counts, so that results lie where their plain key does.
    return (murmur2(buffer, start, end - this.#node.keySuffixBytes) & 0x7fffffff) % this.#partitions;
  }

  #checked(partition: number): number {
    if (Number.isInteger(partition) && partition >= 0 && partition < this.#partitions) return partition;
    throw new MillraceError(
      'ERR_RECORD_UNENCODABLE',
      `the partitioner of ${this.#node.name} gave ${partition}; topic ${this.#topic} has partitions 0 to ${this.#partitions - 1}`,
      { topic: this.#topic },
    );
  }

  #append(partition: number, value: unknown): void {
    const lane = (this.#lanes[partition] ??= this.#host.lane(this.#topic, partition));
    const { headers, timestamp } = this.#cursor;
    const { buffer, start, end } = this.#keyBytes;
    const keyRoom = end - start + RECORD_OVERHEAD;
    const toText = this.#toText;
    if (toText !== undefined && (value !== null || !this.#nullable)) {
      const text = toText(value, 'value');
      const room = headers === noHeaders ? keyRoom + text.length : keyRoom + text.length + headersRoom(headers);
      // No text takes more than three bytes per UTF-16 unit.
      const builder = room * 3 > this.#recordBytesMax ? lane.alone() : lane.room(room);
      builder.appendText(timestamp, buffer, start, end, text, headers);
      if (builder.sizeBytes > this.#recordBytesMax) this.#checkSize(lane, builder.sizeBytes);
      return;
    }
    const bytes = this.#valueBytes(value);
    const room = keyRoom + (bytes?.length ?? 0) + (headers === noHeaders ? 0 : headersRoom(headers));
    const builder = room + BATCH_HEADER_BYTES > this.#recordBytesMax ? lane.alone() : lane.room(room);
    builder.append(timestamp, buffer, start, end, bytes, 0, bytes?.length ?? 0, headers);
    if (builder.sizeBytes > this.#recordBytesMax) this.#checkSize(lane, builder.sizeBytes);
  }

  #valueBytes(value: unknown): Buffer | null {
    if (value === null && this.#nullable) return null;
    const serde = this.#node.value;
    const direct = serde['~direct'];
    if (direct?.kind === 'fixed') {
      direct.write(value, this.#scratch, 0);
      return this.#scratch;
    }
    const bytes = serde.serialize(value as never, { topic: this.#topic, role: 'value', headers: this.#cursor.headers });
    return bytes === null ? null : viewOf(bytes);
  }

  /** One record alone is too large; several together the client sends in parts. */
  #checkSize(lane: OutputLane, sizeBytes: number): void {
    if (!lane.holdsOne) return;
    lane.discardLast();
    throw new MillraceError(
      'ERR_RECORD_TOO_LARGE',
      `a record for topic ${this.#topic} takes ${sizeBytes} bytes; at most ${this.#recordBytesMax} are sent. Make it smaller, raise tuning.recordBytesMax and max.message.bytes of the topic, or set onError: 'skip' on the sink`,
      { topic: this.#topic },
    );
  }
}

function headersRoom(headers: Iterable<readonly [string, Uint8Array | null]>): number {
  let bytes = 0;
  for (const [name, value] of headers) bytes += name.length * 3 + (value?.length ?? 0) + 10;
  return bytes;
}
