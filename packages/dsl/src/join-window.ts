// How far apart two records of a stream-stream join may lie: checked, in ms.
import { type Duration, durationMs, MillraceError } from '@millrace/core';

/** `within` sets both sides; a number may be negative, so that the window lies wholly before or after. */
export type JoinWindow =
  | { readonly within: Duration; readonly before?: never; readonly after?: never }
  | { readonly before: Duration; readonly after: Duration; readonly within?: never };

export interface JoinWindowSettings {
  /** The other record's time lies in [own - beforeMs, own + afterMs], seen from the left. */
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly graceMs: number;
}

/** Throws ERR_OPTION for a window that nothing fits in. */
export function joinWindowSettings(window: JoinWindow & { readonly grace: Duration }, where: string): JoinWindowSettings {
  const beforeMs = boundMs(window.within ?? window.before, `${where}: before`);
  const afterMs = boundMs(window.within ?? window.after, `${where}: after`);
  if (beforeMs + afterMs < 0) {
    throw new MillraceError('ERR_OPTION', `${where}: before (${beforeMs} ms) and after (${afterMs} ms) leave no time between them. Their sum is 0 or more.`, {
      node: where,
    });
  }
  return { beforeMs, afterMs, graceMs: durationMs(window.grace, `${where}: grace`) };
}

function boundMs(duration: Duration | undefined, name: string): number {
  if (typeof duration === 'number' && Number.isSafeInteger(duration)) return duration;
  // What is missing in plain JavaScript is refused by the same message as what is wrong.
  return durationMs(duration as Duration, name);
}
