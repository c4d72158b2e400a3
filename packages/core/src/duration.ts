// Durations as people write them, and instants as they write them in a URL.
import { MillraceError } from './errors.ts';

/** `'250ms'`, `'10s'`, `'5m'`, `'5 minutes'`, or a number of ms. A typo does not compile; a negative or fractional value throws ERR_OPTION. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}` | `${number} ${'second' | 'minute' | 'hour' | 'day'}${'' | 's'}`;

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
};

/** Milliseconds of a duration; `name` is the option to blame in the error. */
export function durationMs(duration: Duration, name: string): number {
  const match = typeof duration === 'number' ? null : /^(\d+(?:\.\d+)?)(ms|s|m|h|d| (?:second|minute|hour|day)s?)$/.exec(duration);
  const ms =
    typeof duration === 'number'
      ? duration
      : match === null
        ? Number.NaN
        : Math.round(Number(match[1]) * (UNIT_MS[(match[2] as string).trim().replace(/(?<=..)s$/, '')] as number));
  if (!Number.isSafeInteger(ms) || ms < 0) {
    throw new MillraceError(
      'ERR_OPTION',
      `${name} is ${JSON.stringify(duration)}, which is no duration. Write a whole number of milliseconds, or text such as '250ms', '10s', '5 minutes'.`,
      { option: name },
    );
  }
  return ms;
}
