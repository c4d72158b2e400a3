// Adds suppress to the plan: a node and its buffer's store, named as Kafka Streams names them; how long windows above take late records (semantics 15.2, 15.3).
import { type Duration, durationMs, MillraceError } from '@millrace/core';
import { topologyError } from '@millrace/topology';
import { BUFFER_HEADERS, bufferedRowSerde } from '../operators/buffered-row.ts';
import { readUnsuppressed, type SuppressSettings, suppressOperator } from '../operators/suppress.ts';
import type { ErasedOptions, TableNode } from './stream-node.ts';
import type { RowView, TableRows } from './table-rows.ts';

export interface SuppressOptionsErased extends ErasedOptions {
  readonly until: 'windowClose' | Duration;
  readonly recordsMax?: number;
  readonly bytesMax?: number;
  readonly onFull?: 'emit' | 'fail';
  readonly changelog?: boolean;
  /** Of the buffer; derived from `as` or generated unless given. */
  readonly storeName?: string;
}

export function suppressTable(table: TableNode, options: SuppressOptionsErased): TableNode {
  const { draft } = table;
  refuseVersioned(table);
  const bounds = checkedBounds(options);
  const waitMs = options.until === 'windowClose' ? graceOf(table) : durationMs(options.until, 'suppress: until');
  // A given name takes no index, neither for the node nor for the store: so it is in Kafka Streams.
  const name = draft.names.nodeUnlessGiven(options.as, 'KTABLE-SUPPRESS-');
  const store = options.storeName ?? (options.as === undefined ? draft.names.store('KTABLE-SUPPRESS-') : `${options.as}-store`);
  // What waits must be able to show the row from before, so the table above has to keep rows.
  table.rows.sendPrior(true);
  const key = draft.keySerde(table.key);
  const value = draft.valueSerde(table.value);
  const changelog = options.changelog === false ? (false as const) : { config: {} };
  const spec = Object.freeze({
    kind: 'keyValue' as const,
    name: store,
    key,
    value: bufferedRowSerde(value),
    changelog,
    queryable: false,
    isBuffer: true,
    changelogHeaders: BUFFER_HEADERS,
  });
  draft.addStore(store, () => spec);
  const until = options.until === 'windowClose' ? 'windowClose' : 'time';
  const create = suppressOperator({ store, key, value, until, waitMs, ...bounds });
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [table.node],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({ stores: [store], create }),
  });
  return { ...table, node, name, rows: new SuppressedRows(table.rows, store) };
}

/** Rows as they were last handed on: the buffer knows those that wait. */
class SuppressedRows implements TableRows {
  readonly historyMs = undefined;
  readonly #parent: TableRows;
  readonly #store: string;

  constructor(parent: TableRows, store: string) {
    this.#parent = parent;
    this.#store = store;
  }

  sendPrior(): boolean {
    return true;
  }

  view(): RowView {
    const parent = this.#parent.view();
    const store = this.#store;
    return { stores: [store, ...parent.stores], open: (context, asOf) => readUnsuppressed(parent.open(context, asOf), context, store) };
  }
}

/** A buffer keeps one row per key and lets the newest go on; of a versioned table each row stands for a time of its own. */
function refuseVersioned(table: TableNode): void {
  if (table.rows.historyMs === undefined) return;
  throw topologyError(
    `suppress() cannot hold back "${table.name}": its rows come from a store.versioned(), where each holds for a time of its own. Give that table a store.keyValue(), or put a mapValues() with a plain { store } in between.`,
    { node: table.name },
  );
}

function graceOf(table: TableNode): number {
  const grace = table.draft.graceAbove(table.node);
  if (grace !== undefined) return grace;
  throw topologyError(
    `suppress({ until: 'windowClose' }) needs a windowed aggregate above "${table.name}": only windows close. Use { until: '10s' }, or window the aggregate.`,
    { node: table.name },
  );
}

function checkedBounds(options: SuppressOptionsErased): Pick<SuppressSettings, 'recordsMax' | 'bytesMax' | 'onFull'> {
  const { recordsMax = Number.POSITIVE_INFINITY, bytesMax = Number.POSITIVE_INFINITY } = options;
  for (const [option, bound] of Object.entries({ recordsMax, bytesMax })) {
    if (bound === Number.POSITIVE_INFINITY || (Number.isSafeInteger(bound) && bound > 0)) continue;
    throw new MillraceError('ERR_OPTION', `suppress: ${option} is ${bound}; it takes a whole number from 1.`, { option });
  }
  const isFinal = options.until === 'windowClose';
  const onFull = options.onFull ?? (isFinal ? 'fail' : 'emit');
  if (isFinal && onFull === 'emit')
    throw new MillraceError(
      'ERR_OPTION',
      "suppress({ until: 'windowClose' }) cannot emit early: the result would not be final. Leave onFull out, or use 'fail'.",
      {
        option: 'onFull',
      },
    );
  return { recordsMax, bytesMax, onFull };
}
