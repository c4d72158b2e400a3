// Settings of the topics an application makes for itself (semantics 3.2), before the user's overrides.
import { assert } from '@millrace/core';
import type { StoreSpec } from './store-spec.ts';
import type { InternalTopic } from './topology.ts';

/** The changelog of a window or session store keeps rows this much longer than the store, so that clocks that disagree lose nothing. */
const ADDITIONAL_RETENTION_MS = 86_400_000;
const RETENTION_MAX_MS = '9223372036854775807';

/** A repartition topic keeps everything until the runtime purges what is committed. */
export function repartitionTopic(name: string, partitions: number | undefined): InternalTopic {
  assert(partitions === undefined || (Number.isInteger(partitions) && partitions > 0), `partitions of ${name} were checked`);
  const config = { 'cleanup.policy': 'delete', 'message.timestamp.type': 'CreateTime', 'retention.ms': '-1', 'segment.bytes': '52428800' };
  return { name, kind: 'repartition', partitions, config, store: undefined };
}

/** The changelog of a store, or undefined if it has none of its own. */
export function changelogTopic(store: StoreSpec): InternalTopic | undefined {
  if (store.changelog === false || store.sourceTopic !== undefined) return undefined;
  return {
    name: `${store.name}-changelog`,
    kind: 'changelog',
    partitions: undefined,
    config: { ...changelogConfig(store), ...store.changelog.config },
    store: store.name,
  };
}

function changelogConfig(store: StoreSpec): Record<string, string> {
  const createTime = { 'message.timestamp.type': 'CreateTime' };
  switch (store.kind) {
    case 'keyValue':
      return { 'cleanup.policy': 'compact', ...createTime };
    case 'versioned':
      // Older versions are read again at a restore: compaction must not take them before their time.
      return { 'cleanup.policy': 'compact', ...createTime, 'min.compaction.lag.ms': String(store.historyMs + ADDITIONAL_RETENTION_MS) };
    case 'window':
    case 'session': {
      const retentionMs = store.retentionMs + ADDITIONAL_RETENTION_MS;
      // Keys of a store with duplicates are never repeated, so compaction would be useless.
      return {
        'cleanup.policy': store.kind === 'window' && store.duplicates ? 'delete' : 'compact,delete',
        ...createTime,
        'retention.ms': Number.isSafeInteger(retentionMs) ? String(retentionMs) : RETENTION_MAX_MS,
      };
    }
  }
}
