// Which windows hold a time, by definition of the window.
import { assert, MillraceError } from '@millrace/core';
import type { WindowSettings } from '../windows.ts';

/** Visits the windows that hold `at`, oldest first. */
export type WindowsAround = (at: number, visit: (start: number, end: number) => void) => void;

/** Start of the oldest window that holds `at`; windows are aligned to the epoch and none starts before it. */
export function firstWindowStart(at: number, sizeMs: number, advanceMs: number): number {
  return Math.floor(Math.max(0, at - sizeMs + advanceMs) / advanceMs) * advanceMs;
}

export function startsOf(windows: WindowSettings): WindowsAround {
  const { kind, sizeMs, advanceMs, firstStart } = windows;
  if (kind === 'custom') return customStarts(windows);
  if (kind === 'unlimited') {
    return (at, visit) => {
      if (at >= firstStart) visit(firstStart, sizeMs);
    };
  }
  assert(kind !== 'sliding', 'sliding windows are made by records, not by the clock');
  return (at, visit) => {
    for (let start = firstWindowStart(at, sizeMs, advanceMs); start <= at; start += advanceMs) visit(start, start + sizeMs);
  };
}

/** End of the window that starts at a time. Of custom windows the definition is asked again, for that time. */
export function windowEndOf(windows: WindowSettings): (start: number) => number {
  const { sizeMs } = windows;
  if (windows.kind === 'unlimited') return () => sizeMs;
  if (windows.kind !== 'custom') return (start) => start + sizeMs;
  const around = customStarts(windows);
  return (asked) => {
    let found = asked + sizeMs;
    around(asked, (start, end) => {
      if (start === asked) found = end;
    });
    return found;
  };
}

function customStarts({ windowsFor, sizeMs }: WindowSettings): WindowsAround {
  assert(windowsFor !== undefined, 'custom windows bring their definition');
  return (at, visit) => {
    const windows = [...windowsFor(at)].sort((a, b) => a.start - b.start);
    for (const { start, end } of windows) {
      const holds = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= at && at < end;
      if (!holds || end - start > sizeMs)
        throw new MillraceError(
          'ERR_PROCESS',
          `windowsFor(${at}) gave [${start}, ${end}). Each window must hold that time, start at 0 or later, and be no longer than sizeMax, ${sizeMs} ms.`,
        );
      visit(start, end);
    }
  };
}
