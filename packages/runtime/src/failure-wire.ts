// A failure on its way from a worker to the main thread: structured clone keeps neither error classes nor header lists.
// Also how many of them travel: a flood of poison records must not flood the main thread.
import { type Clock, createHeaders, type ErrorWire, errorFromWire, errorToWire } from '@millrace/core';
import type { Failure } from '@millrace/topology';

export interface FailureWire extends Omit<Failure, 'error' | 'headers'> {
  readonly error: ErrorWire;
  readonly headers: readonly (readonly [string, Uint8Array | null])[];
}

export function failureToWire(failure: Failure): FailureWire {
  return { ...failure, error: errorToWire(failure.error), headers: [...failure.headers] };
}

export function failureFromWire(wire: FailureWire): Failure {
  return { ...wire, error: errorFromWire(wire.error), headers: createHeaders(wire.headers) };
}

const PER_SECOND_MAX = 100;
const SECOND_MS = 1000;

/** True as long as fewer than 100 have been told within the second. */
export function createFailureGate(clock: Clock): () => boolean {
  let sinceMs = Number.NEGATIVE_INFINITY;
  let told = 0;
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - sinceMs >= SECOND_MS) {
      sinceMs = nowMs;
      told = 0;
    }
    told += 1;
    return told <= PER_SECOND_MAX;
  };
}
