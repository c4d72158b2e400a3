// What the user's setting says about a worker that failed.
// Never: counts failures, replaces anybody (instance.ts does).
import { explainError, type Logger, MillraceError } from '@millrace/core';
import type { ErrorPolicies, WorkerFailureDecision } from './options.ts';

/** A function that throws means 'stopInstance'. */
export function decideOnFailure({ onWorkerFailure = 'restartWorker' }: ErrorPolicies, error: Error, log: Logger): WorkerFailureDecision {
  if (typeof onWorkerFailure !== 'function') return onWorkerFailure;
  try {
    return onWorkerFailure(MillraceError.is(error) ? error : new MillraceError('ERR_TASK_FAILED', explainError(error), {}, error));
  } catch (thrown) {
    log.error({}, `onWorkerFailure threw, so the instance stops: ${explainError(thrown)}`);
    return 'stopInstance';
  }
}
