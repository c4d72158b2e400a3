// Adds a join of two streams to the plan: for each side a buffer node and a join node, one node where both come together, the stores between
// them (semantics 2.4 to 2.6, 10.1). The last one also says how the join looks when both sides are one stream (plan/passes/self-join.ts).
import type { Duration, ErasedSerde } from '@millrace/core';
import { checkEngine, type Engine } from '@millrace/state';
import { checkName, type StoreHandle, type StoreSpec, storeDeclaration, topologyError } from '@millrace/topology';
import type { ErasedJoiner } from '../erased.ts';
import { type JoinWindow, type JoinWindowSettings, joinWindowSettings } from '../join-window.ts';
import { joinBufferOperator } from '../operators/join-buffer.ts';
import { passThroughOperator } from '../operators/pass-through.ts';
import { streamSelfJoinOperator } from '../operators/stream-self-join.ts';
import { streamJoinSideOperator } from '../operators/stream-stream-join.ts';
import { SharedUnmatchedRows } from '../operators/unmatched-rows.ts';
import { unmatchedKeySerde, unmatchedValuesSerde } from '../operators/unmatched-serdes.ts';
import { checkEqualKeys } from './join-keys.ts';
import type { PlanDraft } from './plan-draft.ts';
import { firstSerde } from './serde-hints.ts';
import { type ErasedOptions, type StreamNode, streamNode } from './stream-node.ts';
import { repartitionForJoin } from './stream-operators.ts';

export type StreamJoinKind = 'inner' | 'left' | 'outer';
export type StreamJoinOptionsErased = ErasedOptions &
  JoinWindow & {
    readonly grace: Duration;
    readonly otherValue?: ErasedSerde;
    readonly engine?: Engine;
    readonly result?: ErasedSerde;
    readonly changelog?: boolean;
    readonly storeName?: string;
    readonly thisStore?: StoreHandle;
    readonly otherStore?: StoreHandle;
  };

interface JoinNames {
  readonly thisBuffer: string;
  readonly otherBuffer: string;
  readonly thisJoin: string;
  readonly otherJoin: string;
  readonly result: string;
  readonly thisStore: string;
  readonly otherStore: string;
  readonly sharedStore: string;
}

export function joinStreams(left: StreamNode, right: StreamNode, joiner: ErasedJoiner, kind: StreamJoinKind, options: StreamJoinOptionsErased): StreamNode {
  const { draft } = left;
  const { as } = options;
  const window = joinWindowSettings(options, `join${as === undefined ? '' : ` ${as}`}`);
  const key = firstSerde(options.key, left.key, right.key);
  const here = keyedSide(left, as === undefined ? left.name : `${as}-left`, key, firstSerde(options.value, left.value));
  const there = keyedSide(
    right,
    as === undefined ? right.name : `${as}-right`,
    firstSerde(options.key, right.key, left.key),
    firstSerde(options.otherValue, right.value),
  );
  const names = nameJoin(draft, kind, options);
  checkEqualKeys(here.key, there.key, names.result);
  const sources = [...new Set([...here.sources, ...there.sources])];
  draft.addCopartitioned(sources);
  const values = { left: firstSerde(options.value, here.value), right: firstSerde(options.otherValue, there.value) };
  addStores(draft, names, { kind, window, key, ...values, options });
  const nodes = addNodes(here, there, names, { kind, window, joiner, options });
  return streamNode({ draft, node: nodes, name: names.result, key, value: options.result, sources, keyChanged: false });
}

function keyedSide(stream: StreamNode, prefix: string, key: ErasedSerde | undefined, value: ErasedSerde | undefined): StreamNode {
  return stream.keyChanged ? repartitionForJoin(stream, prefix, key, value) : stream;
}

