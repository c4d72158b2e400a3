// Adds an asynchronous operator to the plan: its node, and the store of what is in flight.

import { type ErasedSerde, serde } from '@millrace/core';
import { type KeyValueSpec, type NodeContext, type StoreHandle, storeDeclaration, topologyError } from '@millrace/topology';
import { type AsyncWork, asyncOperator } from '../operators/async/async-operator.ts';
import { type CallOptions, callSettings } from '../operators/async/call-settings.ts';
import { pendingSerde } from '../operators/async/pending-call.ts';
import type { NamePrefix } from '../plan/names.ts';
import { connectStore } from './process-draft.ts';
import { type ErasedOptions, type StreamNode, streamNode } from './stream-node.ts';

export interface AsyncStep {
  readonly prefix: NamePrefix;
  readonly keys: 'free' | 'fixed';
  readonly stores: readonly StoreHandle[];
  readonly create: (context: NodeContext) => AsyncWork;
}

export function appendAsync(stream: StreamNode, step: AsyncStep, options: (ErasedOptions & CallOptions) | undefined): StreamNode {
  const { draft } = stream;
  const name = draft.names.nodeUnlessGiven(options?.as, step.prefix);
  if (options?.concurrency === undefined)
    throw topologyError(`Asynchronous operator "${name}" has no bound. Say how many calls may run at once: { concurrency: 16 }.`, { node: name });
  const settings = callSettings(options, name);
  const pendingStore = `${name}-pending`;
  const stores = [...new Set(step.stores.map((handle) => connectStore(draft, storeDeclaration(handle))))];
  const keySerde = draft.keySerde(stream.key);
  draft.addStore(pendingStore, () => pendingSpec(pendingStore, keySerde, draft.valueSerde(stream.value)));
  const create = asyncOperator({ settings, pendingStore, key: keySerde, create: step.create });
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [stream.node],
    effect: step.keys === 'free' ? 'changesKey' : 'changesValue',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({ stores: [...stores, pendingStore], create }),
  });
  const key = step.keys === 'free' ? options.key : stream.key;
  return streamNode({ draft, node, name, key, value: options.value, sources: stream.sources, keyChanged: step.keys === 'free' || stream.keyChanged });
}

function pendingSpec(name: string, key: ErasedSerde, value: ErasedSerde): KeyValueSpec {
  return Object.freeze({
    kind: 'keyValue',
    name,
    key: serde.safeInt() as ErasedSerde,
    value: pendingSerde(key, value) as ErasedSerde,
    changelog: { config: {} },
    queryable: false,
  });
}
