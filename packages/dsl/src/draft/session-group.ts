// Aggregates over sessions in the plan: session store, operator, and before them a repartition if the key is new (semantics 8.1, 8.6).
import { MillraceError, serde as serdes } from '@millrace/core';
import type { SessionSpec } from '@millrace/topology';
import { readStoredSessions } from '../operators/row-readers.ts';
import { type ErasedSessionFold, sessionAggregateOperator } from '../operators/session-aggregate.ts';
import type { SessionSettings } from '../windows.ts';
import { type GroupNode, repartitionGroup } from './group-node.ts';
import type { PlanDraft } from './plan-draft.ts';
import { firstSerde, sessionKey } from './serde-hints.ts';
import { nameStore, type StoreDraft, UNNAMED } from './store-draft.ts';
import type { TableNode } from './stream-node.ts';
import type { RowView, TableRows } from './table-rows.ts';
import type { TableSourceOptionsErased } from './table-sources.ts';

export interface SessionFoldWish {
  readonly fold: ErasedSessionFold;
  readonly kind: 'count' | 'reduce' | 'aggregate';
  readonly options: TableSourceOptionsErased;
  readonly windows: SessionSettings;
}

export function foldSessions(group: GroupNode, wish: SessionFoldWish): TableNode {
  const { draft } = group.stream;
  const { options, windows, fold } = wish;
  const prefix = wish.kind === 'reduce' ? 'KSTREAM-REDUCE-' : 'KSTREAM-AGGREGATE-';
  const store = nameStore(draft, prefix, options, 'session');
  const name = draft.names.node(options.as, prefix);
  const { parent, sources } = repartitionGroup(group, store, wish.kind === 'reduce' ? store.value : undefined);
  const key = firstSerde(store.key, group.key);
  const value = firstSerde(store.value, wish.kind === 'count' ? serdes.safeInt() : undefined, wish.kind === 'reduce' ? group.value : undefined);
  const spec = sessionSpec(draft, store, windows, { key, value });
  draft.addStore(store.name, () => spec);
  const rows = new SessionRows(store.name);
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [parent],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({
      stores: [store.name],
      create: sessionAggregateOperator({
        store: store.name,
        fold,
        windows,
        sendsPrior: rows.sendsPrior,
        emit: draft.hasChildren(node) ? (options.emit ?? 'onCommit') : 'never',
      }),
    }),
  });
  return { draft, node, name, key: sessionKey(key), value, sources, rows };
}

/** Made at once, so that a wrong retention is reported where the operator is written. */
function sessionSpec(draft: PlanDraft, store: StoreDraft, windows: SessionSettings, serdesOf: Pick<StoreDraft, 'key' | 'value'>): SessionSpec {
  const { changelog, queryable } = store.declared ?? UNNAMED;
  const needed = windows.gapMs + windows.graceMs;
  const retentionMs = store.declared?.retentionMs ?? needed;
  if (retentionMs < needed) {
    throw new MillraceError(
      'ERR_OPTION',
      `Store "${store.name}" keeps rows for ${retentionMs} ms, but its sessions need ${needed} ms (gap + grace). Raise { retention } or leave it out.`,
      { store: store.name, option: 'retention' },
    );
  }
  const [key, value] = [draft.keySerde(serdesOf.key), draft.valueSerde(serdesOf.value)];
  return Object.freeze({ kind: 'session', name: store.name, key, value, changelog, queryable, retentionMs });
}

/** Rows of sessions are always kept. Their time is the session's end. */
class SessionRows implements TableRows {
  sendsPrior = false;
  readonly #store: string;

  constructor(store: string) {
    this.#store = store;
  }

  sendPrior(): boolean {
    this.sendsPrior = true;
    return true;
  }

  view(): RowView {
    const store = this.#store;
    return { stores: [store], open: (context) => readStoredSessions(context, store) };
  }
}
