// The test driver of @millrace/testkit with the two switches that make it run as the recording driver did: all sub-topologies in one task of
// one partition, and a changelog record for every write where the recorded program had no cache.
import { createHeaders } from '@millrace/core';
import type { StagedKeyValueStore, StagedSessionStore, StagedVersionedStore, StagedWindowStore } from '@millrace/state';
import { TopologyDriver } from '@millrace/testkit';
import type { Topology } from '@millrace/topology';
import type { Case } from './case-format.ts';
import { type Likenesses, likenStores, type StoreLikeness } from './likeness.ts';

export const APPLICATION_ID = 'parity';

export interface Arrival {
  readonly topic: string;
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly (readonly [string, Uint8Array | null])[];
}

export interface Produced {
  readonly topic: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly timestamp: number;
  readonly headers: readonly (readonly [string, Uint8Array | null])[];
}

export interface GoldenOptions {
  readonly topology: Topology;
  /** A changelog record for every write (Kafka Streams without its cache), not one per key and commit. */
  readonly logsEveryWrite: (store: string) => boolean;
  readonly skipsUndecodable: boolean;
  readonly skipsFailing: boolean;
  /** Wall clock at the start, ms. */
  readonly wallClockMs?: number;
  /** Topics that exist: what patterns match. */
  readonly topics?: readonly string[];
  /** Where the stores are to be like those of Kafka Streams. */
  readonly like?: { readonly given: Case; readonly likenesses: Likenesses };
}

/** What had been written and dropped at some moment. */
export interface Mark {
  readonly written: ReadonlyMap<string, number>;
  readonly dropped: number;
}

type Store = StagedKeyValueStore<unknown, unknown> | StagedWindowStore<unknown, unknown> | StagedSessionStore<unknown, unknown> | StagedVersionedStore<unknown, unknown>;

export class Driver {
  readonly stores = new Map<string, Store>();
  readonly #driver: TopologyDriver;
  readonly #likeness: StoreLikeness | undefined;

  static async open(options: GoldenOptions): Promise<Driver> {
    return new Driver(options);
  }

  constructor({ topology, logsEveryWrite, skipsUndecodable, skipsFailing, wallClockMs, topics, like }: GoldenOptions) {
    this.#driver = new TopologyDriver({
      topology,
      applicationId: APPLICATION_ID,
      startAtMs: wallClockMs ?? 0,
      partitions: new Map(topics?.map((name) => [name, 1])),
      defaultPartitions: 1,
      errors: { decode: skipsUndecodable ? 'skip' : 'fail', process: skipsFailing ? 'skip' : 'fail', produce: 'fail' },
      oneTask: true,
      logsEveryWrite,
    });
    for (const name of topology.stores.keys()) this.stores.set(name, this.#driver.storesNamed(name)[0]?.store as unknown as Store);
    this.#likeness = like && likenStores(like.given, this.stores, () => this.#drops, like.likenesses, logsEveryWrite);
  }

  /** Writes a record and runs until nothing is queued. Throws what the program throws. */
  pipe({ topic, timestamp, key, value, headers }: Arrival): void {
    const buffer = (bytes: Uint8Array | null): Buffer | null => (bytes === null ? null : Buffer.from(bytes));
    // The recording driver took records for topics that nobody reads, and nothing came of them.
    if (this.#driver.reads(topic)) this.#driver.send(topic, 0, { timestamp, key: buffer(key), value: buffer(value), headers: createHeaders(headers) });
  }

  /** Moves the wall clock, fires its timers once, and runs what that made. */
  advanceWallClock(byMs: number): void {
    this.#driver.advance(byMs);
  }

  get dropped(): number {
    return this.#drops - (this.#likeness?.uncounted ?? 0);
  }

  get #drops(): number {
    return this.#driver.drops.reduce((sum, { count }) => sum + count, 0);
  }

  mark(): Mark {
    return { written: new Map(this.#driver.topics.map((topic) => [topic, this.#driver.written(topic)?.kept ?? 0])), dropped: this.dropped };
  }

  /** What was written to a topic, in order; with a mark, what had been by then. */
  written(topic: string, until?: Mark): readonly Produced[] {
    const records: Produced[] = [];
    const end = until === undefined ? Number.POSITIVE_INFINITY : (until.written.get(topic) ?? 0);
    this.#driver.written(topic)?.visit(0, (reader, index) => {
      if (index >= end) return;
      const bytes = (start: number, length: number): Buffer | null => (length < 0 ? null : Buffer.from(reader.buffer.subarray(start, start + length)));
      records.push({
        topic,
        key: bytes(reader.keyStart, reader.keyLength),
        value: bytes(reader.valueStart, reader.valueLength),
        timestamp: reader.timestamp,
        headers: reader.headerCount === 0 ? [] : [...reader.headers()],
      });
    });
    return records;
  }

  /** Everything written, topic by topic. */
  get produced(): readonly Produced[] {
    return this.#driver.topics.flatMap((topic) => this.written(topic));
  }
}
