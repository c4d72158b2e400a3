// Older versions know one code for a producer that was fenced, newer ones another.
// Owns: that translation, for the handlers of transactions. Source: KIP-588.
import { ERROR_CODES } from '@millrace/protocol';

/** PRODUCER_FENCED for those who know it (`knownFrom` on), INVALID_PRODUCER_EPOCH for the others; other codes as they are. */
export function fencedCode(errorCode: number, version: number, knownFrom: number): number {
  return errorCode === ERROR_CODES.PRODUCER_FENCED && version < knownFrom ? ERROR_CODES.INVALID_PRODUCER_EPOCH : errorCode;
}
