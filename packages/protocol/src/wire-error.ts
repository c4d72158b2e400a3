// The two ways bytes from outside can be wrong, as errors with one voice. Owns: nothing.  Never: used for mistakes of our own callers (assert).
import { type ErrorPlace, MillraceError } from '@millrace/core';

/** A message that breaks Kafka's framing or a schema. The connection it came from cannot be used further. */
export function protocolError(message: string, where: ErrorPlace = {}): MillraceError {
  return new MillraceError('ERR_PROTOCOL', message, where);
}

/** A record batch whose bytes contradict each other. Fetched again it may be whole: the damage may be in transit. */
export function batchError(message: string, where: ErrorPlace = {}, cause?: unknown): MillraceError {
  return new MillraceError('ERR_RECORD_BATCH_CORRUPT', message, where, cause);
}
