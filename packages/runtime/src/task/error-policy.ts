// Which errors a policy may be asked about, what it says, and the one error that means "it said fail".
// Never: counts, logs or drops; the caller does.
import { AssertionFailed, explainError, MillraceError } from '@millrace/core';
import { type ErrorDecision, type ErrorPolicy, type Failure, isDeadLetter } from '@millrace/topology';

/** Broken invariants and everything whose response is fixed (a corrupt store, a lost membership, a failure already decided) pass policies by. */
export function isForPolicy(error: unknown): boolean {
  if (error instanceof AssertionFailed) return false;
  return !MillraceError.is(error) || error.response === 'ask-policy';
}

export interface Verdict {
  readonly decision: ErrorDecision;
  /** What the policy did instead of deciding; whoever reads of the failure reads of this too. */
  readonly fault?: string;
}

/** A policy that throws means 'fail'; so does one that answers anything but 'fail', 'skip' or a dead letter. */
export function decideFailure(policy: ErrorPolicy, failure: Failure): Verdict {
  if (typeof policy !== 'function') return { decision: policy };
  try {
    const decision: unknown = policy(failure);
    if (decision === 'fail' || decision === 'skip' || isDeadLetter(decision)) return { decision };
    return { decision: 'fail', fault: `its error policy returned ${shown(decision)}, which is none of 'fail', 'skip' and deadLetter('a-topic')` };
  } catch (error) {
    return { decision: 'fail', fault: `its error policy threw: ${explained(error)}` };
  }
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : value instanceof Promise ? 'a promise' : String(value);
}

/** Never empty, and without the full stop that the sentence around it brings. */
function explained(error: unknown): string {
  return explainError(error).replace(/\.$/, '') || `${String(error)} was thrown`;
}

const STAGES: Readonly<Record<Failure['stage'], string>> = {
  decode: 'could not be decoded',
  process: 'failed in',
  punctuate: 'failed in a timer of',
  async: 'failed in',
  produce: 'could not be produced by',
};

/** ERR_TASK_FAILED with the place; passes every policy further up. */
export function taskFailed(failure: Failure, fault?: string): MillraceError {
  const { source, node, taskId, stage } = failure;
  const what = source === undefined ? `task ${taskId}` : `record ${source.topic}-${source.partition}@${source.offset}`;
  const where = { task: taskId, node, stage, ...(source === undefined ? {} : { topic: source.topic, partition: source.partition, offset: source.offset }) };
  const text = stage === 'decode' ? `${what} ${STAGES.decode} by source ${node}` : `${what} ${STAGES[stage]} ${node}`;
  return new MillraceError(
    'ERR_TASK_FAILED',
    `${text}: ${explained(failure.error)}${fault === undefined ? '' : `, and ${fault}`}. Nothing of it was committed. Fix the cause, or let onError skip such records or send them to a dead-letter topic: onError: deadLetter('a-topic').`,
    where,
    failure.error,
  );
}
