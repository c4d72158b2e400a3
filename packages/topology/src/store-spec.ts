// A store as declared: shape, serdes, time limits, changelog. What the runtime opens and what the query layer reads.
import type { ErasedSerde, RecordHeaders } from '@millrace/core';
import type { Engine } from '@millrace/state';

interface StoreSpecBase {
  readonly name: string;
  readonly key: ErasedSerde;
  readonly value: ErasedSerde;
  /** False: not logged. `config` overrides the settings of the changelog topic. */
  readonly changelog: false | { readonly config: Readonly<Record<string, string>> };
  /** A source topic that serves as changelog (the store of an unchanged `table()`); its name as read. */
  readonly sourceTopic?: string | undefined;
  readonly queryable: boolean;
  /** The app's unless given. */
  readonly engine?: Engine | undefined;
}

/** Latest value per key, with its timestamp. */
export interface KeyValueSpec extends StoreSpecBase {
  readonly kind: 'keyValue';
  /** Changelog records carry the headers of the record that wrote (as Kafka Streams' foreign-key joins do). */
  readonly logsHeaders?: boolean | undefined;
  /** Headers of each changelog record that is no tombstone: the version of what is in it. */
  readonly changelogHeaders?: RecordHeaders | undefined;
  /** At most so many rows: one more deletes the row used longest ago. */
  readonly entriesMax?: number | undefined;
  /** A row is gone once observed time has reached its own time plus this. */
  readonly ttlMs?: number | undefined;
  /** What an operator holds back: logged once per commit, also where every write is logged. */
  readonly isBuffer?: boolean | undefined;
}

/** Value per key and window start. Rows whose start is at or below observed time - retention are gone. */
export interface WindowSpec extends StoreSpecBase {
  readonly kind: 'window';
  readonly windowSizeMs: number;
  readonly retentionMs: number;
  /** Several values per key and start, told apart by a counter. */
  readonly duplicates: boolean;
  /** Changelog records carry the headers of the record in hand, as those of a join's buffers do; only with duplicates. */
  readonly logsHeaders?: boolean | undefined;
  /** Rows outlive the retention until an operator has handed their final result on. */
  readonly holdsClosed?: boolean | undefined;
}

/** Value per key and session. Sessions whose end is at or below observed time - retention are gone. */
export interface SessionSpec extends StoreSpecBase {
  readonly kind: 'session';
  readonly retentionMs: number;
  /** As for windows. */
  readonly holdsClosed?: boolean | undefined;
}

/** Every value of a key from its time to the next one's; those that ended before observed time - history are gone, and so are writes older than that. */
export interface VersionedSpec extends StoreSpecBase {
  readonly kind: 'versioned';
  readonly historyMs: number;
}

export type StoreSpec = KeyValueSpec | WindowSpec | SessionSpec | VersionedSpec;
