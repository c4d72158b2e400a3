// Adds table operators to the plan: filter, mapValues, toStream.
// They keep rows of their own only in a store that the user named (semantics 9.4).
import type { ErasedSerde } from '@millrace/core';
import { type NodeContext, type ProcessorFactory, type StoreDeclaration, storeDeclaration } from '@millrace/topology';
import type { ErasedRowMapper, ErasedRowPredicate } from '../erased.ts';
import { readFiltered, readMapped, readStored } from '../operators/row-readers.ts';
import type { Emission } from '../operators/table-emission.ts';
import { tableFilterOperator } from '../operators/table-filter.ts';
import { tableMapValuesOperator } from '../operators/table-map-values.ts';
import { type ErasedTransformerSpec, readTransformed, tableTransformOperator } from '../operators/table-transform.ts';
import { toStreamOperator } from '../operators/to-stream.ts';
import type { NamePrefix } from '../plan/names.ts';
import { emissionOf } from './emission.ts';
import { connectStore } from './process-draft.ts';
import { firstSerde } from './serde-hints.ts';
import { declaredStore, isUnnamedStore, rowsSpec, storeDraft } from './store-draft.ts';
import { type ErasedOptions, type StreamNode, streamNode, type TableNode } from './stream-node.ts';
import type { RowReader, RowView, TableRows } from './table-rows.ts';
import type { TableSourceOptionsErased } from './table-sources.ts';

/** What a derived table is made of. */
interface Derivation {
  readonly prefix: NamePrefix;
  readonly read: (parent: RowReader, context: NodeContext) => RowReader;
  /** Stores that the user's own code reads and writes. */
  readonly stores?: readonly string[];
  readonly create: (settings: { readonly store: string | undefined; readonly sendsPrior: boolean; readonly emit: Emission }) => ProcessorFactory;
  readonly value: ErasedSerde | undefined;
  /** Filters ask for the row before, if it comes for free. */
  readonly wantsPrior: boolean;
}

export function filterTable(table: TableNode, predicate: ErasedRowPredicate, keep: boolean, options: TableSourceOptionsErased): TableNode {
  return deriveTable(
    table,
    {
      prefix: 'KTABLE-FILTER-',
      read: (parent) => readFiltered(parent, predicate, keep),
      create: (settings) => tableFilterOperator({ ...settings, predicate, keep, isVersioned: table.rows.historyMs !== undefined }),
      value: table.value,
      wantsPrior: true,
    },
    options,
  );
}

export function mapTable(table: TableNode, mapper: ErasedRowMapper, options: TableSourceOptionsErased): TableNode {
  return deriveTable(
    table,
    {
      prefix: 'KTABLE-MAPVALUES-',
      read: (parent) => readMapped(parent, mapper),
      create: (settings) => tableMapValuesOperator({ ...settings, mapper }),
      value: undefined,
      wantsPrior: false,
    },
    options,
  );
}

export function transformTable(table: TableNode, spec: ErasedTransformerSpec, options: TableSourceOptionsErased): TableNode {
  return deriveTable(
    table,
    {
      prefix: 'KTABLE-TRANSFORMVALUES-',
      read: (parent, context) => readTransformed(parent, spec, context),
      stores: (spec.stores ?? []).map((handle) => connectStore(table.draft, storeDeclaration(handle))),
      create: (settings) => tableTransformOperator({ ...settings, spec }),
      value: undefined,
      wantsPrior: false,
    },
    options,
  );
}

function deriveTable(table: TableNode, derivation: Derivation, options: TableSourceOptionsErased): TableNode {
  const { draft } = table;
  const declared = declaredStore(options, 'keyValue');
  // As in Kafka Streams: serdes without a store materialise nothing, but take the index of a store name; not so for transformValues.
  if (derivation.prefix !== 'KTABLE-TRANSFORMVALUES-' && isUnnamedStore(options)) draft.names.store(derivation.prefix);
  const name = draft.names.node(options.as, derivation.prefix);
  const key = firstSerde(declared?.key, options.key, table.key);
  const value = firstSerde(declared?.value, options.value, derivation.value);
  if (declared !== undefined) draft.addStore(declared.name, () => rowsSpec(draft, storeDraft(declared.name, declared, options), key, value));
  const connected = derivation.stores ?? [];
  const rows = new DerivedRows(table.rows, declared, derivation.read, connected);
  // A filter asks its parent, not its own store: so does Kafka Streams, and it decides how many deletes are shown.
  if (derivation.wantsPrior) rows.sendsPrior = table.rows.sendPrior(false);
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [table.node],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({
      stores: declared === undefined ? connected : [declared.name, ...connected],
      create: derivation.create({ store: declared?.name, sendsPrior: rows.sendsPrior, emit: emissionOf(draft.hasChildren(node), options.emit, declared) }),
    }),
  });
  return { draft, node, name, key, value, sources: table.sources, rows };
}

/** Rows of a table that is computed from another: from its own store, or computed again from the parent's. */
class DerivedRows implements TableRows {
  sendsPrior = false;
  readonly historyMs: number | undefined;
  readonly #parent: TableRows;
  readonly #store: string | undefined;
  readonly #read: Derivation['read'];
  readonly #connected: readonly string[];

  constructor(parent: TableRows, store: StoreDeclaration | undefined, read: Derivation['read'], connected: readonly string[]) {
    this.historyMs = store === undefined ? parent.historyMs : store.historyMs;
    this.#parent = parent;
    this.#store = store?.name;
    this.#read = read;
    this.#connected = connected;
  }

  sendPrior(force: boolean): boolean {
    this.sendsPrior = this.sendsPrior || this.#store !== undefined || this.#parent.sendPrior(force);
    return this.sendsPrior;
  }

  view(): RowView {
    const store = this.#store;
    if (store !== undefined) return { stores: [store], open: (context, asOf) => readStored(context, store, asOf) };
    const parent = this.#parent.view();
    return { stores: [...new Set([...parent.stores, ...this.#connected])], open: (context, asOf) => this.#read(parent.open(context, asOf), context) };
  }
}

export function tableToStream(table: TableNode, options: ErasedOptions): StreamNode {
  const { draft } = table;
  const name = draft.names.node(options.as, 'KTABLE-TOSTREAM-');
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [table.node],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({ stores: [], create: toStreamOperator }),
  });
  return streamNode({ draft, node, name, key: table.key, value: table.value, sources: table.sources, keyChanged: false });
}