/** A name given by the user names the nodes; the stores have names of their own, generated unless `storeName` is given. */
function nameJoin(draft: PlanDraft, kind: StreamJoinKind, options: StreamJoinOptionsErased): JoinNames {
  const { as, storeName: base, thisStore, otherStore } = options;
  if (base !== undefined) checkName(base, 'store');
  const thisSuffix = kind === 'outer' ? '-outer-this-join' : '-this-join';
  const otherSuffix = kind === 'inner' ? '-other-join' : '-outer-other-join';
  const thisBuffer = draft.names.suffixed(as, '-this-windowed', 'KSTREAM-WINDOWED-');
  const otherBuffer = draft.names.suffixed(as, '-other-windowed', 'KSTREAM-WINDOWED-');
  const thisJoin = draft.names.generated(kind === 'outer' ? 'KSTREAM-OUTERTHIS-' : 'KSTREAM-JOINTHIS-');
  const otherJoin = draft.names.generated(kind === 'inner' ? 'KSTREAM-JOINOTHER-' : 'KSTREAM-OUTEROTHER-');
  const result = draft.names.suffixed(as, '-merge', 'KSTREAM-MERGE-');
  const sharedBase = thisStore?.name ?? base;
  return {
    thisBuffer,
    otherBuffer,
    thisJoin: as === undefined ? thisJoin : `${as}${thisSuffix}`,
    otherJoin: as === undefined ? otherJoin : `${as}${otherSuffix}`,
    result,
    thisStore: thisStore?.name ?? (base === undefined ? `${thisJoin}-store` : `${base}${thisSuffix}-store`),
    otherStore: otherStore?.name ?? (base === undefined ? `${otherJoin}-store` : `${base}${otherSuffix}-store`),
    sharedStore: sharedBase === undefined ? `KSTREAM-OUTERSHARED-${thisJoin.slice(-10)}-store` : `${sharedBase}-${kind}-shared-join-store`,
  };
}

interface StoreFacts {
  readonly kind: StreamJoinKind;
  readonly window: JoinWindowSettings;
  readonly key: ErasedSerde | undefined;
  readonly left: ErasedSerde | undefined;
  readonly right: ErasedSerde | undefined;
  readonly options: StreamJoinOptionsErased;
}

function addStores(draft: PlanDraft, names: JoinNames, facts: StoreFacts): void {
  const { kind, window, options } = facts;
  const shared = {
    changelog: options.changelog === false ? (false as const) : { config: {} },
    queryable: false,
    engine: options.engine,
  };
  checkEngine(options.engine, 'a join of streams');
  const key = draft.keySerde(facts.key);
  const left = draft.valueSerde(facts.left);
  const right = draft.valueSerde(facts.right);
  const sizeMs = window.beforeMs + window.afterMs;
  const retentionMs = Math.min(sizeMs + window.graceMs, Number.MAX_SAFE_INTEGER);
  checkBuffers(options, sizeMs, retentionMs);
  const buffer = (name: string, value: ErasedSerde, given: StoreHandle | undefined): StoreSpec => {
    const logging = given === undefined ? shared : { ...shared, changelog: ownBufferChangelog(given), engine: storeDeclaration(given).engine };
    return Object.freeze({ kind: 'window', name, key, value, ...logging, windowSizeMs: sizeMs, retentionMs, duplicates: true, logsHeaders: true });
  };
  draft.addStore(names.thisStore, () => buffer(names.thisStore, left, options.thisStore));
  draft.addStore(names.otherStore, () => buffer(names.otherStore, right, options.otherStore));
  if (kind === 'inner') return;
  draft.addStore(names.sharedStore, () =>
    Object.freeze({ kind: 'keyValue', name: names.sharedStore, key: unmatchedKeySerde(key), value: unmatchedValuesSerde(left, right), ...shared }),
  );
}

/** The changelog of a user's own buffer is compacted as well, which changes nothing: its keys are never repeated. So it is in Kafka Streams. */
function ownBufferChangelog(handle: StoreHandle): StoreSpec['changelog'] {
  const { changelog } = storeDeclaration(handle);
  return changelog === false ? false : { config: { 'cleanup.policy': 'compact,delete', ...changelog.config } };
}

