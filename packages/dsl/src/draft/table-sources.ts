// Adds table sources to the plan: a topic read as a table, a stream read as a table.
// Rows are kept only if the user named a store or something downstream needs them (semantics 9.3, 9.4).
import type { ErasedSerde } from '@millrace/core';
import { readStored } from '../operators/row-readers.ts';
import { tableSourceOperator } from '../operators/table-source.ts';
import type { SourceReading } from '../plan/nodes.ts';
import { emissionOf, type ImmediateEmit } from './emission.ts';
import type { PlanDraft } from './plan-draft.ts';
import { planRepartition } from './repartition-draft.ts';
import { firstSerde } from './serde-hints.ts';
import { nameStore, rowsSpec, type StoreDraft, type StoreOptionsErased } from './store-draft.ts';
import type { ErasedOptions, StreamNode, TableNode } from './stream-node.ts';
import type { RowView, TableRows } from './table-rows.ts';

export type TableSourceOptionsErased = ErasedOptions & StoreOptionsErased & { readonly emit?: ImmediateEmit };

export function tableFromTopic(draft: PlanDraft, reading: SourceReading, options: TableSourceOptionsErased): TableNode {
  const topic = reading.topics[0] as SourceReading['topics'][number];
  const store = nameStore(draft, `${topic.name}-`, options, 'keyValue');
  const sourceName = draft.names.suffixed(options.as, '-source', 'KSTREAM-SOURCE-');
  const name = draft.names.node(options.as, 'KTABLE-SOURCE-');
  const rows = new SourceRows(draft, store, reading.key, reading.value);
  const node = draft.add({ kind: 'tableSource', name, parents: [], sourceName, reading, resolve: () => rows.resolve(draft.hasChildren(node), options.emit) });
  return { draft, node, name, key: reading.key, value: reading.value, sources: [node], rows };
}

export function tableFromStream(stream: StreamNode, options: TableSourceOptionsErased): TableNode {
  const { draft } = stream;
  const name = draft.names.node(options.as, 'KSTREAM-TOTABLE-');
  const store = nameStore(draft, 'KSTREAM-TOTABLE-', options, 'keyValue');
  const key = firstSerde(store.key, stream.key);
  const value = firstSerde(store.value, stream.value);
  let parent = stream.node;
  let sources = stream.sources;
  if (stream.keyChanged) {
    parent = planRepartition(draft, { parent, prefix: name, key, value })();
    sources = [parent];
  }
  const rows = new SourceRows(draft, store, key, value);
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [parent],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => rows.resolve(draft.hasChildren(node), options.emit),
  });
  return { draft, node, name, key, value, sources, rows };
}

/** Rows of a table source: kept once somebody needs them. */
export class SourceRows implements TableRows {
  readonly historyMs: number | undefined;
  readonly #store: StoreDraft;
  #kept: boolean;
  #sendsPrior = false;

  constructor(draft: PlanDraft, store: StoreDraft, key: ErasedSerde | undefined, value: ErasedSerde | undefined) {
    this.#store = store;
    this.historyMs = store.declared?.historyMs;
    this.#kept = store.declared !== undefined;
    draft.addStore(store.name, () => (this.#kept ? rowsSpec(draft, store, firstSerde(store.key, key), firstSerde(store.value, value)) : undefined));
  }

  sendPrior(force: boolean): boolean {
    if (!force && !this.#kept) return false;
    this.#kept = true;
    this.#sendsPrior = true;
    return true;
  }

  view(): RowView {
    this.#kept = true;
    const { name } = this.#store;
    return { stores: [name], open: (context, asOf) => readStored(context, name, asOf) };
  }

  resolve(isRead: boolean, emit: ImmediateEmit | undefined): { readonly stores: readonly string[]; readonly create: ReturnType<typeof tableSourceOperator> } {
    const store = this.#kept ? this.#store.name : undefined;
    return {
      stores: store === undefined ? [] : [store],
      create: tableSourceOperator({ store, sendsPrior: this.#sendsPrior, emit: emissionOf(isRead, emit, this.#store.declared) }),
    };
  }
}
