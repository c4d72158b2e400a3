// Grouped streams and their aggregates in the plan: store, operator, and before them a repartition if the key is new (semantics 2.4, 8.1).
import type { ErasedSerde } from '@millrace/core';
import { MillraceError, serde as serdes } from '@millrace/core';
import { withLateRecords } from '../operators/late-records.ts';
import { passThroughOperator } from '../operators/pass-through.ts';
import type { Emission } from '../operators/table-emission.ts';
import type { TopicDeclaration } from '../topic.ts';
import { emissionOf, type ImmediateEmit } from './emission.ts';
import { createFold, FoldRows, type FoldWindows, foldedKey, foldSpec, graceOf, type InputFold, storeKindOf } from './fold-node.ts';
import type { PlanDraft } from './plan-draft.ts';
import { planRepartition } from './repartition-draft.ts';
import { firstSerde } from './serde-hints.ts';
import { isUnnamedStore, nameStore, type StoreDraft } from './store-draft.ts';
import type { StreamNode, TableNode } from './stream-node.ts';
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

export type FoldOptionsErased = Omit<TableSourceOptionsErased, 'emit'> & { readonly emit?: ImmediateEmit | 'onWindowClose' };

export interface FoldWish {
  readonly fold: InputFold;
  readonly kind: 'count' | 'reduce' | 'aggregate';
  readonly options: FoldOptionsErased;
  readonly windows: FoldWindows;
  /** Where records go that come too late for some of their windows. */
  readonly late?: TopicDeclaration | undefined;
}

/** Adds an aggregate, windowed or not. */
export function foldGroup(group: GroupNode, wish: FoldWish): TableNode {
  const { stream } = group;
  const { draft } = stream;
  const { options, windows, fold } = wish;
  const prefix = wish.kind === 'reduce' ? 'KSTREAM-REDUCE-' : 'KSTREAM-AGGREGATE-';
  // As in Kafka Streams: a count with settings for an unnamed store takes one index more, but not over sliding windows.
  if (wish.kind === 'count' && windows?.kind !== 'sliding' && isUnnamedStore(options)) draft.names.store(prefix);
  const store = nameStore(draft, prefix, options, storeKindOf(windows));
  const name = draft.names.node(options.as, prefix);
  const { parent, sources } = repartitionGroup(group, store, wish.kind === 'reduce' ? store.value : undefined);
  const key = firstSerde(store.key, group.key);
  const value = firstSerde(store.value, wish.kind === 'count' ? serdes.safeInt() : undefined, wish.kind === 'reduce' ? group.value : undefined);
  // Made at once, so that a wrong retention is reported where the operator is written.
  const spec = foldSpec(draft, store, windows, { key, value });
  checkEmit(options.emit, windows, wish.kind);
  const late = wish.late === undefined ? undefined : { results: `${name}-results`, late: `${name}-late`, topic: wish.late };
  const emission = (): Emission => emissionOf(draft.hasChildren(result), options.emit, store.declared);
  draft.addStore(store.name, () => (emission() === 'onWindowClose' ? Object.freeze({ ...spec, holdsClosed: true }) : spec));
  const rows = new FoldRows(store, windows);
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [parent],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve() {
      const create = createFold({ store: store.name, fold, sendsPrior: rows.sendsPrior, emit: emission() }, windows);
      return { stores: [store.name], create: late === undefined ? create : withLateRecords(create, late) };
    },
  });
  if (windows !== undefined) draft.setGrace(node, graceOf(windows));
  const result = late === undefined ? node : divideLate(draft, node, late);
  return { draft, node: result, name, key: foldedKey(key, windows), value, sources, rows };
}

/** Results and late records part below the aggregate; returns the node of the results. Neither takes an index, so asking for late records renames nothing. */
function divideLate(
  draft: PlanDraft,
  node: number,
  { results, late, topic }: { readonly results: string; readonly late: string; readonly topic: TopicDeclaration },
): number {
  draft.add({ kind: 'sink', name: late, parents: [node], topic, onError: undefined });
  return draft.add({
    kind: 'operator',
    name: results,
    parents: [node],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: undefined,
    resolve: () => ({ stores: [], create: passThroughOperator }),
  });
}

/** A final result needs windows that end. */
function checkEmit(emit: FoldOptionsErased['emit'], windows: FoldWindows, kind: string): void {
  if (emit !== 'onWindowClose' || (windows !== undefined && windows.kind !== 'unlimited')) return;
  const why = windows === undefined ? `${kind}() without windows` : 'an unlimited window';
  throw new MillraceError('ERR_OPTION', `emit: 'onWindowClose' waits for windows to end, which ${why} never does. Use 'onUpdate' or 'onCommit'.`, {
    option: 'emit',
  });
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
