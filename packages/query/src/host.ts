// What the query server asks of the instance that runs it. The instance implements it; this package never looks inside a task.
// H1 every answer is settled state.  H2 a store the instance cannot answer for is a Refusal, never an empty result.
import type { ErasedSerde, MetricSample } from '@millrace/core';

export interface QueryHost {
  /** Every store of the topology, in the order of `describe`. */
  stores(): readonly StoreSummary[];
  /** Who answers for `key` now. `key` is a value of the store's key serde. */
  locate(store: string, key: unknown): Location | Refusal;
  /** Who answers for each partition of the store now, in order of partition. */
  partitions(store: string): readonly Location[] | Refusal;
  /**
   * The newest value of `key`, or the one that held at `asOfMs`, at most one row; an empty answer is a key that is not there. Key-value stores, and
   * versioned ones, which alone know of the past.
   */
  readKeyValue(store: string, key: unknown, asOfMs?: number): Pending<Answer | Refusal>;
  /** Windows of `key` whose start lies in [fromMs, toMs], oldest first, at most `limit` rows; of a versioned store, versions that held then. */
  readWindows(store: string, key: unknown, range: WindowRange): Pending<Answer | Refusal>;
  /** Rows of one local partition in key order, at most `limit`. Key-value stores only. */
  readRange(store: string, partition: number, range: KeyRange): Pending<Answer | Refusal>;
  /** Alive: restart me if not. Ready: send me queries. */
  health(): Health;
  /** Identity, state and version; what `/v1/app` shows. */
  app?(): object;
  /** The task table; what `/v1/tasks` shows. */
  tasks?(): readonly object[];
  /** Kafka Streams' text of the topology, and the same as data. */
  topology?(): { readonly text: string; readonly data: object };
  metrics?(): readonly MetricSample[];
}

export type Pending<T> = T | Promise<T>;

export interface StoreSummary {
  readonly name: string;
  readonly kind: 'keyValue' | 'window' | 'session' | 'versioned';
  /** Reads keys from text and shows them. For window stores: the serde of the key without its window. */
  readonly keySerde: ErasedSerde;
  readonly valueFormat: string;
  readonly partitions: number;
  readonly retentionMs?: number;
  readonly windowSizeMs?: number;
  readonly queryable: boolean;
}

export interface WindowRange {
  readonly fromMs: number;
  readonly toMs: number;
  readonly limit: number;
  /** Rows beyond so many bytes, as they are stored, are not even read. */
  readonly bytesMax: number;
}

/** Both bounds inclusive, values of the key serde; or all keys whose bytes begin with those of `prefix`. */
export interface KeyRange {
  readonly from?: unknown;
  readonly to?: unknown;
  readonly prefix?: unknown;
  readonly limit: number;
  /** Rows beyond so many bytes, as they are stored, are not even read. */
  readonly bytesMax: number;
}

export type Location =
  | { readonly kind: 'local'; readonly partition: number }
  | { readonly kind: 'remote'; readonly partition: number; readonly address: PeerAddress; readonly instance: string }
  | { readonly kind: 'nowhere'; readonly partition: number; readonly refusal: Refusal };

/** Where another instance's query server listens. It comes from group metadata: not trusted. */
export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

export interface Row {
  readonly key: unknown;
  /** Ms since the epoch; end exclusive for time windows. */
  readonly window?: { readonly start: number; readonly end: number };
  readonly value: unknown;
  /** Event time of the newest record in the value, ms. */
  readonly timestamp?: number;
}

export interface Answer {
  readonly kind: 'rows';
  readonly rows: readonly Row[];
  /** True when `limit` or `bytesMax` cut rows off. */
  readonly truncated: boolean;
  readonly meta: AnswerMeta;
}

export interface AnswerMeta {
  readonly partition: number;
  readonly source: 'active' | 'standby' | 'restoring';
  readonly instance: string;
  /** Records of the changelog that this copy has not applied. */
  readonly lag: number;
  /** Input positions the answer includes, as an opaque token. */
  readonly position?: string;
}

/** Why there is no answer. Retriable ones are tried again until the request's time is up. */
export type Refusal =
  | { readonly kind: 'storeNotFound' }
  /** The store is of another shape than the question. */
  | { readonly kind: 'unsupported'; readonly detail: string }
  | { readonly kind: 'notOwner'; readonly partition: number }
  | { readonly kind: 'noActiveOwner'; readonly partition: number }
  | { readonly kind: 'rebalancing' }
  | { readonly kind: 'restoring'; readonly partition: number; readonly progress?: number }
  /** The engine failed; the cause goes to the log, not to the caller. */
  | { readonly kind: 'storeError'; readonly cause: unknown };

export interface Health {
  readonly alive: boolean;
  readonly ready: boolean;
  /** One word or sentence without secrets: `RUNNING`, `restoring 3 of 8 tasks`. */
  readonly state: string;
}
