// What two answers have in common and what not.
// Owns: what is left out of a comparison, how values that each broker makes up are named, the list of differences that are meant.
// Never: asks.
import type { Outcome } from './side.ts';

/** Words for people, clocks, and what belongs to the one machine. */
const LEFT_OUT = new Set([
  'throttleTimeMs',
  'errorMessage',
  'batchIndexErrorMessage',
  'heartbeatIntervalMs',
  'host',
  'port',
  'clusterId',
  'logDir',
  'totalBytes',
  'usableBytes',
  'size',
]);
/** Made up by each broker: shown by the order in which they come. */
const MADE_UP = new Set(['memberId', 'leader', 'topicId', 'producerId']);
/** Of these only the error codes are compared: the rest is settings and figures of the one broker. */
const CODES_ONLY = new Set(['DescribeConfigs', 'ApiVersions', 'DescribeQuorum', 'DescribeLogDirs', 'ListConfigResources', 'DescribeProducers', 'ListGroups']);
const RECENT_MS = 1_500_000_000_000;

export class Names {
  readonly #names = new Map<string, string>();
  readonly #given: ReadonlyMap<string, unknown>;

  /** `given`: what this broker is known to have made up, by names that both sides share. */
  constructor(given: ReadonlyMap<string, unknown> = new Map()) {
    this.#given = given;
  }
  of(kind: string, value: unknown): string {
    for (const [known, own] of this.#given) if (own === value && known.startsWith('id of')) return known;
    const key = `${kind} ${String(value)}`;
    let name = this.#names.get(key);
    if (name === undefined) this.#names.set(key, (name = `${kind} ${this.#names.size}`));
    return name;
  }
}

/** An outcome without what may differ. */
export function plain(apiName: string, outcome: Outcome, names: Names): unknown {
  if (outcome.kind !== 'answer') return outcome.kind;
  return CODES_ONLY.has(apiName) ? codes(outcome.body) : value(outcome.body, '', names);
}

function value(given: unknown, key: string, names: Names): unknown {
  if (Buffer.isBuffer(given)) return given.toString('hex');
  if (Array.isArray(given)) {
    const items = given.map((item) => value(item, key, names));
    return items.sort((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));
  }
  if (given !== null && typeof given === 'object')
    return Object.fromEntries(
      Object.entries(given)
        .filter(([name]) => !LEFT_OUT.has(name))
        .map(([name, inner]) => [name, value(inner, name, names)]),
    );
  if (typeof given === 'number' && given > RECENT_MS) return 'a time';
  const nothing = given === '' || given === -1 || given === null || given === 0 || given === 'AAAAAAAAAAAAAAAAAAAAAA';
  return MADE_UP.has(key) && !nothing ? names.of(key, given) : given;
}

function codes(given: unknown): unknown {
  const found: unknown[] = [];
  const walk = (part: unknown, key: string): void => {
    if (key.toLowerCase().endsWith('errorcode')) found.push(part);
    else if (Array.isArray(part)) for (const item of part) walk(item, key);
    else if (part !== null && typeof part === 'object' && !Buffer.isBuffer(part)) for (const [name, inner] of Object.entries(part)) walk(inner, name);
  };
  walk(given, '');
  return found.sort();
}

export interface Difference {
  /** Where in the answer: `topics.partitions.errorCode`. */
  readonly path: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

/** The first place in which they differ; undefined: they say the same. */
export function firstDifference(ours: unknown, theirs: unknown, path = ''): Difference | undefined {
  if (JSON.stringify(ours) === JSON.stringify(theirs)) return undefined;
  const both = [ours, theirs];
  if (both.every(Array.isArray)) {
    const [mine, other] = both as [unknown[], unknown[]];
    if (mine.length !== other.length) return { path: `${path}.length`, ours: mine.length, theirs: other.length };
    for (const [at, item] of mine.entries()) {
      const inner = firstDifference(item, other[at], path);
      if (inner !== undefined) return inner;
    }
  }
  if (both.every((one) => one !== null && typeof one === 'object' && !Array.isArray(one))) {
    const [mine, other] = both as [Record<string, unknown>, Record<string, unknown>];
    // Codes say most: they come first.
    const keys = Object.keys(other).sort((left, right) => Number(right.endsWith('rrorCode')) - Number(left.endsWith('rrorCode')));
    for (const key of keys) {
      const inner = firstDifference(mine[key], other[key], path === '' ? key : `${path}.${key}`);
      if (inner !== undefined) return inner;
    }
  }
  return { path, ours, theirs };
}

/** Codes that mean "not yet": who says one is asked again before the two are compared. */
export const NOT_YET = new Set([3, 5, 6, 7, 14, 15, 16, 51, 88]);

export function hasCode(outcome: Outcome, wanted: ReadonlySet<number>): boolean {
  return outcome.kind === 'answer' && (codes(outcome.body) as number[]).some((code) => wanted.has(code));
}
