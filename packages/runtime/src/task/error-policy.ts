// Which errors a policy may be asked about, what it says, and the one error that means "it said fail".
// Never: counts, logs or drops; the caller does.
import { AssertionFailed, explainError, MillraceError } from '@millrace/core';
import { type ErrorDecision, type ErrorPolicy, type Failure, isDeadLetter } from '@millrace/topology';

/** Broken invariants and everything whose response is fixed (a corrupt store, a lost membership, a failure already decided) pass policies by. */
export function isForPolicy(error: unknown): boolean {
  if (error instanceof AssertionFailed) return false;
  return !MillraceError.is(error) || error.response === 'ask-policy';
}

/** A policy that throws means 'fail'; so does one that answers anything but 'skip' or a dead letter. */
export function decideFailure(policy: ErrorPolicy, failure: Failure): ErrorDecision {
  if (typeof policy !== 'function') return policy;
  try {
    const decision = policy(failure);
    return decision === 'skip' || isDeadLetter(decision) ? decision : 'fail';
  } catch {
    return 'fail';
  }
}

const STAGES: Readonly<Record<Failure['stage'], string>> = {
  decode: 'could not be decoded',
  process: 'failed in',
  punctuate: 'failed in a timer of',
  async: 'failed in',
  produce: 'could not be produced by',
};

/** ERR_TASK_FAILED with the place; passes every policy further up. */
export function taskFailed(failure: Failure): MillraceError {
  const { source, node, taskId, stage } = failure;
  const what = source === undefined ? `task ${taskId}` : `record ${source.topic}-${source.partition}@${source.offset}`;
  const where = { task: taskId, node, stage, ...(source === undefined ? {} : { topic: source.topic, partition: source.partition, offset: source.offset }) };
  const text = stage === 'decode' ? `${what} ${STAGES.decode} by source ${node}` : `${what} ${STAGES[stage]} ${node}`;
  return new MillraceError(
    'ERR_TASK_FAILED',
    `${text}: ${explainError(failure.error)}. Nothing of it was committed. Fix the cause, or let onError skip such records or send them to a dead-letter topic: onError: deadLetter('a-topic').`,
    where,
    failure.error,
  );
}
