// Reads of committed state from outside the tasks: which partition holds a key, who has it, and the rows themselves.
// Owns: the way from a key to a task. Never: reads staged writes; forwards to another instance (query does).
import { encodeWith, noHeaders, partitionForKey } from '@millrace/core';
import type { Database } from '@millrace/state';
import { type StoreSpec, type Topology, topicName } from '@millrace/topology';
import { GLOBAL_TASK } from './global/global-rows.ts';
import type { Instance } from './instance.ts';
import { readStore } from './store-reads.ts';
import type { TaskDatabases } from './task-databases.ts';
import type { ReadRequest, ReadRow } from './worker-messages.ts';

/** Where a task is to be asked. */
export type Located =
  | { readonly kind: 'here'; readonly taskId: string; readonly partition: number }
  | { readonly kind: 'restoring'; readonly taskId: string; readonly partition: number }
  | { readonly kind: 'there'; readonly taskId: string; readonly partition: number; readonly instanceId: string; readonly address: string }
  | { readonly kind: 'nobody'; readonly taskId: string; readonly partition: number };

export interface StoreFacts {
  readonly spec: StoreSpec;
  readonly partitions: number;
}

export interface ReadFacade {
  readonly instanceId: string;
  /** Queryable stores, by name. */
  stores(): ReadonlyMap<string, StoreFacts>;
  /** The task of a store's partition, and who runs it. */
  locatePartition(store: string, partition: number): Located;
  /** The partition a key lives in: Kafka's default partitioner over the key's bytes. Throws what the key serde throws. */
  partitionOf(store: string, key: unknown): number;
  /** Rows of a task that is here. */
  read(taskId: string, store: string, query: ReadRequest['query']): Promise<readonly ReadRow[]>;
}

interface Parts {
  readonly directory: { readonly instanceId: string };
  readonly databases: TaskDatabases;
  readonly instance: Instance;
  /** Undefined: none, or every worker keeps its own. */
  readonly globals: { readonly database: Database } | undefined;
}

export function createReadFacade(topology: Topology, applicationId: string, parts: () => Parts | undefined): ReadFacade {
  const subOf = (store: string) => (parts()?.instance.topology ?? topology).subtopologies.find((sub) => sub.stores.includes(store));
  const isGlobal = (store: string): boolean => topology.globals.some((global) => global.store === store);
  const partitionsOf = (store: string): number => {
    if (isGlobal(store)) return 1; // whole, on every instance
    const counts = parts()?.instance.partitionCounts;
    return Math.max(0, ...(subOf(store)?.sources ?? []).map((ref) => counts?.get(topicName(applicationId, ref)) ?? 0));
  };
  const specOf = (store: string): StoreSpec | undefined => {
    const spec = topology.stores.get(store);
    return spec?.queryable === true ? spec : undefined;
  };
  return {
    get instanceId() {
      return parts()?.directory.instanceId ?? '';
    },
    stores() {
      const facts = new Map<string, StoreFacts>();
      for (const [name, spec] of topology.stores) if (spec.queryable) facts.set(name, { spec, partitions: partitionsOf(name) });
      return facts;
    },
    locatePartition(store, partition) {
      if (isGlobal(store)) return { kind: 'here', taskId: GLOBAL_TASK, partition };
      const taskId = `${subOf(store)?.id ?? -1}_${partition}`;
      const instance = parts()?.instance;
      if (instance?.outOfTouch) return { kind: 'nobody', taskId, partition }; // rows here would pass for fresh, whoever may have written since
      const task = instance?.tasks().find((one) => one.id === taskId);
      if (task !== undefined) return { kind: task.state === 'running' ? 'here' : 'restoring', taskId, partition };
      const self = parts()?.directory.instanceId;
      const owner = instance?.instances.find((one) => one.tasks.includes(taskId) && one.instanceId !== self);
      if (owner?.address !== undefined) return { kind: 'there', taskId, partition, instanceId: owner.instanceId, address: owner.address };
      return { kind: 'nobody', taskId, partition };
    },
    partitionOf(store, key) {
      const spec = topology.stores.get(store);
      const bytes = spec === undefined ? null : encodeWith(spec.key, key, { topic: store, role: 'key', headers: noHeaders });
      const partitions = partitionsOf(store);
      return bytes === null || partitions === 0 ? 0 : partitionForKey(bytes, 0, bytes.length, partitions);
    },
    async read(taskId, store, query) {
      const spec = specOf(store);
      const here = parts();
      if (spec === undefined || here === undefined) return [];
      const database = taskId === GLOBAL_TASK ? here.globals?.database : here.databases.get(taskId);
      if (database !== undefined && database.holds?.(store) !== false) return readStore(database, spec, query);
      return (await here.instance.hostOf(taskId)?.read({ taskId, store, query })) ?? [];
    },
  };
}
