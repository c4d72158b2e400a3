// groupBy of tables: every change under its new key, as what is to be subtracted there and what is to be added.
// If the row keeps its group, both go in one message; else first the subtraction at the old group, then the addition at the new one (semantics 9.9).
import { type ErasedSerde, encodeWith, equalBytes, noHeaders } from '@millrace/core';
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import type { KeyValue } from '../callbacks.ts';
import { type Change, ChangeCell } from '../change.ts';
import type { ErasedRowMapper } from '../erased.ts';

type Pair = KeyValue<unknown, unknown>;

export interface TableRegroupSettings {
  readonly selector: ErasedRowMapper;
  /** Serde of the new keys: keys that are objects are the same group if their bytes are. */
  readonly key: ErasedSerde;
}

export function tableRegroupOperator({ selector, key: keySerde }: TableRegroupSettings): ProcessorFactory {
  /** A pair without key or value is in no group. */
  const groupOf = (value: unknown, key: unknown): Pair | undefined => {
    const pair = selector(value, key) as Pair | null | undefined;
    return isNothing(pair) || isNothing(pair.key) || isNothing(pair.value) ? undefined : pair;
  };
  const isSameGroup = (a: unknown, b: unknown): boolean => {
    if (a === b) return true;
    // Bytes are told apart by identity, as arrays are in Java: two messages where one would do, and the recorded topics show them.
    if (typeof a !== 'object' || typeof b !== 'object' || a instanceof Uint8Array || b instanceof Uint8Array) return false;
    const info = { topic: '', role: 'key', headers: noHeaders } as const;
    const left = encodeWith(keySerde, a, info);
    const right = encodeWith(keySerde, b, info);
    return left !== null && right !== null && equalBytes(left, right);
  };
  return (context): NodeProcessor => {
    const cell = new ChangeCell();
    return {
      process(key, given) {
        const change = given as Change;
        if (!change.isLatest) return; // an older version was written: the group holds the newest one
        const now = change.kind === 'put' ? groupOf(change.value, key) : undefined;
        const before = change.priorKind === 'present' ? groupOf(change.prior, key) : undefined;
        if (now !== undefined && before !== undefined && isSameGroup(now.key, before.key)) {
          context.forward(before.key, cell.withPrior(now.value, before.value));
          return;
        }
        if (before !== undefined) context.forward(before.key, cell.withPrior(null, before.value));
        if (now !== undefined) context.forward(now.key, cell.withoutPrior(now.value));
      },
    };
  };
}

const isNothing = (value: unknown): value is null | undefined => value === null || value === undefined;
