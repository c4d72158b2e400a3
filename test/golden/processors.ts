// The named processors that the recorded programs use, over our Processor API.
import { createHeaders } from '@millrace/core';
import { store as declare, type FixedKeyProcessorSpec, type KeyValueHandle, type ProcessorContext, type ProcessorSpec, type StreamRecord, type TaskContext, type ValueTransformerSpec } from '@millrace/dsl';
import type { StoreCase } from './case-format.ts';
import { mapper, NotExpressible, prefix, str, valueMapper } from './functions.ts';
import type { Likenesses } from './likeness.ts';
import { serdeNamed } from './serdes.ts';
import { storeCommand } from './store-commands.ts';

/** The store of a case as a handle of ours. What we have no store for is not expressible. */
export function caseStore(given: StoreCase, likenesses: Likenesses): CaseStore {
  const listsByTime = given.memory === true && likenesses.has('listsByTime');
  const { name, type } = given;
  const options = { key: serdeNamed(given.key), value: serdeNamed(given.value), changelog: given.logging !== false };
  const erase = (handle: unknown): CaseStore['handle'] => handle as CaseStore['handle'];
  const isTimestamped = type.startsWith('timestamped');
  switch (type) {
    case 'kv':
    case 'timestampedKv':
      return { handle: erase(declare.keyValue(name, options)), isTimestamped };
    case 'lru':
      return { handle: erase(declare.keyValue(name, { ...options, entriesMax: given.capacity as number })), isTimestamped };
    case 'window':
    case 'timestampedWindow':
      return { handle: erase(declare.window(name, { ...options, retention: given.retention as number, windowSize: given.windowSize as number, duplicates: given.retainDuplicates === true })), isTimestamped, listsByTime };
    case 'session':
      return { handle: erase(declare.session(name, { ...options, retention: given.retention as number })), isTimestamped, listsByTime };
  }
  if (type === 'versioned') return { handle: erase(declare.versioned(name, { ...options, history: given.historyRetention as number })), isTimestamped: true };
  throw new NotExpressible(`processor stores of type ${type}`);
}

/** A store of a case: our handle, and whether Java's store shows timestamps. */
export interface CaseStore {
  readonly handle: KeyValueHandle<unknown, unknown>;
  readonly isTimestamped: boolean;
  /** Reads over several keys come by time first, as from an in-memory store of Java. */
  readonly listsByTime?: boolean;
}
export type StoreLookup = (name: string) => CaseStore;

type Value = StreamRecord<unknown, unknown>;
type Context = ProcessorContext<unknown, unknown>;
/** What both kinds of record offer. */
interface Plain {
  readonly key: unknown;
  readonly value: unknown;
  readonly timestamp: number;
  readonly headers: StreamRecord<unknown, unknown>['headers'];
  withValue(value: unknown): this;
  withTimestamp(timestamp: number): this;
  withHeaders(headers: StreamRecord<unknown, unknown>['headers']): this;
}
type Either = (argument: string) => (record: Plain, forward: (record: Plain) => void, context: TaskContext) => void;

const contextText = ({ source, streamTime, wallClock }: TaskContext, timestamp: number): string =>
  `${source?.topic ?? 'null'}/${source?.partition ?? -1}/${source?.offset ?? -1}@${timestamp} st=${streamTime} wc=${wallClock}`;

function refuse(argument: string, value: unknown): void {
  if (str(value) === argument) throw new Error(`refused ${argument}`);
}

/** Those that keep the key: process and processValues alike. */
const either: Readonly<Record<string, Either>> = {
  pass: () => (record, forward) => forward(record),
  drop: () => () => {},
  tsPlus: (n) => (record, forward) => forward(record.withTimestamp(record.timestamp + Number(n))),
  twice: () => (record, forward) => {
    forward(record.withValue(`${str(record.value)}1`));
    forward(record.withValue(`${str(record.value)}2`));
  },
  bang: () => (record, forward) => forward(record.withValue(`${str(record.value)}!`)),
  stamp: () => (record, forward) => forward(record.withHeaders(record.headers.with('p', str(record.value)))),
  ctx: () => (record, forward, context) => forward(record.withValue(contextText(context, record.timestamp))),
  throwOn: (x) => (record, forward) => {
    refuse(x, record.value);
    forward(record);
  },
};