/** Throws ERR_TOPOLOGY unless buffers of the user fit the window: every record must be found as long as it may have a partner, and no record replaces another. */
function checkBuffers({ thisStore, otherStore }: StreamJoinOptionsErased, sizeMs: number, retentionMs: number): void {
  if (thisStore === undefined && otherStore === undefined) return;
  if (thisStore === undefined || otherStore === undefined || thisStore.name === otherStore.name)
    throw topologyError('A join takes two buffers with names of their own, or none: give { thisStore, otherStore }.');
  for (const handle of [thisStore, otherStore]) {
    const declared = storeDeclaration(handle);
    if (declared.kind === 'window' && declared.duplicates === true && declared.windowSizeMs === sizeMs && declared.retentionMs === retentionMs) continue;
    throw topologyError(
      `Store "${handle.name}" does not fit the join's window: it must be a store.window() with { duplicates: true, windowSize: ${sizeMs}, retention: ${retentionMs} }, in ms.`,
      { store: handle.name },
    );
  }
}

interface NodeFacts {
  readonly kind: StreamJoinKind;
  readonly window: JoinWindowSettings;
  readonly joiner: ErasedJoiner;
  readonly options: StreamJoinOptionsErased;
}

/** Returns the node where both sides come together. */
function addNodes(left: StreamNode, right: StreamNode, names: JoinNames, facts: NodeFacts): number {
  const { draft } = left;
  const { kind, window, joiner, options } = facts;
  const common = { kind: 'operator', effect: 'keepsAll', onError: options.onError } as const;
  const addBuffer = (name: string, parent: number, store: string): number =>
    draft.add({ ...common, name, parents: [parent], takesNullKeys: false, resolve: () => ({ stores: [store], create: joinBufferOperator(store) }) });
  const unmatched = kind === 'inner' ? undefined : new SharedUnmatchedRows(names.sharedStore, window);
  const addSide = (name: string, parent: number, isLeft: boolean): number => {
    const otherStore = isLeft ? names.otherStore : names.thisStore;
    const create = streamJoinSideOperator({ isLeft, otherStore, joiner, window, leftAlone: kind !== 'inner', rightAlone: kind === 'outer', unmatched });
    const stores = unmatched === undefined ? [otherStore] : [otherStore, names.sharedStore];
    return draft.add({ ...common, name, parents: [parent], takesNullKeys: false, resolve: () => ({ stores, create }) });
  };
  const thisBuffer = addBuffer(names.thisBuffer, left.node, names.thisStore);
  const otherBuffer = addBuffer(names.otherBuffer, right.node, names.otherStore);
  const thisJoin = addSide(names.thisJoin, thisBuffer, true);
  const otherJoin = addSide(names.otherJoin, otherBuffer, false);
  const create = streamSelfJoinOperator({ store: names.thisStore, joiner, window });
  const otherStores = [names.otherStore, names.sharedStore];
  const overOneStore = { thisBuffer, otherBuffer, thisJoin, otherJoin, store: names.thisStore, otherStores, create };
  return draft.add({
    ...common,
    name: names.result,
    parents: [thisJoin, otherJoin],
    takesNullKeys: kind !== 'inner',
    overOneStore,
    resolve: () => ({ stores: [], create: passThroughOperator }),
  });
}

/** Throws ERR_TOPOLOGY when a join of streams was written without its window: plain JavaScript only, the types say so first. */
export function checkJoinOptions(options: object | undefined, what: string): asserts options is StreamJoinOptionsErased {
  if (options !== undefined && 'grace' in options && ('within' in options || 'before' in options)) return;
  throw topologyError(`${what} of two streams needs { within, grace } or { before, after, grace }: how far apart the two records may be, and how late.`);
}
