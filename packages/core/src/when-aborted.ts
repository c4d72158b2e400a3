/**
 * Calls `run` when the signal aborts; when it has already, once the code that runs now is done. The result takes it back: a signal may live much
 * longer than what listens to it.
 */
export function whenAborted(signal: AbortSignal | undefined, run: () => void): () => void {
  let wanted = true;
  const runOnce = (): void => {
    if (wanted) run();
  };
  if (signal?.aborted === true) queueMicrotask(runOnce);
  else signal?.addEventListener('abort', runOnce, { once: true });
  return () => {
    wanted = false;
    signal?.removeEventListener('abort', runOnce);
  };
}