type Free = (context: Context, argument: readonly string[], stores: StoreLookup) => (record: Value) => void;
const by = (type: string | undefined): 'streamTime' | 'wallClock' => (type === 'wall' ? 'wallClock' : 'streamTime');
const isNothing = (value: unknown): value is null | undefined => value === null || value === undefined;

const free: Readonly<Record<string, Free>> = {
  dropHeaders: (context) => (record) => context.forward(record.withHeaders(createHeaders([]))),
  swap: (context) => (record) => {
    const pair = mapper('swap')(record.key, record.value);
    context.forward(record.withKey(pair?.key).withValue(pair?.value));
  },
  passThenThrowOn: (context, [x = '']) => (record) => {
    context.forward(record);
    refuse(x, record.value);
  },
  count: (context, [name = ''], stores) => (record) => {
    if (isNothing(record.key)) return;
    const store = context.store(stores(name).handle);
    const count = Number(store.get(record.key) ?? 0) + 1;
    store.put(record.key, count);
    context.forward(record.withValue(count));
  },
  dedup: (context, [name = ''], stores) => (record) => {
    if (isNothing(record.key)) return;
    const store = context.store(stores(name).handle);
    if ((store.get(record.key) ?? null) === (record.value ?? null)) return;
    write(context, stores(name), record.key, record.value);
    context.forward(record);
  },
  tsStore: (context, [name = ''], stores) => (record) => {
    if (isNothing(record.key)) return;
    const store = context.store(stores(name).handle);
    const at = Math.max(store.entry(record.key)?.timestamp ?? -1, record.timestamp);
    write(context, stores(name), record.key, record.value, at);
    context.forward(record.withValue(`${str(record.value)}@${at}`));
  },
  put: (context, [name = ''], stores) => (record) => write(context, stores(name), record.key, record.value),
  lookup: (context, [name = ''], stores) => (record) => {
    const { handle, isTimestamped } = stores(name);
    const entry = isNothing(record.key) ? undefined : context.store(handle).entry(record.key);
    const found = entry === undefined ? null : isTimestamped ? `${str(entry.value)}@${entry.timestamp}` : entry.value;
    context.forward(record.withValue(`${str(record.value)}|${str(found)}`));
  },
  buffer: (context, [name = '', every, type], stores) => {
    const { handle } = stores(name);
    context.schedule(Number(every), by(type), (at) => {
      const store = context.store(handle);
      for (const { key, value } of [...store.range()]) {
        context.forward(context.record(key, value, at));
        store.delete(key);
      }
    });
    return (record) => {
      if (!isNothing(record.key)) write(context, stores(name), record.key, record.value);
    };
  },
  route: (context) => (record) => {
    const child = prefix(record.value);
    if (child === null) context.forward(record);
    else context.forward(record, { to: child });
  },
  store: (context, [name = ''], stores) => {
    const { handle, ...about } = stores(name);
    return (record) => {
      if (isNothing(record.key)) return;
      const store = context.store(handle);
      context.forward(record.withValue(storeCommand(store, { kind: handle.kind, ...about }, record.key, str(record.value).split(' '))));
    };
  },
  tick: (context, [every, type]) => {
    context.schedule(Number(every), by(type), (at) => context.forward(context.record('tick', String(at), at)));
    return (record) => context.forward(record);
  },
  tickTimes: (context, [every, type, times]) => {
    let fired = 0;
    const timer = context.schedule(Number(every), by(type), (at) => {
      context.forward(context.record('tick', String(at), at));
      if (++fired === Number(times)) timer.cancel();
    });
    return (record) => context.forward(record);
  },
  tickCtx: (context, [every, type]) => {
    context.schedule(Number(every), by(type), (at) => context.forward(context.record('tick', contextText(context, at), at)));
    return (record) => context.forward(record);
  },
  twoTicks: (context, [a, b]) => {
    context.schedule(Number(a), 'streamTime', (at) => context.forward(context.record('tickA', String(at), at)));
    context.schedule(Number(b), 'streamTime', (at) => context.forward(context.record('tickB', String(at), at)));
    return (record) => context.forward(record);
  },
  tickCount: (context, [name = '', every, type], stores) => {
    const { handle } = stores(name);
    context.schedule(Number(every), by(type), (at) => {
      const store = context.store(handle);
      const count = Number(store.get('ticks') ?? 0) + 1;
      store.put('ticks', count);
      context.forward(context.record('ticks', count, at));
    });
    return () => {};
  },
  scheduleOnFirst: (context, [every, type]) => {
    let isScheduled = false;
    return (record) => {
      if (!isScheduled) context.schedule(Number(every), by(type), (at) => context.forward(context.record('tick', String(at), at)));
      isScheduled = true;
      context.forward(record);
    };
  },
};

