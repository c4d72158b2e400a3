// When a table operator hands its changes on: what the user asked for, as far as somebody listens and the store can wait.
import type { StoreDeclaration } from '@millrace/topology';
import type { Emission } from '../operators/table-emission.ts';

/** What an operator does by itself; a pace is put behind it. */
export type ImmediateEmit = 'onUpdate' | 'onCommit';

/** Changes of a versioned store go on at once, whatever was asked: each is of its own time, and none stands for another. */
export function emissionOf<E extends Emission>(
  isRead: boolean,
  emit: E | undefined,
  store: StoreDeclaration | undefined,
): E | 'onUpdate' | 'onCommit' | 'never' {
  if (!isRead) return 'never';
  return store?.kind === 'versioned' ? 'onUpdate' : (emit ?? 'onCommit');
}
