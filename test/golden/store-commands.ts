// The commands of the recorded `store:S` processor: `verb arg arg` against a store, answered as text.
import type { Entry, KeyValueStore, Rows, SessionStore, VersionedStore, WindowStore } from '@millrace/state';
import { NotExpressible, str } from './functions.ts';

type Row = Entry<unknown, unknown>;
const argument = (text: string | undefined): string | null => (text === undefined || text === '_' ? null : text);

/** What a command needs to know of its store besides the store. */
export interface StoreFacts {
  readonly kind: string;
  readonly isTimestamped: boolean;
  readonly listsByTime?: boolean;
}

export function storeCommand(store: unknown, { kind, isTimestamped, listsByTime }: StoreFacts, key: unknown, [verb = '', ...rest]: readonly string[]): string {
  const args = rest.map(argument);
  const say = (entry: Row | undefined): string => (entry === undefined ? 'null' : isTimestamped ? `${str(entry.value)}@${entry.timestamp}` : str(entry.value));
  switch (kind) {
    case 'keyValue':
      return keyValueCommand(store as KeyValueStore<unknown, unknown>, key, verb, args, say);
    case 'window':
      return windowCommand(store as WindowStore<unknown, unknown>, key, verb, args, say, listsByTime ?? false);
    case 'session':
      return sessionCommand(store as SessionStore<unknown, unknown>, key, verb, args, listsByTime ?? false);
  }
  if (kind === 'versioned') return versionedCommand(store as VersionedStore<unknown, unknown>, key, verb, args);
  throw new NotExpressible(`commands on ${kind} stores`);
}

type Args = readonly (string | null)[];
type Say = (entry: Row | undefined) => string;

const list = (rows: Iterable<Row>, line: (row: Row) => string): string => `[${[...rows].map(line).join(',')}]`;
const bounds = (from: string | null | undefined, to: string | null | undefined): object => ({ ...(from == null ? {} : { from }), ...(to == null ? {} : { to }) });

function keyValueCommand(store: KeyValueStore<unknown, unknown>, key: unknown, verb: string, args: Args, say: Say): string {
  const pair = (row: Row): string => `${str(row.key)}=${say(row)}`;
  const put = (at: unknown, value: string | null, time?: number): void => {
    if (value === null) store.delete(at);
    else store.put(at, value, time);
  };
  switch (verb) {
    case 'put':
      put(key, args[0] ?? null, args[1] == null ? undefined : Number(args[1]));
      return 'ok';
    case 'putIfAbsent': {
      const before = say(store.entry(key));
      if (args[0] != null && args[1] == null) store.putIfAbsent(key, args[0]);
      else if (args[0] != null && before === say(undefined)) store.put(key, args[0], Number(args[1]));
      // Of Java's null where nothing is, a delete is left.
      else if (before === say(undefined)) store.delete(key);
      return before;
    }
    case 'delete': {
      const before = say(store.entry(key));
      store.delete(key);
      return before;
    }
    case 'get':
      return say(store.entry(key));
    case 'range':
      return list(store.range(bounds(args[0], args[1])), pair);
    case 'reverseRange':
      return list(store.range({ ...bounds(args[0], args[1]), reverse: true }), pair);
    case 'all':
      return list(store.range(), pair);
    case 'reverseAll':
      return list(store.range({ reverse: true }), pair);
    case 'prefixScan':
      return list(store.range({ prefix: args[0] }), pair);
    case 'putAll':
      if (args.includes(null)) for (let at = 0; at + 1 < args.length; at += 2) put(args[at], args[at + 1] ?? null);
      else store.putAll(Array.from({ length: args.length >> 1 }, (_, at) => ({ key: args[2 * at], value: args[2 * at + 1] })));
      return 'ok';
  }
  throw new NotExpressible(`store command ${verb}`);
}

/** Times of a window command are inclusive, and so are ours. */
const times = (from: string | null | undefined, to: string | null | undefined): { from?: number; to?: number } => ({ from: Number(from), to: Number(to) });
const windowed = (row: Row): { readonly key: unknown; readonly window: { readonly start: number; readonly end: number } } => row.key as never;

