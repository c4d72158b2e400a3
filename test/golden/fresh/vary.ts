// Random changes to random programs, so that fresh ones reach what their generator never makes: caches everywhere, stores from suppliers, stores without
// log, processors with stores, several topics in a source, times far apart, wall clocks, errors that are passed over, names that are demanded.
// A changed program may be refused or fail in Kafka Streams: then that is what is recorded. Everything hangs on one seed.
import { seededChance } from '@millrace/core';
import type { Case, Materialized, Pipe, Step, Windows } from '../case-format.ts';
import { isCached } from '../on-purpose.ts';

type Draft = { -readonly [K in keyof Case]: Case[K] } & { wantError?: string; mayFail?: boolean };
type ScriptEntry = NonNullable<Case['script']>[number];
type Change = (draft: Draft, chance: Chance) => void;

/** How often each change is made, of 100. */
const CHANGES: readonly (readonly [number, Change])[] = [
  [30, cacheEverything],
  [25, spreadTimes],
  [30, moveWallClock],
  [35, varyMaterialized],
  [30, addProcessor],
  [15, readTwoTopics],
  [15, extractTimes],
  [20, passOverErrors],
  [25, varyJoins],
  [20, rekeyOnTheWayOut],
  [20, optimize],
  [25, supplyStores],
  [4, demandNames],
  [30, addHeaders],
];

class Chance {
  readonly #source: ReturnType<typeof seededChance>;
  constructor(seed: number) {
    this.#source = seededChance(seed);
  }
  below(bound: number): number {
    return this.#source.integer(bound);
  }
  oneOf<T>(all: readonly T[]): T {
    return all[this.below(all.length)] as T;
  }
  happens(percent: number): boolean {
    return this.below(100) < percent;
  }
}

/** The program of a seed, changed in some ways. Refusals and failures of it are recorded too. */
export function vary(given: Case, seed: number): object {
  const chance = new Chance(seed);
  const draft: Draft = { ...given, name: `${given.name}-varied`, config: { ...given.config }, wantError: 'any', mayFail: true };
  for (const [percent, change] of CHANGES) if (chance.happens(percent)) change(draft, chance);
  return draft;
}

const eachStep = (draft: Draft, change: (step: Step) => Step): void => {
  draft.topology = draft.topology.map(change);
};

function cacheEverything(draft: Draft): void {
  draft.config = { ...draft.config, 'statestore.cache.max.bytes': '1000000' };
}

/** From some record on everything is minutes later: segments and retentions end. */
function spreadTimes(draft: Draft, chance: Chance): void {
  const script = draft.script ?? [];
  const [from, back] = [chance.below(script.length + 1), chance.below(script.length + 1)];
  const byMs = chance.oneOf([1_000, 70_000, 200_000, 100_000_000]);
  draft.script = script.map((entry, at) => (entry.pipe === undefined || at < from || (at === back && at > from) ? entry : { pipe: { ...entry.pipe, ts: entry.pipe.ts + byMs } }));
}

function moveWallClock(draft: Draft, chance: Chance): void {
  draft.script = (draft.script ?? []).flatMap((entry): ScriptEntry[] => (chance.happens(12) ? [entry, { advanceWallClock: chance.oneOf([1, 5, 10, 50, 1000]) }] : [entry]));
}

function varyMaterialized(draft: Draft, chance: Chance): void {
  eachStep(draft, (step) => {
    const { materialized } = step;
    if (materialized === undefined || materialized.supplier !== undefined || !chance.happens(60)) return step;
    const more = chance.oneOf<Partial<Materialized>>([{ logging: false }, { caching: false }, { caching: true }, { store: 'in_memory' }, { store: 'rocksDB' }, { topicConfig: { 'segment.bytes': '1048576' } }]);
    return { ...step, materialized: { ...materialized, ...more } };
  });
}

