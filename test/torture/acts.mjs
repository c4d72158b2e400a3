// What user code may do wrong, once per token however often the record comes again: the file of the token remembers.
// A record asks for it, so it happens in the worker that has that record, in the middle of a span.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const ACTS = {
  /** A failure that the error policy sees. */
  throw: () => {
    throw new Error('torture: user code threw');
  },
  /** Nobody's promise. */
  reject: () => void Promise.reject(new Error('torture: nobody handles this rejection')),
  /** After the callback, where no policy can see it. */
  throwLater: () =>
    void setTimeout(() => {
      throw new Error('torture: thrown in a timer');
    }, 5),
  /** All memory that the thread may have: Node ends it. */
  eat: () => {
    const kept = [];
    for (;;) kept.push(Array.from({ length: 10_000 }, (_, at) => ({ at, text: `${at}` })));
  },
  /** The thread ends in the middle of a record. */
  exit: () => process.exit(7),
  /** Nothing of the event loop runs: no heartbeats of the worker, no answers read. */
  block: (ms) => {
    const until = Date.now() + ms;
    while (Date.now() < until);
  },
};

/** Does what the record asks for, unless it was done before. */
export function perform(act) {
  if (act === undefined) return;
  try {
    writeFileSync(join(process.env.MILLRACE_TORTURE_ACTS, act.token), '', { flag: 'wx' });
  } catch {
    return;
  }
  ACTS[act.kind](act.ms);
}
