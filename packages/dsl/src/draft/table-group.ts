// Tables regrouped by another key, and their aggregates, in the plan: select, repartition, fold (semantics 2.4, 9.9).
// The repartition carries changes and has no null-key filter: a row without a group never gets that far.
import { type ErasedSerde, serde as serdes } from '@millrace/core';
import { checkName } from '@millrace/topology';
import type { ErasedRowMapper } from '../erased.ts';
import { type TableFold, tableAggregateOperator } from '../operators/table-aggregate.ts';
import { tableRegroupOperator } from '../operators/table-regroup.ts';
import { emissionOf } from './emission.ts';
import { FoldRows } from './fold-node.ts';
import { checkPartitions } from './repartition-draft.ts';
import { firstSerde } from './serde-hints.ts';
import { nameStore, rowsSpec, type StoreDraft } from './store-draft.ts';
import type { ErasedOptions, TableNode } from './stream-node.ts';
import type { TableSourceOptionsErased } from './table-sources.ts';

export interface TableGroup {
  readonly table: TableNode;
  /** Plan node of the select. */
  readonly node: number;
  readonly as: string | undefined;
  readonly key: ErasedSerde | undefined;
  readonly value: ErasedSerde | undefined;
  readonly partitions: number | undefined;
  /** Serde of the keys as the repartition topic will have it; known once the first aggregate is declared. */
  readonly shared: { repartition: number | undefined; key: ErasedSerde | undefined };
}

export interface TableFoldWish {
  readonly fold: TableFold;
  readonly kind: 'count' | 'reduce' | 'aggregate';
  readonly options: TableSourceOptionsErased;
}

export function groupTable(table: TableNode, selector: ErasedRowMapper, options: ErasedOptions & { readonly partitions?: number }): TableGroup {
  const { draft } = table;
  const shared: TableGroup['shared'] = { repartition: undefined, key: options.key };
  const node = draft.add({
    kind: 'operator',
    name: draft.names.node(options.as, 'KTABLE-SELECT-'),
    parents: [table.node],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({ stores: [], create: tableRegroupOperator({ selector, key: draft.keySerde(shared.key) }) }),
  });
  table.rows.sendPrior(true);
  return { table, node, as: options.as, key: options.key, value: options.value, partitions: options.partitions, shared };
}

export function foldTableGroup(group: TableGroup, wish: TableFoldWish): TableNode {
  const { draft } = group.table;
  const { options, fold, kind } = wish;
  const store = nameStore(draft, 'KTABLE-AGGREGATE-', options, 'keyValue');
  const valueHint = kind === 'reduce' ? group.value : kind === 'count' ? serdes.safeInt() : undefined;
  const repartition = addChanges(group, store, options.as, kind === 'reduce' ? store.value : undefined);
  const name = draft.names.node(options.as, kind === 'reduce' ? 'KTABLE-REDUCE-' : 'KTABLE-AGGREGATE-');
  const key = firstSerde(store.key, group.key);
  const value = firstSerde(store.value, valueHint);
  draft.addStore(store.name, () => rowsSpec(draft, store, key, value));
  const rows = new FoldRows(store, undefined);
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [repartition],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve() {
      const emit = emissionOf(draft.hasChildren(node), options.emit, store.declared);
      return { stores: [store.name], create: tableAggregateOperator({ store: store.name, fold, sendsPrior: rows.sendsPrior, emit }) };
    },
  });
  return { draft, node, name, key, value, sources: [repartition], rows };
}

/** The repartition topic of an aggregate. A named group has one for all its aggregates; the names around it are taken all the same. */
function addChanges(group: TableGroup, store: StoreDraft, as: string | undefined, valueHint: ErasedSerde | undefined): number {
  const { shared, partitions } = group;
  const { draft } = group.table;
  const sinkName = draft.names.suffixed(as, '-sink', 'KSTREAM-SINK-');
  const name = draft.names.suffixed(as, '-source', 'KSTREAM-SOURCE-');
  const topic = `${group.as ?? store.name}-repartition`;
  checkName(topic, 'topic');
  checkPartitions(topic, partitions);
  if (shared.repartition !== undefined && group.as !== undefined) return shared.repartition;
  // The store's key serde is the one by which queries find the partition of a key.
  shared.key ??= store.key;
  shared.repartition = draft.add({
    kind: 'repartition',
    topic,
    sinkName,
    filterName: undefined,
    name,
    parents: [group.node],
    key: shared.key,
    value: firstSerde(group.value, valueHint),
    carriesChanges: true,
    partitions,
    partitioner: undefined,
    mergeable: false,
    keepsNullKeys: true,
  });
  return shared.repartition;
}
