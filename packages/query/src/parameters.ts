// Query parameters: known names only, each given once, each within its range. A mistake names the parameter and shows a right value.
import { type Duration, durationMs } from '@millrace/core';
import { Problem } from './problem.ts';

export const LIMIT_DEFAULT = 100;
export const LIMIT_MAX = 10_000;
export const TIMEOUT_DEFAULT_MS = 5000;
const TIMEOUT_MAX_MS = 60_000;

/** The parameters of one request, after a check that all of them are `known`. */
export class Parameters {
  readonly #values: URLSearchParams;
  constructor(values: URLSearchParams, known: readonly string[]) {
    this.#values = values;
    for (const name of values.keys()) {
      if (!known.includes(name)) throw invalid(name, `is not a parameter of this route; it takes ${known.length === 0 ? 'none' : known.join(', ')}`);
      if (values.getAll(name).length > 1) throw invalid(name, 'is given more than once');
    }
  }

  text(name: string): string | undefined {
    return this.#values.get(name) ?? undefined;
  }

  /** One of `choices`, the first where it is missing. */
  choice<T extends string>(name: string, choices: readonly [T, ...T[]]): T {
    const text = this.text(name);
    if (text === undefined) return choices[0];
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw invalid(name, `must be one of ${choices.join(', ')}`);
    return found;
  }

  integer(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw invalid(name, `must be a whole number from ${min} to ${max}`);
    return value;
  }

  limit(): number {
    return this.integer('limit', 1, LIMIT_MAX) ?? LIMIT_DEFAULT;
  }

  timeoutMs(): number {
    const text = this.text('timeout');
    if (text === undefined) return TIMEOUT_DEFAULT_MS;
    let ms: number;
    try {
      ms = durationMs((/^\d+$/.test(text) ? Number(text) : text) as Duration, 'timeout');
    } catch {
      throw invalid('timeout', "must be a duration such as '500ms' or '5s'");
    }
    if (ms > TIMEOUT_MAX_MS) throw invalid('timeout', `must be at most ${TIMEOUT_MAX_MS} ms`);
    return ms;
  }

  /** Ms since the epoch: digits as they are, or ISO 8601; a date alone is midnight UTC, a time without a zone is UTC. */
  instant(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const ms = parseInstant(text);
    if (ms === undefined) throw invalid(name, "must be ms since the epoch or an ISO 8601 date, such as '2001-01-01' or '2001-01-01T06:00:00Z'");
    return ms;
  }
}

const ISO = /^(\d{4})-(\d{2})-(\d{2})(T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?(Z|[+ -]\d{2}:\d{2})?$/;
const INSTANT_MAX = 8.64e15;

/** Undefined for what is no instant, 30 February included. */
export function parseInstant(text: string): number | undefined {
  if (/^-?\d{1,16}$/.test(text)) {
    const ms = Number(text);
    return Math.abs(ms) <= INSTANT_MAX ? ms : undefined;
  }
  const match = ISO.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, time, zone] = match;
  if (time === undefined && zone !== undefined) return undefined;
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (Number(month) < 1 || Number(month) > 12 || Number(day) < 1 || Number(day) > lastDay) return undefined;
  // In a URL a plus sign that was not escaped arrives as a blank.
  const ms = Date.parse(`${year}-${month}-${day}${time ?? 'T00:00'}${(zone ?? 'Z').replace(' ', '+')}`);
  return Number.isNaN(ms) ? undefined : ms;
}

function invalid(name: string, what: string): Problem {
  return new Problem('invalid-parameter', `Parameter "${name.slice(0, 50)}" ${what}.`, { parameter: name.slice(0, 50) });
}
