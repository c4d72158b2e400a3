// The one place where the typed interface is put on an erased face, and taken off again.
import { topologyError } from '@millrace/topology';
import type { PlanDraft } from './plan-draft.ts';

/** Sound: the faces have every method of the interfaces (tested by types.test-d.ts), and types are matched where a chain is written, before they are erased. */
export function typed<Interface>(face: object): Interface {
  return face as Interface;
}

/** The face behind a stream or table that a user handed in. Throws ERR_TOPOLOGY for one of another topology. */
export function sameTopology<Face extends { readonly node: { readonly draft: PlanDraft } }>(
  given: object,
  kind: abstract new (...args: never) => Face,
  here: PlanDraft,
  what: string,
): Face {
  if (!(given instanceof kind)) throw topologyError(`${what} was given something that no operator of this package has made. Is millrace installed twice?`);
  if (given.node.draft !== here) throw topologyError(`${what} was given a stream or table of another topology. Both sides must be made by the same t.`);
  return given;
}
