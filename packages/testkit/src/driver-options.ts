// What a topology in one thread is asked for: its settings, and a record that goes in.
// Never: code.
import type { RecordHeaders } from '@millrace/core';
import type { ErrorPolicies } from '@millrace/runtime';
import type { Topology } from '@millrace/topology';

export interface DriverOptions {
  readonly topology: Topology;
  readonly applicationId: string;
  /** Wall clock at the start, ms. */
  readonly startAtMs: number;
  /** Partitions of the topics named; of all others `defaultPartitions`. */
  readonly partitions: ReadonlyMap<string, number>;
  readonly defaultPartitions: number;
  readonly errors: ErrorPolicies;
  /** All sub-topologies in one task, one partition a topic, as Kafka Streams' own test driver does; else the tasks of the runtime. */
  readonly oneTask: boolean;
  /** Does this store log every write (Kafka Streams without its cache), not one per key and commit? None does unless given. */
  readonly logsEveryWrite?: (store: string) => boolean;
}

/** A record as it goes into a topic. */
export interface Input {
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
}
