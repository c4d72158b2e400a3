// The named functions that the recorded programs use: predicates, mappers, folds, joiners, extractors.
import type { RecordContext } from '@millrace/dsl';

/** A case that this file or the translator cannot express yet; the message is the reason that is counted. */
export class NotExpressible extends Error {}

interface WindowedKey {
  readonly key: unknown;
  readonly window: { readonly start: number; readonly end: number };
}
const isWindowed = (x: unknown): x is WindowedKey => typeof x === 'object' && x !== null && 'window' in x;
const isNothing = (x: unknown): x is null | undefined => x === null || x === undefined;

/** Ends of unlimited windows lie beyond what a number holds; both sides show them as this. */
const ENDLESS = '9223372036854775807';
export const endText = (end: number): string => (end >= Number.MAX_SAFE_INTEGER ? ENDLESS : String(end));

export function str(x: unknown): string {
  if (isNothing(x)) return 'null';
  if (typeof x === 'string') return x;
  if (x instanceof Uint8Array) return Buffer.from(x).toString('hex');
  if (isWindowed(x)) return `${str(x.key)}@${x.window.start}-${endText(x.window.end)}`;
  return String(x);
}
const len = (x: unknown): number => (isNothing(x) ? 0 : str(x).length);
const num = (x: unknown): number => (isNothing(x) ? 0 : Number(x));
export const prefix = (x: unknown): string | null => (isNothing(x) || !str(x).includes('|') ? null : str(x).slice(0, str(x).indexOf('|')));
const rest = (x: unknown): string | null => (isNothing(x) ? null : str(x).slice(str(x).indexOf('|') + 1));
const concat = (a: unknown, b: unknown): string => `${str(a)}+${str(b)}`;
const remove = (a: unknown, v: unknown): unknown => (isNothing(a) ? null : str(a).replace(`+${str(v)}`, ''));
function refuse(argument: string, v: unknown): void {
  if (str(v) === argument) throw new Error(`refused ${argument}`);
}

type Function2 = (k: unknown, v: unknown) => unknown;
type Table<F> = Readonly<Record<string, (argument: string) => F>>;

function choose<F>(kind: string, table: Table<F>, name: string): F {
  const colon = name.indexOf(':');
  const make = table[colon < 0 ? name : name.slice(0, colon)];
  if (make === undefined) throw new NotExpressible(`${kind} ${name}`);
  return make(colon < 0 ? '' : name.slice(colon + 1));
}

const predicates: Table<(k: unknown, v: unknown) => boolean> = {
  always: () => () => true,
  never: () => () => false,
  valueNull: () => (_k, v) => isNothing(v),
  valueNotNull: () => (_k, v) => !isNothing(v),
  keyNotNull: () => (k) => !isNothing(k),
  valueStartsWith: (p) => (_k, v) => typeof v === 'string' && v.startsWith(p),
  keyIs: (x) => (k) => !isNothing(k) && str(k) === x,
  valueLenEven: () => (_k, v) => !isNothing(v) && len(v) % 2 === 0,
  numAtLeast: (n) => (_k, v) => !isNothing(v) && num(v) >= Number(n),
  numEven: () => (_k, v) => !isNothing(v) && num(v) % 2 === 0,
  throwOn: (x) => (_k, v) => {
    refuse(x, v);
    return true;
  },
};

const valueMappers: Table<Function2> = {
  identity: () => (_k, v) => v,
  upper: () => (_k, v) => (isNothing(v) ? null : str(v).toUpperCase()),
  bang: () => (_k, v) => `${str(v)}!`,
  toNull: () => () => null,
  nullIfStartsWith: (p) => (_k, v) => (typeof v === 'string' && v.startsWith(p) ? null : v),
  len: () => (_k, v) => (isNothing(v) ? null : len(v)),
  str: () => (_k, v) => (isNothing(v) ? null : str(v)),
  orElse: (x) => (_k, v) => (isNothing(v) ? x : v),
  double: () => (_k, v) => (isNothing(v) ? null : 2 * num(v)),
  rest: () => (_k, v) => rest(v),
  throwOn: (x) => (_k, v) => {
    refuse(x, v);
    return v;
  },
  keyValue: () => (k, v) => `${str(k)}:${str(v)}`,
};

const innerKey = (k: unknown): unknown => (isWindowed(k) ? k.key : k);
const firstChar = (v: unknown): string | null => (isNothing(v) || str(v) === '' ? null : str(v).charAt(0));

const keySelectors: Table<Function2> = {
  key: () => (k) => k,
  nullKey: () => () => null,
  value: () => (_k, v) => (isNothing(v) ? null : str(v)),
  firstChar: () => (_k, v) => firstChar(v),
  prefix: () => (_k, v) => prefix(v),
  keyValue: () => (k, v) => `${str(k)}:${str(v)}`,
  windowedToString: () => (k) => str(k),
  innerKey: () => (k) => innerKey(k),
  upperKey: () => (k) => (isNothing(k) ? null : str(k).toUpperCase()),
  nullIfValueStartsWith: (p) => (k, v) => (typeof v === 'string' && v.startsWith(p) ? null : k),
};

type Pair = { readonly key: unknown; readonly value: unknown } | null;
const mappers: Table<(k: unknown, v: unknown) => Pair> = {
  same: () => (key, value) => ({ key, value }),
  swap: () => (k, v) => ({ key: isNothing(v) ? null : str(v), value: isNothing(k) ? null : str(k) }),
  firstCharKey: () => (_k, v) => ({ key: firstChar(v), value: v }),
  prefixKey: () => (_k, v) => ({ key: prefix(v), value: v }),
  prefixRest: () => (_k, v) => ({ key: prefix(v), value: rest(v) }),
  prefixLen: () => (_k, v) => ({ key: prefix(v), value: isNothing(v) ? null : len(v) }),
  prefixNullValue: () => (_k, v) => ({ key: prefix(v), value: null }),
  innerKey: () => (k, v) => ({ key: innerKey(k), value: v }),
  nullKey: () => (_k, v) => ({ key: null, value: v }),
  nullPair: () => () => null,
};

