// What a store says when the serde of its values refuses one.
import { explainError, MillraceError } from '@millrace/core';

/** What the serde said, with the store's name; the code is the serde's own. */
export function unwritable(store: string, error: unknown): MillraceError {
  const code = MillraceError.is(error) ? error.code : 'ERR_RECORD_UNENCODABLE';
  return new MillraceError(code, `store ${store} cannot write a value it was given: ${explainError(error)}`, { store }, error);
}