/** Stores of tables and aggregates come from suppliers. */
function supplyStores(draft: Draft, chance: Chance): void {
  const { topology } = draft;
  const windowsOf = (step: Step): Windows | undefined => {
    const above = topology.find(({ id }) => id !== undefined && id === step.in);
    return above?.windows ?? (above?.op === 'emitStrategy' || above?.op === 'cogroup' ? windowsOf(above) : undefined);
  };
  eachStep(draft, (step) => {
    const { materialized, op } = step;
    if (materialized?.name === undefined || materialized.supplier !== undefined || op === 'globalTable' || !chance.happens(60)) return step;
    const { name } = materialized;
    const windows = windowsOf(step);
    // Sessions that are emitted when they close need a store that no supplier makes.
    if (windows?.type === 'session' && topology.some(({ op }) => op === 'emitStrategy')) return step;
    const shared = { name, key: materialized.key ?? 'string', value: materialized.value ?? 'string', memory: chance.happens(50) };
    const { retention: _gone, store: _kind, name: _name, ...rest } = materialized;
    const grace = windows?.grace ?? 0;
    const longer = chance.oneOf([0, 20, 1000]);
    const supplier = (() => {
      switch (windows?.type) {
        case undefined:
          // Below a cache, or restored from a table's own topic, an LRU store of Kafka Streams hands on what it no longer has: no two ways to say that.
          return chance.happens(30) && !isCached(draft) && !/all|reuse/.test(draft.config['topology.optimization'] ?? '') ? { ...shared, memory: true, type: 'lru', capacity: 1 + chance.below(3) } : { ...shared, type: 'timestampedKv' };
        case 'time':
          return { ...shared, type: 'timestampedWindow', windowSize: windows.size ?? 1, retention: (windows.size ?? 1) + grace + longer };
        case 'sliding':
          return { ...shared, type: 'timestampedWindow', windowSize: windows.difference ?? 1, retention: 2 * (windows.difference ?? 1) + grace + longer };
        case 'session':
          return { ...shared, type: 'session', retention: (windows.gap ?? 0) + grace + longer };
      }
      return undefined;
    })();
    return supplier === undefined ? step : { ...step, materialized: { ...rest, supplier } };
  });
}

const PLAIN = ['pass', 'stamp', 'ctx', 'tsPlus:3', 'twice', 'tickCtx:7:stream', 'tickTimes:5:wall:2', 'scheduleOnFirst:9:stream'] as const;
const FIXED = new Set(['pass', 'stamp', 'ctx', 'tsPlus:3', 'twice']);

/** Behind a source of text: a processor, some with a store or two. */
function addProcessor(draft: Draft, chance: Chance): void {
  const sources = draft.topology.filter(({ op, id, value }) => op === 'stream' && id !== undefined && value === 'string');
  // Commands for stores are the values of their programs: nothing may change them.
  if (sources.length === 0 || draft.topology.some(({ fn }) => fn?.startsWith('store:') === true)) return;
  const source = chance.oneOf(sources);
  const memory = chance.happens(50);
  const kv = (name: string, type = 'kv', value = 'string'): Step => ({ op: 'addStateStore', store: { type, name, memory, key: 'string', value } });
  const [fn, stores, op] = chance.oneOf<() => [string, Step[], string]>([
    () => ['dedup:st901', [kv('st901')], chance.oneOf(['process', 'processValues'])],
    () => ['lookup:st902', [kv('st902'), kv('st903')], 'process'],
    () => ['tsStore:st904', [kv('st904', 'timestampedKv')], 'process'],
    () => ['buffer:st905:8:stream', [kv('st905'), kv('st906', 'timestampedKv')], 'process'],
    () => {
      const plain = chance.oneOf(PLAIN);
      return [plain, [], FIXED.has(plain) ? chance.oneOf(['process', 'processValues']) : 'process'];
    },
  ])();
  const id = 'v900';
  const names = stores.map(({ store }) => store?.name ?? '');
  const added: Step = { id, op, in: source.id as string, fn, ...(names.length === 0 ? {} : { stores: names }) };
  const rewired = (step: Step): Step => ({ ...step, ...(step.in === source.id ? { in: id } : {}), ...(step.other === source.id ? { other: id } : {}) });
  const at = draft.topology.indexOf(source);
  draft.topology = [...draft.topology.slice(0, at + 1), ...stores, added, ...draft.topology.slice(at + 1).map(rewired)];
}

function readTwoTopics(draft: Draft, chance: Chance): void {
  const source = draft.topology.find(({ op, topic }) => op === 'stream' && topic !== undefined && draft.topology.filter((each) => each.topic === topic).length === 1);
  if (source?.topic === undefined) return;
  const { topic } = source;
  const second = `${topic}-too`;
  draft.inputs = { ...draft.inputs, [second]: draft.inputs[topic] as never };
  eachStep(draft, (step) => {
    if (step !== source) return step;
    const { topic: _one, ...rest } = step;
    return { ...rest, topics: [topic, second] };
  });
  draft.script = (draft.script ?? []).map((entry) => (entry.pipe?.topic === topic && chance.happens(40) ? { pipe: { ...entry.pipe, topic: second } } : entry));
}

