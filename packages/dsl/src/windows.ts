// Window definitions: which windows a timestamp falls into, and until when they take late records (semantics 7).
// `grace` has no default, because every default is wrong for somebody; 0 is allowed.
import { type Duration, durationMs, MillraceError, type Window } from '@millrace/core';

export interface TimeWindows {
  readonly kind: 'tumbling' | 'hopping' | 'sliding' | 'unlimited' | 'custom';
  readonly grace: Duration;
}

export interface SessionWindows {
  readonly kind: 'session';
  readonly grace: Duration;
}

/** A session definition as operators use it: all times in ms. */
export interface SessionSettings extends SessionWindows {
  readonly gapMs: number;
  readonly graceMs: number;
}

/** A window definition as operators use it: all times in ms. */
export interface WindowSettings extends TimeWindows {
  /** End minus start of a window; `Number.MAX_SAFE_INTEGER` for unlimited ones; of custom ones the longest. */
  readonly sizeMs: number;
  /** Distance of two window starts. Sliding, unlimited and custom windows: 0, they are not aligned. */
  readonly advanceMs: number;
  readonly graceMs: number;
  /** Start of the first window. */
  readonly firstStart: number;
  /** Custom windows only. */
  readonly windowsFor?: CustomOptions['windowsFor'];
}

export interface TumblingOptions {
  readonly size: Duration;
  /** How long a window stays open to late records. */
  readonly grace: Duration;
}
export interface HoppingOptions extends TumblingOptions {
  readonly advance: Duration;
}
export interface SlidingOptions {
  /** Largest distance of two records that share a window; at least 1 ms. */
  readonly difference: Duration;
  readonly grace: Duration;
}
export interface SessionOptions {
  /** Records of a key at most this far apart are in one session; at least 1 ms. */
  readonly gap: Duration;
  readonly grace: Duration;
}
export interface UnlimitedOptions {
  /** ms since the epoch; earlier records belong to no window. */
  readonly start: number;
}

/** Windows of your own: weeks, trading days, shifts. */
export interface CustomOptions {
  /**
   * The windows that hold a time (ms since the epoch), each [start, end). Called for every record: a pure function of `at`, the same for ever.
   * No two windows may begin at one time, since a window is stored under its start.
   */
  readonly windowsFor: (at: number) => readonly Window[];
  /** No window is longer. Rows are kept this long beyond the grace, and readers of a windowed topic take it as the size. */
  readonly sizeMax: Duration;
  readonly grace: Duration;
}

/**
 * @example
 * ```ts
 * windows.tumbling({ size: '1 day', grace: '1 hour' });
 * windows.hopping({ size: '10 minutes', advance: '1 minute', grace: 0 });
 * windows.sliding({ difference: '10 minutes', grace: '1 minute' });
 * windows.session({ gap: '30 minutes', grace: '5 minutes' });
 * const day = 86_400_000;
 * windows.custom({ windowsFor: (at) => [{ start: at - (at % day), end: at - (at % day) + day }], sizeMax: '1 day', grace: '1 hour' });
 * ```
 */