const words = (v: unknown): string[] => (isNothing(v) ? [] : str(v).split(' ').filter((word) => word !== ''));
const flatMappers: Table<(k: unknown, v: unknown) => readonly { key: unknown; value: unknown }[] | null> = {
  words: () => (k, v) => words(v).map((word) => ({ key: word, value: isNothing(k) ? null : str(k) })),
  twice: () => (k, v) => [`${str(v)}1`, `${str(v)}2`].map((value) => ({ key: k, value })),
  none: () => () => [],
  null: () => () => null,
};
const flatValueMappers: Table<(k: unknown, v: unknown) => readonly unknown[] | null> = {
  words: () => (_k, v) => words(v),
  chars: () => (_k, v) => (isNothing(v) ? [] : str(v).split('')),
  twice: () => (_k, v) => [v, v],
  none: () => () => [],
  withNull: () => (_k, v) => [v, null],
  keyAndValue: () => (k, v) => [str(k), str(v)],
  null: () => () => null,
};

const initializers: Table<() => unknown> = { empty: () => () => '', init: () => () => 'i', zero: () => () => 0, null: () => () => null };

type Aggregator = (k: unknown, v: unknown, a: unknown) => unknown;
const aggregators: Table<Aggregator> = {
  concat: () => (_k, v, a) => concat(a, v),
  minus: () => (_k, v, a) => `${str(a)}-${str(v)}`,
  remove: () => (_k, v, a) => remove(a, v),
  keyConcat: () => (k, v, a) => `${str(a)}+${str(k)}=${str(v)}`,
  last: () => (_k, v) => v,
  sumLen: () => (_k, v, a) => num(a) + len(v),
  subLen: () => (_k, v, a) => num(a) - len(v),
  add: () => (_k, v, a) => num(a) + num(v),
  sub: () => (_k, v, a) => num(a) - num(v),
  nullIfValue: (x) => (_k, v, a) => (str(v) === x ? null : concat(a, v)),
  nullWhenLonger: (n) => (_k, v, a) => (concat(a, v).length > Number(n) ? null : concat(a, v)),
  throwOn: (x) => (_k, v, a) => {
    refuse(x, v);
    return concat(a, v);
  },
};

const reducers: Table<(a: unknown, b: unknown) => unknown> = {
  concat: () => (a, b) => concat(a, b),
  minus: () => (a, b) => `${str(a)}-${str(b)}`,
  remove: () => (a, b) => remove(a, b),
  first: () => (a) => a,
  last: () => (_a, b) => b,
  add: () => (a, b) => num(a) + num(b),
  sub: () => (a, b) => num(a) - num(b),
  nullIf: (x) => (a, b) => (str(b) === x ? null : concat(a, b)),
};

const sessionMergers: Table<(k: unknown, a: unknown, b: unknown) => unknown> = {
  concat: () => (_k, a, b) => `(${str(a)}&${str(b)})`,
  keyConcat: () => (k, a, b) => `(${str(k)}:${str(a)}&${str(b)})`,
  add: () => (_k, a, b) => num(a) + num(b),
  null: () => () => null,
};

const joiners: Table<(k: unknown, l: unknown, r: unknown) => unknown> = {
  concat: () => (_k, l, r) => concat(l, r),
  left: () => (_k, l) => l,
  right: () => (_k, _l, r) => (isNothing(r) ? null : r),
  nullIfRight: (x) => (_k, l, r) => (str(r) === x ? null : concat(l, r)),
  nullIfLeft: (x) => (_k, l, r) => (str(l) === x ? null : concat(l, r)),
  keyConcat: () => (k, l, r) => `${str(k)}:${concat(l, r)}`,
};

type Extractor = (value: unknown, key: unknown, context: RecordContext) => number;
const extractors: Table<Extractor> = {
  atSuffix: () => (v, _k, { timestamp }) => (typeof v === 'string' && v.includes('@') ? Number(v.slice(v.lastIndexOf('@') + 1)) : timestamp),
  partitionTime: () => (_v, _k, { streamTime }) => streamTime,
  plus: (n) => (_v, _k, { timestamp }) => timestamp + Number(n),
  throwOn: (x) => (v, _k, { timestamp }) => {
    refuse(x, v);
    return timestamp;
  },
};

const topicExtractors: Table<(key: unknown, value: unknown) => string> = {
  outByPrefix: () => (_k, v) => (typeof v === 'string' && v.includes('|') ? `out-${v.slice(0, v.indexOf('|'))}` : 'out-none'),
};

export const topicExtractor = (name: string) => choose('topic extractor', topicExtractors, name);
export const predicate = (name: string) => choose('predicate', predicates, name);
export const valueMapper = (name: string) => choose('value mapper', valueMappers, name);
export const keySelector = (name: string) => choose('key selector', keySelectors, name);
export const mapper = (name: string) => choose('mapper', mappers, name);
export const flatMapper = (name: string) => choose('flat mapper', flatMappers, name);
export const flatValueMapper = (name: string) => choose('flat value mapper', flatValueMappers, name);
export const initializer = (name: string) => choose('initializer', initializers, name);
export const aggregator = (name: string) => choose('aggregator', aggregators, name);
export const reducer = (name: string) => choose('reducer', reducers, name);
export const sessionMerger = (name: string) => choose('session merger', sessionMergers, name);
export const joiner = (name: string) => choose('joiner', joiners, name);
export const extractor = (name: string) => choose('extractor', extractors, name);