function windowCommand(store: WindowStore<unknown, unknown>, key: unknown, verb: string, args: Args, say: Say, listsByTime: boolean): string {
  // Ours reads as Java's persistent store does; sorting is stable, so keys stay in order within a time.
  const arranged = (rows: Rows<Row>): Iterable<Row> => (listsByTime ? [...rows].sort((a, b) => windowed(a).window.start - windowed(b).window.start) : rows);
  const byStart = (row: Row): string => `${windowed(row).window.start}=${say(row)}`;
  const byKey = (row: Row): string => `${str(row.key)}=${say(row)}`;
  const first = (rows: Rows<Row>): Row | undefined => [...rows][0];
  switch (verb) {
    case 'put':
      if (args[2] != null) throw new NotExpressible('window rows with a time of their own');
      if (args[0] == null) store.delete(key, Number(args[1]));
      else store.put(key, args[0], Number(args[1]));
      return 'ok';
    case 'fetchOne':
      return say(first(store.fetch(key, times(args[0], args[0]))));
    case 'fetch':
      return list(store.fetch(key, times(args[0], args[1])), byStart);
    case 'backwardFetch':
      return list(store.fetch(key, { ...times(args[0], args[1]), reverse: true }), byStart);
    case 'fetchRange':
      return list(arranged(store.fetchAll({ ...times(args[2], args[3]), ...(args[0] == null ? {} : { fromKey: args[0] }), ...(args[1] == null ? {} : { toKey: args[1] }) })), byKey);
    case 'fetchAll':
      return list(arranged(store.fetchAll(times(args[0], args[1]))), byKey);
    case 'all':
      return list(arranged(store.fetchAll()), byKey);
  }
  throw new NotExpressible(`window store command ${verb}`);
}

/** Reads over several keys, which our stores offer to queries only. */
interface AllSessions {
  fetchAll(): Rows<Row>;
}

/** Java's in-memory store of sessions: by end, then by key, then the shortest first. */
export function inMemoryOrder(left: Row, right: Row): number {
  const { key: a, window: one } = windowed(left);
  const { key: b, window: other } = windowed(right);
  return one.end - other.end || Buffer.compare(Buffer.from(str(a)), Buffer.from(str(b))) || other.start - one.start;
}

function sessionCommand(store: SessionStore<unknown, unknown>, key: unknown, verb: string, args: Args, listsByTime: boolean): string {
  const between = (from: string | null | undefined, to: string | null | undefined, earliestEnd: number, latestStart: number): readonly Row[] => {
    const fits = (row: Row): boolean => {
      const { key: own, window } = windowed(row);
      return (from == null || str(own) >= from) && (to == null || str(own) <= to) && window.end >= earliestEnd && window.start <= latestStart;
    };
    const rows = [...(store as unknown as AllSessions).fetchAll()].filter(fits);
    return listsByTime ? rows.sort(inMemoryOrder) : rows;
  };
  const arranged = (rows: Rows<Row>): Iterable<Row> => (listsByTime ? [...rows].sort(inMemoryOrder) : rows);
  const line = (row: Row): string => `${str(row.key)}=${str(row.value)}`;
  const session = (start: string | null | undefined, end: string | null | undefined) => ({ key, window: { start: Number(start), end: Number(end) } });
  switch (verb) {
    case 'put':
      if (args[2] == null) store.delete(session(args[0], args[1]));
      else store.put(session(args[0], args[1]), args[2]);
      return 'ok';
    case 'remove':
      store.delete(session(args[0], args[1]));
      return 'ok';
    case 'find':
      return list(arranged(store.findSessions(key, { earliestEnd: Number(args[0]), latestStart: Number(args[1]) })), line);
    case 'findRange':
      return list(between(args[0], args[1], Number(args[2]), Number(args[3])), line);
    case 'fetchRange':
      return list(between(args[0], args[1], 0, Number.MAX_SAFE_INTEGER), line);
    case 'backwardFind':
      return list([...arranged(store.findSessions(key, { earliestEnd: Number(args[0]), latestStart: Number(args[1]) }))].reverse(), line);
    case 'fetch':
      return list(arranged(store.fetch(key)), line);
    case 'backwardFetch':
      return list([...arranged(store.fetch(key))].reverse(), line);
    case 'fetchSession': {
      const found = store.get(key, session(args[0], args[1]).window);
      return str(found);
    }
  }
  throw new NotExpressible(`session store command ${verb}`);
}

const NOT_WRITTEN = '-9223372036854775808';

function versionedCommand(store: VersionedStore<unknown, unknown>, key: unknown, verb: string, args: Args): string {
  const at = (time: number): string => {
    const value = time === Number.POSITIVE_INFINITY ? store.get(key) : store.get(key, time);
    if (value === undefined) return 'null';
    // The newest is known for ever, also at times before the history.
    const version = [...store.versions(key, { from: time, to: time })][0] ?? [...store.versions(key)].at(-1);
    return `${str(value)}@${version?.validFrom}`;
  };
  switch (verb) {
    case 'put': {
      const time = Number(args[1]);
      const written = store.put(key, args[0] ?? null, time);
      if (written === 'tooOld') return `put=${NOT_WRITTEN}`;
      return `put=${[...store.versions(key, { from: time })].find(({ validFrom }) => validFrom > time)?.validFrom ?? -1}`;
    }
    case 'delete': {
      const before = at(Number(args[0]));
      store.put(key, null, Number(args[0]));
      return before;
    }
    case 'get':
      return at(Number.POSITIVE_INFINITY);
    case 'asOf':
      return at(Number(args[0]));
  }
  throw new NotExpressible(`versioned store command ${verb}`);
}
