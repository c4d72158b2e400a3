// Adds a split to the plan: one node that chooses, and one below it for each branch, so that a branch has a name of its own.
// The node of the rest is made when somebody asks for the rest; until then what fits nowhere is dropped.
import { checkName, topologyError } from '@millrace/topology';
import type { ErasedPredicate } from '../erased.ts';
import { branchOperator } from '../operators/branch.ts';
import { passThroughOperator } from '../operators/pass-through.ts';
import { givenFunction } from './given-function.ts';
import { type ErasedOptions, type StreamNode, streamNode } from './stream-node.ts';

export interface Split {
  readonly branches: ReadonlyMap<string, StreamNode>;
  /** The same stream however often it is asked for. */
  rest(): StreamNode;
}

export type SplitOptionsErased = ErasedOptions & { readonly suffixes?: Readonly<Record<string, string | undefined>> };

const INTEGER_LIKE = /^(0|[1-9][0-9]*)$/;

export function splitStream(stream: StreamNode, predicates: Readonly<Record<string, ErasedPredicate>>, options: SplitOptionsErased): Split {
  const { draft } = stream;
  const wanted = Object.entries(predicates ?? {});
  for (const [branch, predicate] of wanted) {
    checkBranch(branch, options.as);
    givenFunction(predicate, `split(): the predicate of "${branch}"`);
  }
  const name = draft.names.node(options.as, 'KSTREAM-BRANCH-');
  // As in Kafka Streams: numbered where the split has no name, the rest as number 0.
  const childName = (branch: string, index: number): string => `${name}${options.suffixes?.[branch] ?? (options.as === undefined ? index : branch)}`;
  const targets = wanted.map(([branch, predicate], index) => ({ child: childName(branch, index + 1), predicate }));
  let rest: StreamNode | undefined;
  const node = draft.add({
    kind: 'operator',
    name,
    parents: [stream.node],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({ stores: [], create: branchOperator(targets, rest?.name) }),
  });
  const addBranch = (child: string): StreamNode => {
    // Its name is made of the split's, but an index is taken all the same.
    draft.names.node(undefined, 'KSTREAM-BRANCH-');
    checkName(child, 'node');
    const { key, value, sources, keyChanged } = stream;
    const id = draft.add({
      kind: 'operator',
      name: child,
      parents: [node],
      effect: 'keepsAll',
      takesNullKeys: false,
      onError: undefined,
      resolve: () => ({ stores: [], create: passThroughOperator }),
    });
    return streamNode({ draft, node: id, name: child, key, value, sources, keyChanged });
  };
  return {
    branches: new Map(wanted.map(([branch], index) => [branch, addBranch((targets[index] as { child: string }).child)])),
    rest: () => (rest ??= addBranch(childName('rest', 0))),
  };
}

function checkBranch(branch: string, as: string | undefined): void {
  const where = as === undefined ? 'split()' : `split() "${as}"`;
  if (branch === 'rest')
    throw topologyError(`${where} has a branch called "rest"; that is the name of what no branch takes. Call it something else.`, { node: as ?? 'split' });
  if (INTEGER_LIKE.test(branch))
    throw topologyError(
      `${where} has a branch called "${branch}". JavaScript moves such names to the front, so branches would be tried in another order than written. Use a word.`,
      {
        node: as ?? 'split',
      },
    );
}