/** Java's put of null is a delete. */
function write(context: Context, { handle }: CaseStore, key: unknown, value: unknown, at?: number): void {
  const store = context.store(handle);
  if (isNothing(value)) store.delete(key);
  else if (at === undefined) store.put(key, value);
  else store.put(key, value, at);
}

export function processor(name: string, handles: readonly CaseStore[], stores: StoreLookup): ProcessorSpec<unknown, unknown, unknown, unknown> {
  const [op = '', ...argument] = name.split(':');
  const connected = handles.map(({ handle }) => handle);
  const plain = either[op];
  if (plain !== undefined) {
    return {
      stores: connected,
      create: (context) => ({ process: (record) => plain(argument.join(':'))(record as unknown as Plain, (out) => context.forward(out as unknown as Value), context) }),
    };
  }
  const make = free[op];
  if (make === undefined) throw new NotExpressible(`processor ${op}`);
  for (const each of argument) if (/^(st\d*|tab|gs)$/.test(each)) stores(each);
  return { stores: connected, create: (context) => ({ process: make(context, argument, stores) }) };
}

export function fixedKeyProcessor(name: string, handles: readonly CaseStore[], stores: StoreLookup): FixedKeyProcessorSpec<unknown, unknown, unknown> {
  const [op = '', ...argument] = name.split(':');
  const connected = handles.map(({ handle }) => handle);
  const counting = op === 'count' || op === 'dedup' ? free[op] : undefined;
  // Both forward the record that they were given, so the key cannot have changed.
  if (counting !== undefined) return { stores: connected, create: (context) => ({ process: counting(context as unknown as Context, argument, stores) as never }) };
  const make = either[op];
  if (make === undefined) throw new NotExpressible(`fixed-key processor ${op}`);
  return { stores: connected, create: (context) => ({ process: (record) => make(argument.join(':'))(record as unknown as Plain, (out) => context.forward(out as never), context) }) };
}

/** Transformers of table values. */
export function transformer(name: string, handles: readonly CaseStore[], stores: StoreLookup): ValueTransformerSpec<unknown, unknown, unknown> {
  const [op, counted = ''] = name.split(':');
  const connected = handles.map(({ handle }) => handle);
  if (op === 'bang' || op === 'upper') {
    const map = valueMapper(op);
    return { stores: connected, create: () => (value, key) => map(key, value) };
  }
  if (op === 'ts') return { stores: connected, create: (context) => (value) => (isNothing(value) ? null : `${str(value)}@${context.timestamp}`) };
  if (op !== 'calls') throw new NotExpressible(`transformer ${op}`);
  const { handle } = stores(counted);
  return {
    stores: connected,
    create: (context) => (value, key) => {
      const store = context.store(handle);
      const count = Number(store.get(key) ?? 0) + 1;
      store.put(key, count);
      return isNothing(value) ? null : `${str(value)}#${count}`;
    },
  };
}