function extractTimes(draft: Draft, chance: Chance): void {
  const extractor = chance.oneOf(['plus:5', 'atSuffix', 'usePartitionTime', 'logAndSkip', 'partitionTime']);
  eachStep(draft, (step) => (/^(stream|table)$/.test(step.op) && step.topic !== undefined && chance.happens(60) ? { ...step, extractor } : step));
}

/** Some values cannot be mapped; such records are passed over, or end the script. */
function passOverErrors(draft: Draft, chance: Chance): void {
  if (chance.happens(75)) draft.config = { ...draft.config, 'processing.exception.handler': 'fn:processingContinue' };
  const values = (draft.script ?? []).flatMap(({ pipe }) => (typeof pipe?.value === 'string' && pipe.value !== '' && !pipe.value.includes(':') ? [pipe.value] : []));
  if (values.length === 0) return;
  const fn = `throwOn:${chance.oneOf(values)}`;
  const at = draft.topology.findIndex(({ op, value }) => op === 'stream' && value === 'string');
  const source = draft.topology[at];
  if (source?.id === undefined) return;
  const id = 'v901';
  const rewired = (step: Step): Step => ({ ...step, ...(step.in === source.id ? { in: id } : {}), ...(step.other === source.id ? { other: id } : {}) });
  draft.topology = [...draft.topology.slice(0, at + 1), { id, op: chance.oneOf(['mapValues', 'processValues']), in: source.id, fn }, ...draft.topology.slice(at + 1).map(rewired)];
}

/** Joins of streams keep their rows in named stores or without a log; foreign keys are taken from key and value. */
function varyJoins(draft: Draft, chance: Chance): void {
  eachStep(draft, (step) => {
    if (step.foreignKey !== undefined) {
      const { foreignKey, ...rest } = step;
      return { ...rest, foreignKeyWithKey: chance.oneOf([foreignKey, 'key', 'firstChar']) };
    }
    if (step.joined === undefined || step.windows === undefined) return step;
    const size = Number((step.windows as { before?: number }).before ?? 0) + Number((step.windows as { after?: number }).after ?? 0);
    const kept = { type: 'window', memory: chance.happens(50), key: 'string', value: 'string', windowSize: size, retention: size + (step.windows.grace ?? 0), retainDuplicates: true };
    const more = chance.oneOf<object>([{ logging: false }, { storeName: 'kept907' }, { thisStore: { ...kept, name: 'left908' }, otherStore: { ...kept, name: 'right909' } }]);
    return { ...step, joined: { ...step.joined, ...more } };
  });
}

/** A table that goes straight to a topic of text keys gets new ones. */
function rekeyOnTheWayOut(draft: Draft, chance: Chance): void {
  const sunk = new Set(draft.topology.flatMap((step) => (step.op === 'to' && step.key === 'string' && step.in !== undefined ? [step.in] : [])));
  eachStep(draft, (step) => (step.op === 'toStream' && step.fn === undefined && step.id !== undefined && sunk.has(step.id) ? { ...step, fn: chance.oneOf(['key', 'upperKey']) } : step));
}

function optimize(draft: Draft, chance: Chance): void {
  draft.config = { ...draft.config, 'topology.optimization': chance.oneOf(['all', 'merge.repartition.topics', 'reuse.ktable.source.topics,merge.repartition.topics']) };
}

function demandNames(draft: Draft): void {
  draft.config = { ...draft.config, 'ensure.explicit.internal.resource.naming': 'true' };
}

function addHeaders(draft: Draft, chance: Chance): void {
  const headers = (): NonNullable<Pipe['headers']> => chance.oneOf([[['h', 'x']], [['h', '1'], ['h', '2']], [['empty', null]], [['a', 'ä€'], ['b', '']]] as const);
  draft.script = (draft.script ?? []).map((entry) => (entry.pipe !== undefined && chance.happens(25) ? { pipe: { ...entry.pipe, headers: headers() } } : entry));
}
