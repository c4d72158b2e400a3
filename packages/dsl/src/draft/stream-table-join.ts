// Adds a stream-table join to the plan: both sides keyed alike and co-partitioned, the stream repartitioned first if its key is new.
import { type Duration, durationMs, type ErasedSerde } from '@millrace/core';
import { topologyError } from '@millrace/topology';
import type { ErasedJoiner } from '../erased.ts';
import { streamTableJoinOperator } from '../operators/stream-table-join.ts';
import { waitingKeySerde, waitingRecordSerde } from '../operators/waiting-serdes.ts';
import { firstSerde } from './serde-hints.ts';
import { type ErasedOptions, type StreamNode, streamNode, type TableNode } from './stream-node.ts';
import { repartitionForJoin } from './stream-operators.ts';

export type JoinOptionsErased = ErasedOptions & { readonly result?: ErasedSerde; readonly grace?: Duration };

export function joinWithTable(stream: StreamNode, table: TableNode, joiner: ErasedJoiner, kind: 'inner' | 'left', options: JoinOptionsErased): StreamNode {
  const { draft } = stream;
  const key = firstSerde(options.key, stream.key, table.key);
  const left = stream.keyChanged ? repartitionForJoin(stream, options.as ?? stream.name, key, firstSerde(options.value, stream.value)) : stream;
  checkKeyFormats(left.key, table.key, options.as ?? stream.name);
  const name = draft.names.node(options.as, kind === 'left' ? 'KSTREAM-LEFTJOIN-' : 'KSTREAM-JOIN-');
  const sources = [...new Set([...left.sources, ...table.sources])];
  draft.addCopartitioned(sources);
  const view = table.rows.view();
  const isVersioned = table.rows.historyMs !== undefined;
  const waiting = options.grace === undefined ? undefined : { store: `${name}-Buffer`, graceMs: durationMs(options.grace, `join ${name}: grace`) };
  if (waiting !== undefined) addWaitingStore(left, table, waiting, name, { key, value: firstSerde(options.value, left.value) });
  const create = streamTableJoinOperator({ view, joiner, kind, isVersioned, waiting });
  const stores = waiting === undefined ? view.stores : [waiting.store, ...view.stores];
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [left.node],
    effect: 'keepsAll',
    takesNullKeys: kind === 'left',
    onError: options.onError,
    resolve: () => ({ stores, create }),
  });
  return streamNode({ draft, node, name, key: firstSerde(options.key, left.key, table.key), value: options.result, sources, keyChanged: false });
}

/** Records can wait for rows only if the table still knows then what it held at their time. */
function addWaitingStore(
  stream: StreamNode,
  table: TableNode,
  { store, graceMs }: { readonly store: string; readonly graceMs: number },
  join: string,
  serdes: { readonly key: ErasedSerde | undefined; readonly value: ErasedSerde | undefined },
): void {
  const { draft } = stream;
  const { historyMs } = table.rows;
  if (historyMs === undefined || historyMs < graceMs) {
    const why = historyMs === undefined ? 'it keeps no history' : `its history is ${historyMs} ms`;
    throw topologyError(
      `The join "${join}" lets records wait ${graceMs} ms for rows of table "${table.name}", but ${why}. Give the table a store.versioned() with at least that { history }, or leave { grace } out.`,
      { node: join },
    );
  }
  draft.addStore(store, () =>
    Object.freeze({
      kind: 'keyValue',
      name: store,
      key: waitingKeySerde(draft.keySerde(serdes.key)),
      value: waitingRecordSerde(draft.valueSerde(serdes.value)),
      changelog: { config: {} },
      queryable: false,
    }),
  );
}

/** Equal keys meet in one partition only if they have equal bytes. */
function checkKeyFormats(stream: ErasedSerde | undefined, table: ErasedSerde | undefined, where: string): void {
  if (stream === undefined || table === undefined || stream.format === table.format) return;
  throw topologyError(
    `The stream joined at "${where}" has keys written as ${stream.format}, the table as ${table.format}: equal keys would not meet. Give both one key serde, or rekey the stream with selectKey(…, { key }).`,
    { node: where },
  );
}
