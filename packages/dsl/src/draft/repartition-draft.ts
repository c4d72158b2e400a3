// Adds a repartition to the plan: after a key change, records of one key must meet in one task.
import type { ErasedSerde } from '@millrace/core';
import { checkName, type SinkPartitioner, topologyError } from '@millrace/topology';
import type { PlanDraft } from './plan-draft.ts';

export interface RepartitionWish {
  readonly parent: number;
  /** Base of the topic's name. */
  readonly prefix: string;
  readonly key: ErasedSerde | undefined;
  readonly value: ErasedSerde | undefined;
  readonly partitions?: number | undefined;
  readonly partitioner?: SinkPartitioner | undefined;
  readonly mergeable?: boolean;
}

/** Takes the three names and returns how to add the node: a grouped stream that is used twice takes names twice but adds once. */
export function planRepartition(draft: PlanDraft, wish: RepartitionWish): () => number {
  const names = draft.names.repartition(wish.prefix);
  checkName(names.topic, 'topic');
  const { partitions } = wish;
  checkPartitions(names.topic, partitions);
  return () =>
    draft.add({
      kind: 'repartition',
      ...names,
      parents: [wish.parent],
      key: wish.key,
      value: wish.value,
      carriesChanges: false,
      partitions,
      partitioner: wish.partitioner,
      mergeable: wish.mergeable ?? true,
      keepsNullKeys: false,
    });
}

export function checkPartitions(topic: string, partitions: number | undefined): void {
  if (partitions === undefined || (Number.isInteger(partitions) && partitions > 0)) return;
  throw topologyError(`Repartition topic "${topic}" is to have ${partitions} partitions; it takes a whole number from 1.`, { topic });
}
