// Adds global tables and global stores to the plan: a topic that every instance reads whole into a store of its own.
// Their source and processor take names as a table's do, and a sub-topology of their own (semantics 1.5, 2.4, 2.9).
import type { ErasedSerde } from '@millrace/core';
import { type KeyValueSpec, type StoreDeclaration, storeDeclaration, topologyError } from '@millrace/topology';
import { type ErasedProcessorSpec, processOperator } from '../operators/process.ts';
import { tableSourceOperator } from '../operators/table-source.ts';
import type { GlobalStorePlan, SourceReading } from '../plan/nodes.ts';
import type { PlanDraft } from './plan-draft.ts';
import { firstSerde } from './serde-hints.ts';
import { keyValueSpec, nameStore, storeDraft } from './store-draft.ts';
import type { ErasedOptions } from './stream-node.ts';
import type { TableSourceOptionsErased } from './table-sources.ts';

/** A global table while the build function runs. */
export interface GlobalNode {
  readonly draft: PlanDraft;
  readonly name: string;
  readonly store: string;
  readonly key: ErasedSerde | undefined;
  readonly value: ErasedSerde | undefined;
}

export function globalTable(draft: PlanDraft, reading: SourceReading, options: TableSourceOptionsErased): GlobalNode {
  const [topic] = reading.topics;
  const store = nameStore(draft, `${topic?.name ?? ''}-`, options, 'keyValue');
  if (store.declared?.kind === 'versioned')
    throw topologyError(`Global table "${store.name}" cannot be versioned: every lookup sees the newest row. Give it a store.keyValue().`, {
      store: store.name,
    });
  refuseBound('t.globalTable()', store.declared);
  const sourceName = draft.names.suffixed(options.as, '-source', 'KSTREAM-SOURCE-');
  const name = draft.names.node(options.as, 'KTABLE-SOURCE-');
  const key = firstSerde(store.key, reading.key);
  const value = firstSerde(store.value, reading.value);
  addGlobal(draft, {
    name,
    sourceName,
    reading,
    nullValues: 'tombstone',
    store: withoutChangelog(keyValueSpec(draft, store, key, value)),
    create: tableSourceOperator({ store: store.name, sendsPrior: false, emit: 'never' }),
    onError: options.onError,
  });
  return { draft, name, store: store.name, key, value };
}

/** The processor that keeps a global store is the only one that writes it; all others read. */
export function globalStore(draft: PlanDraft, reading: SourceReading, spec: ErasedProcessorSpec, options: ErasedOptions): void {
  const declared = onlyStore('t.globalStore()', spec);
  const sourceName = draft.names.suffixed(options.as, '-source', 'KSTREAM-SOURCE-');
  const name = draft.names.node(options.as, 'KTABLE-SOURCE-');
  addGlobal(draft, {
    name,
    sourceName,
    reading,
    nullValues: 'serde',
    store: withoutChangelog(specOf(draft, declared)),
    create: processOperator(spec, 'free'),
    onError: options.onError,
  });
}

/**
 * A store of the tasks whose source topic is its changelog: the processor that keeps it must put into it what the topic holds, since a restore
 * copies the topic's rows and runs no code.
 */
export function sourceStore(draft: PlanDraft, reading: SourceReading, spec: ErasedProcessorSpec, options: ErasedOptions): void {
  const declared = onlyStore('t.sourceStore()', spec);
  const { name: store, key, value } = declared;
  const topic = reading.topics[0]?.name;
  const sourceName = draft.names.suffixed(options.as, '-source', 'KSTREAM-SOURCE-');
  const name = draft.names.nodeUnlessGiven(options.as, 'KSTREAM-PROCESSOR-');
  const source = draft.add({ kind: 'source', name: sourceName, parents: [], reading });
  draft.addStore(store, () => keyValueSpec(draft, storeDraft(store, declared, {}), key, value, topic));
  const create = processOperator(spec, 'free');
  draft.add({
    kind: 'operator',
    name,
    parents: [source],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({ stores: [store], create }),
  });
}

/** The one store that a processor of a topic keeps. Throws ERR_TOPOLOGY for none, several, or one that is not plain. */
export function onlyStore(what: string, spec: ErasedProcessorSpec): StoreDeclaration {
  const [handle, more] = spec.stores ?? [];
  if (handle === undefined || more !== undefined)
    throw topologyError(`${what} needs a processor with exactly one store: the one it keeps. List it in the processor's stores.`);
  const declared = storeDeclaration(handle);
  if (declared.kind !== 'keyValue')
    throw topologyError(`${what} keeps a key-value store, but "${declared.name}" is a ${declared.kind} store. Declare it with store.keyValue().`, {
      store: declared.name,
    });
  refuseBound(what, declared);
  return declared;
}

/** A store that is restored from its source topic would bring back what it had let go. */
function refuseBound(what: string, declared: StoreDeclaration | undefined): void {
  const option = declared?.entriesMax !== undefined ? 'entriesMax' : declared?.ttlMs !== undefined ? 'ttl' : undefined;
  if (declared?.engine !== undefined)
    throw topologyError(`${what} lies where the app's engine says, but store "${declared.name}" has { engine }. Leave it out.`, { store: declared.name });
  if (declared === undefined || option === undefined) return;
  throw topologyError(`${what} keeps every row of its topic, but store "${declared.name}" has { ${option} }. Leave it out, or read the topic with t.table().`, {
    store: declared.name,
  });
}

function addGlobal(draft: PlanDraft, node: Omit<GlobalStorePlan, 'id' | 'kind' | 'parents'>): void {
  draft.addGlobalStore(node.store.name);
  draft.add({ kind: 'globalStore', parents: [], ...node });
}

function specOf(draft: PlanDraft, declared: StoreDeclaration): KeyValueSpec {
  const { name, key, value } = declared;
  return keyValueSpec(draft, storeDraft(name, declared, {}), key, value);
}

/** Its topic is where a global store comes from, and comes back from. */
function withoutChangelog(spec: KeyValueSpec): KeyValueSpec {
  return Object.freeze({ ...spec, changelog: false as const });
}
