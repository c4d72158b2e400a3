// Adds stream operators to the plan: one to one, merge, repartition, sink.
import type { ErasedSerde } from '@millrace/core';
import type { ProcessorFactory, SinkPartitioner } from '@millrace/topology';
import { passThroughOperator } from '../operators/pass-through.ts';
import type { NamePrefix } from '../plan/names.ts';
import type { OperatorEffect } from '../plan/nodes.ts';
import type { TopicDeclaration } from '../topic.ts';
import { planRepartition } from './repartition-draft.ts';
import { firstSerde } from './serde-hints.ts';
import { type ErasedOptions, type StreamNode, streamNode } from './stream-node.ts';

export interface Step {
  readonly prefix: NamePrefix;
  readonly effect: OperatorEffect;
  readonly create: ProcessorFactory;
  /** Serdes of what comes out, where they are known. */
  readonly key: ErasedSerde | undefined;
  readonly value: ErasedSerde | undefined;
}

export function appendOperator(stream: StreamNode, step: Step, options: ErasedOptions): StreamNode {
  const { draft } = stream;
  const { create } = step;
  const name = draft.names.node(options.as, step.prefix);
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [stream.node],
    effect: step.effect,
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({ stores: [], create }),
  });
  return streamNode({
    draft,
    node,
    name,
    key: step.key,
    value: step.value,
    sources: stream.sources,
    keyChanged: stream.keyChanged || step.effect === 'changesKey',
  });
}

export function mergeStreams(left: StreamNode, right: StreamNode, options: ErasedOptions): StreamNode {
  const { draft } = left;
  const name = draft.names.node(options.as, 'KSTREAM-MERGE-');
  const parents = [...new Set([left.node, right.node])];
  const node = draft.add({
    kind: 'operator',
    name,
    parents,
    effect: 'merges',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({ stores: [], create: passThroughOperator }),
  });
  return streamNode({
    draft,
    node,
    name,
    key: left.key === right.key ? left.key : undefined,
    value: left.value === right.value ? left.value : undefined,
    sources: [...new Set([...left.sources, ...right.sources])],
    keyChanged: left.keyChanged || right.keyChanged,
  });
}

export function repartitionStream(
  stream: StreamNode,
  options: ErasedOptions & { readonly partitions?: number; readonly partitioner?: SinkPartitioner },
): StreamNode {
  const { draft } = stream;
  const name = draft.names.nodeUnlessGiven(options.as, 'KSTREAM-REPARTITION-');
  const key = firstSerde(options.key, stream.key);
  const value = firstSerde(options.value, stream.value);
  const node = planRepartition(draft, {
    parent: stream.node,
    prefix: name,
    key,
    value,
    partitions: options.partitions,
    partitioner: options.partitioner,
    mergeable: false,
  })();
  return streamNode({ draft, node, name, key, value, sources: [node], keyChanged: false });
}

/** This stream read back from a repartition topic. Joins of one stream share it, unless they are named otherwise. */
export function repartitionForJoin(stream: StreamNode, prefix: string, key: ErasedSerde | undefined, value: ErasedSerde | undefined): StreamNode {
  const { draft, shared } = stream;
  const add = planRepartition(draft, { parent: stream.node, prefix, key, value });
  if (shared.repartition === undefined || prefix !== stream.name) shared.repartition = add();
  const node = shared.repartition;
  return streamNode({ draft, node, name: prefix, key, value, sources: [node], keyChanged: false });
}

export function sinkStream(stream: StreamNode, topic: TopicDeclaration, options: ErasedOptions): void {
  const name = stream.draft.names.node(options.as, 'KSTREAM-SINK-');
  stream.draft.add({ kind: 'sink', name, parents: [stream.node], topic, onError: options.onError });
}
