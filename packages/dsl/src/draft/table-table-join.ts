// Adds a join of two tables to the plan: one node per side that looks up the other, and one where both come together (semantics 2.4, 2.5, 12).
import { topologyError } from '@millrace/topology';
import type { ErasedJoiner } from '../erased.ts';
import { passThroughOperator } from '../operators/pass-through.ts';
import { readStored } from '../operators/row-readers.ts';
import { tableJoinResultOperator } from '../operators/table-join-result.ts';
import { JoinedRow, type JoinedRowSettings, tableJoinSideOperator } from '../operators/table-table-join.ts';
import { emissionOf } from './emission.ts';
import { checkEqualKeys } from './join-keys.ts';
import { firstSerde } from './serde-hints.ts';
import { isUnnamedStore, nameStore, rowsSpec, type StoreDraft } from './store-draft.ts';
import type { TableNode } from './stream-node.ts';
import type { RowView, TableRows } from './table-rows.ts';
import type { TableSourceOptionsErased } from './table-sources.ts';

export type TableJoinKind = 'inner' | 'left' | 'outer';

export function joinTables(left: TableNode, right: TableNode, joiner: ErasedJoiner, kind: TableJoinKind, options: TableSourceOptionsErased): TableNode {
  const { draft } = left;
  const store = resultStore(left, options);
  const name = draft.names.node(options.as, 'KTABLE-MERGE-');
  const thisName = draft.names.suffixed(options.as, '-join-this', 'KTABLE-JOINTHIS-');
  const otherName = draft.names.suffixed(options.as, '-join-other', 'KTABLE-JOINOTHER-');
  checkEqualKeys(left.key, right.key, name);
  const sides = { joiner, leftAlone: kind !== 'inner', rightAlone: kind === 'outer' };
  // A side that may stand alone must tell a delete from a delete of nothing.
  if (sides.leftAlone) left.rows.sendPrior(true);
  if (sides.rightAlone) right.rows.sendPrior(true);
  const rows = new JoinRows(left.rows, right.rows, store, sides);
  const thisNode = addSide(left, thisName, rows, 'left', options);
  const otherNode = addSide(right, otherName, rows, 'right', options);
  const sources = [...new Set([...left.sources, ...right.sources])];
  draft.addCopartitioned(sources);
  const key = firstSerde(store?.key, options.key, left.key);
  const value = firstSerde(store?.value, options.value);
  if (store !== undefined) draft.addStore(store.name, () => rowsSpec(draft, store, key, value));
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [thisNode, otherNode],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve() {
      if (store === undefined) return { stores: [], create: passThroughOperator };
      const emit = emissionOf(draft.hasChildren(node), options.emit, store.declared);
      return { stores: [store.name], create: tableJoinResultOperator({ store: store.name, sendsPrior: rows.sendsPrior, emit }) };
    },
  });
  return { draft, node, name, key, value, sources, rows };
}

/** Serdes alone make a store with a generated name here, other than for filters (semantics 9.4). */
function resultStore(table: TableNode, options: TableSourceOptionsErased): StoreDraft | undefined {
  if (options.store === undefined && !isUnnamedStore(options)) return undefined;
  const store = nameStore(table.draft, 'KTABLE-MERGE-', options, 'keyValue');
  if (store.declared?.ttlMs === undefined) return store;
  throw topologyError(
    `Store "${store.name}" has { ttl } and would keep the rows of a join, which are there as long as those of its sides. Give { ttl } to these.`,
    {
      store: store.name,
    },
  );
}

function addSide(table: TableNode, name: string, rows: JoinRows, side: 'left' | 'right', options: TableSourceOptionsErased): number {
  const view = rows.viewOpposite(side);
  return table.draft.add({
    kind: 'operator',
    name,
    parents: [table.node],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({ stores: view.stores, create: tableJoinSideOperator({ view, ...rows.sideOf(side), sendsPrior: rows.sendsPrior }) }),
  });
}

/** Rows of a join: from its store, or joined again from both sides'. */
class JoinRows implements TableRows {
  /** A join is versioned only if its own store is. */
  readonly historyMs: number | undefined;
  sendsPrior = false;
  readonly #left: TableRows;
  readonly #right: TableRows;
  readonly #store: string | undefined;
  readonly #sides: JoinedRowSettings;

  constructor(left: TableRows, right: TableRows, store: StoreDraft | undefined, sides: JoinedRowSettings) {
    this.historyMs = store?.declared?.historyMs;
    this.#left = left;
    this.#right = right;
    this.#store = store?.name;
    this.#sides = sides;
  }

  /** What a side looks up. */
  viewOpposite(side: 'left' | 'right'): RowView {
    return (side === 'left' ? this.#right : this.#left).view();
  }

  /** The join seen from one side: its own value comes first. */
  sideOf(side: 'left' | 'right'): { readonly joiner: ErasedJoiner; readonly aloneHere: boolean; readonly aloneThere: boolean } {
    const { joiner, leftAlone, rightAlone } = this.#sides;
    if (side === 'left') return { joiner, aloneHere: leftAlone, aloneThere: rightAlone };
    return { joiner: (own, other, key) => joiner(other, own, key), aloneHere: rightAlone, aloneThere: leftAlone };
  }

  sendPrior(): boolean {
    this.#left.sendPrior(true);
    this.#right.sendPrior(true);
    this.sendsPrior = true;
    return true;
  }

  view(): RowView {
    const store = this.#store;
    if (store !== undefined) return { stores: [store], open: (context, asOf) => readStored(context, store, asOf) };
    const left = this.#left.view();
    const right = this.#right.view();
    return {
      stores: [...new Set([...left.stores, ...right.stores])],
      open: (context, asOf) => new JoinedRow(left.open(context, asOf), right.open(context, asOf), this.#sides),
    };
  }
}
