// Grouped streams and their aggregates in the plan: store, operator, and before them a repartition if the key is new (semantics 2.4, 8.1).
import type { ErasedSerde } from '@millrace/core';
import { serde as serdes } from '@millrace/core';
import type { ErrorPolicy } from '@millrace/topology';
import type { ErasedFold } from '../operators/fold.ts';
import { readStored, readStoredWindows } from '../operators/row-readers.ts';
import { slidingAggregateOperator } from '../operators/sliding-aggregate.ts';
import { streamAggregateOperator } from '../operators/stream-aggregate.ts';
import type { Emission } from '../operators/table-emission.ts';
import { windowAggregateOperator } from '../operators/window-aggregate.ts';
import type { WindowSettings } from '../windows.ts';
import { planRepartition } from './repartition-draft.ts';
import { firstSerde, windowedKey } from './serde-hints.ts';
import { keyValueSpec, nameStore, type StoreDraft, windowSpec } from './store-draft.ts';
import type { StreamNode, TableNode } from './stream-node.ts';
import type { RowView, TableRows } from './table-rows.ts';
import type { TableSourceOptionsErased } from './table-sources.ts';

export interface GroupNode {
  readonly stream: StreamNode;
  /** Name given by the user: names the repartition topic, which all aggregates of the group then share. */
  readonly as: string | undefined;
  readonly key: ErasedSerde | undefined;
  readonly value: ErasedSerde | undefined;
  readonly partitions: number | undefined;
  readonly shared: { repartition: number | undefined };
}

export interface FoldWish {
  readonly fold: ErasedFold;
  readonly kind: 'count' | 'reduce' | 'aggregate';
  readonly options: TableSourceOptionsErased;
  readonly windows: WindowSettings | undefined;
}

/** Adds an aggregate, windowed or not. */
export function foldGroup(group: GroupNode, wish: FoldWish): TableNode {
  const { stream } = group;
  const { draft } = stream;
  const { options, windows } = wish;
  const prefix = wish.kind === 'reduce' ? 'KSTREAM-REDUCE-' : 'KSTREAM-AGGREGATE-';
  const store = nameStore(draft, prefix, options, windows === undefined ? 'keyValue' : 'window');
  const name = draft.names.node(options.as, prefix);
  const { parent, sources } = repartitionGroup(group, store, wish.kind === 'reduce' ? store.value : undefined);
  const key = firstSerde(store.key, group.key);
  const value = firstSerde(store.value, wish.kind === 'count' ? serdes.safeInt() : undefined, wish.kind === 'reduce' ? group.value : undefined);
  draft.addStore(
    store.name,
    keeper(() => (windows === undefined ? keyValueSpec(draft, store, key, value) : windowSpec(draft, store, windows, key, value))),
  );
  const rows = new AggregateRows(store.name, windows !== undefined);
  const node = addFold(group, { ...wish, name, parent, store: store.name, rows });
  return { draft, node, name, key: windows === undefined ? key : windowedKey(key, windows.sizeMs), value, sources, rows };
}

function addFold(
  group: GroupNode,
  facts: FoldWish & { readonly name: string; readonly parent: number; readonly store: string; readonly rows: AggregateRows },
): number {
  const { draft } = group.stream;
  const { name, parent, store, fold, windows, rows, options } = facts;
  const onError: ErrorPolicy | undefined = options.onError;
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [parent],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError,
    resolve() {
      const emit: Emission = draft.hasChildren(node) ? (options.emit ?? 'onCommit') : 'never';
      const settings = { store, fold, sendsPrior: rows.sendsPrior, emit };
      if (windows === undefined) return { stores: [store], create: streamAggregateOperator(settings) };
      const windowed = windows.kind === 'sliding' ? slidingAggregateOperator : windowAggregateOperator;
      return { stores: [store], create: windowed({ ...settings, windows }) };
    },
  });
  return node;
}

/** Where the aggregate hangs: below the stream, or below a repartition of it. A named group repartitions once for all its aggregates. */
export function repartitionGroup(
  group: GroupNode,
  store: StoreDraft,
  valueHint: ErasedSerde | undefined,
): { readonly parent: number; readonly sources: readonly number[] } {
  const { stream, shared } = group;
  if (!stream.keyChanged) return { parent: stream.node, sources: stream.sources };
  const add = planRepartition(stream.draft, {
    parent: stream.node,
    prefix: group.as ?? store.name,
    // The store's key serde is the one by which queries find the partition of a key.
    key: firstSerde(group.key, store.key),
    value: firstSerde(group.value, valueHint),
    partitions: group.partitions,
  });
  if (shared.repartition === undefined || group.as === undefined) shared.repartition = add();
  return { parent: shared.repartition, sources: [shared.repartition] };
}

/** Rows of an aggregate are always kept. */
export class AggregateRows implements TableRows {
  sendsPrior = false;
  readonly #store: string;
  readonly #windowed: boolean;

  constructor(store: string, windowed: boolean) {
    this.#store = store;
    this.#windowed = windowed;
  }

  sendPrior(): boolean {
    this.sendsPrior = true;
    return true;
  }

  view(): RowView {
    const store = this.#store;
    return { stores: [store], open: (context) => (this.#windowed ? readStoredWindows(context, store) : readStored(context, store)) };
  }
}

/** A spec made at once, so that a wrong retention is reported where the operator is written. */
function keeper<T>(make: () => T): () => T {
  const made = make();
  return () => made;
}
