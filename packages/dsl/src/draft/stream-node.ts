// A stream and a table while the build function runs, as plain facts: where they hang in the plan and which serdes are known.
import type { ErasedSerde } from '@millrace/core';
import type { ErrorPolicy } from '@millrace/topology';
import type { PlanDraft } from './plan-draft.ts';
import type { TableRows } from './table-rows.ts';

export interface ErasedOptions {
  readonly as?: string;
  readonly onError?: ErrorPolicy;
  readonly key?: ErasedSerde;
  readonly value?: ErasedSerde;
}

interface DraftNode {
  readonly draft: PlanDraft;
  /** Plan node that forwards the records or changes. */
  readonly node: number;
  readonly name: string;
  /** Undefined: not known; the default is used where bytes are needed. */
  readonly key: ErasedSerde | undefined;
  readonly value: ErasedSerde | undefined;
  /** Sources, table sources and repartitions it is read from. */
  readonly sources: readonly number[];
}

export interface StreamNode extends DraftNode {
  /** The key is new since the last repartition: what needs records by key repartitions first. */
  readonly keyChanged: boolean;
  /** The repartition that joins of this very stream share, once there is one. */
  readonly shared: { repartition: number | undefined };
}

export interface TableNode extends DraftNode {
  readonly rows: TableRows;
}

export function streamNode(facts: Omit<StreamNode, 'shared'>): StreamNode {
  return { ...facts, shared: { repartition: undefined } };
}