export const windows = {
  tumbling: (options: TumblingOptions): TimeWindows => aligned('tumbling', options.size, options.size, options.grace),
  hopping: (options: HoppingOptions): TimeWindows => aligned('hopping', options.size, options.advance, options.grace),
  sliding(options: SlidingOptions): TimeWindows {
    const sizeMs = durationMs(options.difference, 'windows.sliding: difference');
    if (sizeMs === 0) throw new MillraceError('ERR_OPTION', 'windows.sliding: difference is 0; it must be at least 1 ms.', { option: 'difference' });
    const graceMs = graceOf('sliding', options.grace);
    const settings: WindowSettings = { kind: 'sliding', grace: options.grace, sizeMs, advanceMs: 0, graceMs, firstStart: 0 };
    return Object.freeze(settings);
  },
  session(options: SessionOptions): SessionWindows {
    const gapMs = durationMs(options.gap, 'windows.session: gap');
    const settings: SessionSettings = { kind: 'session', grace: options.grace, gapMs, graceMs: graceOf('session', options.grace) };
    return Object.freeze(settings);
  },
  unlimited(options: UnlimitedOptions): TimeWindows {
    if (!Number.isSafeInteger(options.start) || options.start < 0)
      throw new MillraceError('ERR_OPTION', `windows.unlimited: start is ${options.start}; it takes ms since the epoch.`, { option: 'start' });
    const settings: WindowSettings = { kind: 'unlimited', grace: 0, sizeMs: Number.MAX_SAFE_INTEGER, advanceMs: 0, graceMs: 0, firstStart: options.start };
    return Object.freeze(settings);
  },
  custom(options: CustomOptions): TimeWindows {
    if (typeof options.windowsFor !== 'function')
      throw new MillraceError('ERR_OPTION', 'windows.custom: windowsFor is no function; it takes a time and returns the windows that hold it.', {
        option: 'windowsFor',
      });
    const sizeMs = durationMs(options.sizeMax, 'windows.custom: sizeMax');
    if (sizeMs === 0) throw new MillraceError('ERR_OPTION', 'windows.custom: sizeMax is 0; it must be at least 1 ms.', { option: 'sizeMax' });
    const { windowsFor, grace } = options;
    const settings: WindowSettings = { kind: 'custom', grace, sizeMs, advanceMs: 0, graceMs: graceOf('custom', grace), firstStart: 0, windowsFor };
    return Object.freeze(settings);
  },
} as const;

function aligned(kind: 'tumbling' | 'hopping', size: Duration, advance: Duration, grace: Duration): TimeWindows {
  const sizeMs = durationMs(size, `windows.${kind}: size`);
  const advanceMs = durationMs(advance, `windows.${kind}: advance`);
  const graceMs = graceOf(kind, grace);
  if (sizeMs === 0) throw new MillraceError('ERR_OPTION', `windows.${kind}: size is 0; it must be at least 1 ms.`, { option: 'size' });
  if (advanceMs === 0 || advanceMs > sizeMs)
    throw new MillraceError('ERR_OPTION', `windows.${kind}: advance is ${advanceMs} ms; it must be above 0 and at most the size, ${sizeMs} ms.`, {
      option: 'advance',
    });
  const settings: WindowSettings = { kind, grace, sizeMs, advanceMs, graceMs, firstStart: 0 };
  return Object.freeze(settings);
}

function graceOf(kind: string, grace: Duration): number {
  if (grace === undefined)
    throw new MillraceError('ERR_OPTION', `windows.${kind}: say with { grace } how long a window waits for late records; 0 is allowed.`, { option: 'grace' });
  return durationMs(grace, `windows.${kind}: grace`);
}

/** How long the rows of a window are needed: as long as a record may still ask for them. */
export function retentionNeededMs(windows: WindowSettings): number {
  const { kind, sizeMs, graceMs } = windows;
  return Math.min((kind === 'sliding' ? 2 * sizeMs : sizeMs) + graceMs, Number.MAX_SAFE_INTEGER);
}

/** What windowedBy() was given, in ms. Throws ERR_OPTION for what no `windows.*` has made. */
export function windowSettings(of: TimeWindows): WindowSettings;
export function windowSettings(of: SessionWindows): SessionSettings;
export function windowSettings(of: TimeWindows | SessionWindows): WindowSettings | SessionSettings;
export function windowSettings(of: TimeWindows | SessionWindows): WindowSettings | SessionSettings {
  // Sound: both are made by `windows.*` only, which the lines below check for those who write without types.
  const settings = of as WindowSettings | SessionSettings;
  if (settings?.graceMs !== undefined) return settings;
  throw new MillraceError('ERR_OPTION', 'windowedBy() takes what windows.tumbling(), hopping(), sliding(), session(), unlimited() or custom() returns.', {
    option: 'windows',
  });
}
