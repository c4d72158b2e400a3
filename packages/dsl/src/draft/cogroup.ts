// Adds a cogroup to the plan: a repartition per input whose key is new, an aggregate per input, one node where they come together, and the one
// store that all share (semantics 2.4, 8.7). Each aggregate has a clock of its own, so what is late for one input may be in time for another.
import { type ErasedSerde, MillraceError } from '@millrace/core';
import { topologyError } from '@millrace/topology';
import type { ErasedAdder } from '../erased.ts';
import { passThroughOperator } from '../operators/pass-through.ts';
import { emissionOf } from './emission.ts';
import { createFold, FoldRows, type FoldWindows, foldedKey, foldSpec, graceOf, storeKindOf } from './fold-node.ts';
import { type GroupNode, repartitionGroup } from './group-node.ts';
import { firstSerde } from './serde-hints.ts';
import { nameStore } from './store-draft.ts';
import type { TableNode } from './stream-node.ts';
import type { TableSourceOptionsErased } from './table-sources.ts';

export interface CogroupInput {
  readonly group: GroupNode;
  readonly add: ErasedAdder;
}
export interface Cogroup {
  readonly initial: () => unknown;
  readonly inputs: readonly CogroupInput[];
}
export type CogroupOptionsErased = TableSourceOptionsErased & { readonly merge?: ErasedAdder };

/** Throws ERR_TOPOLOGY for an input that is there already: its first `add` would never run. */
export function addCogroupInput(cogroup: Cogroup, input: CogroupInput): Cogroup {
  if (cogroup.inputs.some(({ group }) => group === input.group))
    throw topologyError('cogroup() was given one grouped stream twice. Put both into one add function, or group the stream a second time.');
  return { ...cogroup, inputs: [...cogroup.inputs, input] };
}

export function foldCogroup(cogroup: Cogroup, windows: FoldWindows, options: CogroupOptionsErased): TableNode {
  const { initial, inputs } = cogroup;
  const { draft } = (inputs[0] as CogroupInput).group.stream;
  checkOptions(windows, options);
  const prefix = 'COGROUPKSTREAM-AGGREGATE-';
  const store = nameStore(draft, prefix, options, storeKindOf(windows));
  // All repartitions take their names before the first aggregate does.
  const placed = inputs.map(({ group, add }) => ({ add, ...repartitionGroup(group, store, undefined) }));
  const sources = [...new Set(placed.flatMap((input) => input.sources))];
  draft.addCopartitioned(sources);
  const key: ErasedSerde | undefined = firstSerde(store.key, ...inputs.map(({ group }) => group.key));
  const spec = foldSpec(draft, store, windows, { key, value: store.value });
  draft.addStore(store.name, () => spec);
  const rows = new FoldRows(store, windows);
  const facts = { kind: 'operator', effect: 'keepsAll', takesNullKeys: false, onError: options.onError } as const;
  const aggregates = placed.map(({ add, parent }, index) => {
    const resolve = () => {
      const emit = emissionOf(draft.hasChildren(node), options.emit, store.declared);
      const fold = { initial, add, merge: options.merge };
      return { stores: [store.name], create: createFold({ store: store.name, fold, sendsPrior: rows.sendsPrior, emit }, windows) };
    };
    return draft.add({ ...facts, name: draft.names.suffixed(options.as, `-cogroup-agg-${index}`, prefix), parents: [parent], resolve });
  });
  const name = draft.names.suffixed(options.as, '-cogroup-merge', 'COGROUPKSTREAM-MERGE-');
  const node = draft.add({ ...facts, name, parents: aggregates, resolve: () => ({ stores: [], create: passThroughOperator }) });
  if (windows !== undefined) draft.setGrace(node, graceOf(windows));
  return { draft, node, name, key: foldedKey(key, windows), value: store.value, sources, rows };
}

/** What the types refuse, for those who write without them. */
function checkOptions(windows: FoldWindows, options: CogroupOptionsErased): void {
  if ((options.emit as string | undefined) === 'onWindowClose')
    throw new MillraceError(
      'ERR_OPTION',
      "A cogroup cannot emit 'onWindowClose': its inputs have clocks of their own. Use suppress({ until: 'windowClose' }) on the result.",
      { option: 'emit' },
    );
  if (windows?.kind === 'session' && typeof options.merge !== 'function')
    throw new MillraceError('ERR_OPTION', 'A cogroup over sessions needs { merge }: it makes one aggregate of two sessions that meet.', { option: 'merge' });
}
