// A failed start that the script does not catch: one paragraph and exit code 1, in place of Node's stack.
// Never: touches any other error, or a script that catches the failure or listens for uncaught errors itself.
import { explainError, MillraceError } from '@millrace/core';

/** From here on `failure`, should it arrive as an uncaught error, is told to a person. */
export function explainWhenUncaught(failure: unknown): void {
  if (!MillraceError.is(failure) || process.listenerCount('uncaughtException') > 0) return;
  const hear = (error: unknown): void => {
    process.off('uncaughtException', hear);
    if (process.listenerCount('uncaughtException') > 0) return; // the script's own listener has it
    if (error === failure) process.stderr.write(`${explainError(failure)}\n`, () => process.exit(1));
    else
      queueMicrotask(() => {
        throw error; // with nobody listening: Node's own way with it
      });
  };
  process.on('uncaughtException', hear);
}
