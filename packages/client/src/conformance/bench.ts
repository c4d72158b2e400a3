// The workbench of a conformance case: ports opened and closed again, records written and read in one line.
// Owns: what a case opened.  Never: imports a test runner.
import { assert, noHeaders, type Offset } from '@millrace/core';
import { BatchPool, RecordReader } from '@millrace/protocol';
import { type ClientPorts, createAdmin, createConsumer, createProducer } from '../kafka/open.ts';
import type { ConnectionOptions, GroupMetadata, LogAdmin, LogConsumer, LogProducer, PollEvent } from '../port.ts';

export interface ConformanceCase {
  /** A sentence about behaviour. */
  readonly name: string;
  /** Rejects when the log behaves otherwise. */
  run(connection: ConnectionOptions, ports: ClientPorts): Promise<void>;
}

export const WAIT_MS = 20_000;
export const NO_GROUP: Omit<GroupMetadata, 'groupId'> = { memberId: '', generation: -1, instanceId: undefined };
const pool = new BatchPool();

/** What a case works with; closed afterwards. */
export class Bench {
  readonly connection: ConnectionOptions;
  readonly ports: ClientPorts;
  readonly admin: LogAdmin;
  readonly #closers: (() => Promise<void>)[] = [];

  constructor(connection: ConnectionOptions, ports: ClientPorts) {
    this.connection = connection;
    this.ports = ports;
    this.admin = createAdmin(connection, {}, ports);
    this.onEnd(() => this.admin.close());
  }

  onEnd(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  name(prefix: string): string {
    return `${prefix}-${this.ports.chance.uuid().slice(0, 8)}`;
  }

  async topic(partitions: number, config: Readonly<Record<string, string>> = {}): Promise<string> {
    const name = this.name('conformance');
    await this.admin.createTopics([{ name, partitions, replication: -1, config }]);
    return name;
  }

  async producer(transactionalId?: string, transactionTimeoutMs = 30_000): Promise<LogProducer> {
    const producer = createProducer(this.connection, { transactionalId, transactionTimeoutMs }, this.ports);
    this.onEnd(() => producer.close());
    await producer.initialise();
    return producer;
  }

  consumer(isolation: 'read_committed' | 'read_uncommitted', fetchBytesMax?: number): LogConsumer {
    const consumer = createConsumer(this.connection, { isolation, fetchBytesMax }, this.ports);
    this.onEnd(() => consumer.close());
    return consumer;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
  }
}

export function batchOf(values: readonly string[], timestamp = 1_000) {
  const builder = pool.take();
  for (const value of values) builder.appendText(timestamp, null, 0, 0, value, noHeaders);
  return builder;
}

export function at(topic: string, partition = 0, offset = 0) {
  return { topic, partition, offset: offset as Offset };
}

/** Values of the assigned partitions, `partition:offset=value`, until `until` says so. */
export async function readUntil(consumer: LogConsumer, ports: ClientPorts, until: (seen: readonly string[]) => boolean): Promise<readonly string[]> {
  const seen: string[] = [];
  const reader = new RecordReader();
  const deadlineMs = ports.clock.monotonicMs() + WAIT_MS;
  while (!until(seen)) {
    assert(ports.clock.monotonicMs() < deadlineMs, `records did not come in time; so far: ${seen.slice(0, 20).join(' ')}`);
    for (const event of await consumer.poll(200)) {
      if (event.kind !== 'data') throw new Error(`unexpected event ${JSON.stringify(event)}`);
      for (const view of event.data.batches) {
        reader.reset(view);
        while (reader.next()) {
          if (reader.offset < event.data.firstOffset) continue;
          const value = reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength);
          seen.push(`${event.data.partition}:${reader.offset}=${value}`);
        }
      }
      event.data.release();
    }
  }
  return seen;
}

export async function eventOf<K extends PollEvent['kind']>(consumer: LogConsumer, ports: ClientPorts, kind: K): Promise<Extract<PollEvent, { kind: K }>> {
  const deadlineMs = ports.clock.monotonicMs() + WAIT_MS;
  for (;;) {
    assert(ports.clock.monotonicMs() < deadlineMs, `no ${kind} event in time`);
    for (const event of await consumer.poll(200)) {
      if (event.kind === kind) return event as Extract<PollEvent, { kind: K }>;
      if (event.kind === 'data') event.data.release();
    }
  }
}

export function same(actual: unknown, expected: unknown, what: string): void {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  assert(left === right, `${what}: expected ${right}, got ${left}`);
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    return (error as { readonly code?: string }).code ?? String(error);
  }
}

export function define(name: string, run: (bench: Bench) => Promise<void>): ConformanceCase {
  return {
    name,
    async run(connection, ports) {
      const bench = new Bench(connection, ports);
      try {
        await run(bench);
      } finally {
        await bench.close();
      }
    },
  };
}
