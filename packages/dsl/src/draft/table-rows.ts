// What a table can be asked for: its rows by key (joins), and that its changes carry the row before (filters, regrouping).
// A table that keeps no rows answers from its parent and computes its own value again, as Kafka Streams does (semantics 9.2, 9.4).
import type { NodeContext } from '@millrace/topology';

/** A cursor over one row; reused, so a lookup allocates nothing. */
export interface RowReader {
  /** Moves to the row of `key`; of a versioned table, to the one that held at `asOf`. False: there is none, and the fields are meaningless. */
  find(key: unknown, asOf?: number): boolean;
  readonly value: unknown;
  /** Event time, ms. */
  readonly timestamp: number;
}

/**
 * Which row of a key: the newest one, or the one that the table has last handed on to those who listen. Where changes wait for a commit
 * the two differ until then, and who keeps results of changes of both sides must not see what has not been handed on yet.
 */
export type RowsAsOf = 'newest' | 'shown';

export interface RowView {
  /** Stores to connect to whoever reads. */
  readonly stores: readonly string[];
  /** The newest rows unless told otherwise. */
  open(context: NodeContext, asOf?: RowsAsOf): RowReader;
}

export interface TableRows {
  /** Of a versioned table: how far back its rows are known, ms; undefined for others. Filters and maps without a store of their own take it over (semantics 14.6). */
  readonly historyMs?: number | undefined;
  /** From now on changes carry the row before. `force`: keep rows if that takes it. False: not possible without. */
  sendPrior(force: boolean): boolean;
  /** Rows by key; keeps them from now on if nobody does yet. */
  view(): RowView;
}
