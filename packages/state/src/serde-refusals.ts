// What a store says when a serde refuses a value that it was given, or a row that it holds.
import { explainError, MillraceError } from '@millrace/core';

/** What the serde said, with the store's name; the code is the serde's own. */
export function unwritable(store: string, error: unknown): MillraceError {
  const code = MillraceError.is(error) ? error.code : 'ERR_RECORD_UNENCODABLE';
  return new MillraceError(code, `store ${store} cannot write a value it was given: ${explainError(error)}`, { store }, error);
}

/** No record is to blame, so no policy is asked: to skip one would lose data. */
export function unreadable(store: string, part: 'key' | 'value', error: unknown): MillraceError {
  return new MillraceError(
    'ERR_STORE_UNREADABLE',
    `store ${store} holds a row whose ${part} its serde does not read: ${explainError(error)}. Was it written with another serde? ` +
      `Take that serde back, or give the store a new name (it starts empty), or the application a new applicationId.`,
    { store },
    error,
  );
}
