// Adds processors to the plan, and connects the stores they name.
import { type StoreDeclaration, storeDeclaration } from '@millrace/topology';
import { type ErasedProcessorSpec, processOperator } from '../operators/process.ts';
import type { PlanDraft } from './plan-draft.ts';
import { ownWindowSpec, rowsSpec, storeDraft } from './store-draft.ts';
import { type ErasedOptions, type StreamNode, streamNode } from './stream-node.ts';

/** `fixed`: the key stays, so what follows by key needs no repartition. */
export function processStream(stream: StreamNode, spec: ErasedProcessorSpec, keys: 'free' | 'fixed', options: ErasedOptions): StreamNode {
  const { draft } = stream;
  // A processor with a name takes no index, unlike most operators: so it is in Kafka Streams.
  const name = draft.names.nodeUnlessGiven(options.as, keys === 'free' ? 'KSTREAM-PROCESSOR-' : 'KSTREAM-PROCESSVALUES-');
  const stores = [...new Set((spec.stores ?? []).map((handle) => connectStore(draft, storeDeclaration(handle))))];
  const create = processOperator(spec, keys);
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [stream.node],
    effect: 'changesUnseen',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({ stores, create }),
  });
  const key = keys === 'free' ? options.key : stream.key;
  return streamNode({ draft, node, name, key, value: options.value, sources: stream.sources, keyChanged: keys === 'free' || stream.keyChanged });
}

export function connectStore(draft: PlanDraft, declared: StoreDeclaration): string {
  const { name, key, value } = declared;
  draft.connectStore(declared, () => {
    if (declared.kind === 'window' || declared.kind === 'session') return ownWindowSpec(draft, declared);
    return rowsSpec(draft, storeDraft(name, declared, {}), key, value);
  });
  return name;
}
