// Adds a join of a stream with a global table to the plan: no repartition, no co-partitioning, the stream's key stays what it was (semantics 11.8).
import type { ErasedSerde } from '@millrace/core';
import { topologyError } from '@millrace/topology';
import type { ErasedJoiner, ErasedRowMapper } from '../erased.ts';
import { streamGlobalJoinOperator } from '../operators/stream-global-join.ts';
import type { GlobalNode } from './global-stores.ts';
import { type ErasedOptions, type StreamNode, streamNode } from './stream-node.ts';

export type GlobalJoinOptionsErased = ErasedOptions & { readonly on?: ErasedRowMapper; readonly value?: ErasedSerde };

export function joinWithGlobal(
  stream: StreamNode,
  table: GlobalNode,
  joiner: ErasedJoiner,
  kind: 'inner' | 'left',
  options: GlobalJoinOptionsErased,
): StreamNode {
  const { draft } = stream;
  const { on } = options;
  // Kafka Streams calls inner joins by this name too.
  const name = draft.names.node(options.as, 'KSTREAM-LEFTJOIN-');
  if (typeof on !== 'function')
    throw topologyError(`The join "${name}" with a global table needs { on }: (value, key) => the key of the row to look up.`, { node: name });
  const create = streamGlobalJoinOperator({ store: table.store, on, joiner, kind });
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [stream.node],
    effect: 'changesUnseen',
    takesNullKeys: kind === 'left',
    onError: options.onError,
    resolve: () => ({ stores: [], create }),
  });
  return streamNode({ draft, node, name, key: stream.key, value: options.value, sources: stream.sources, keyChanged: stream.keyChanged });
}
