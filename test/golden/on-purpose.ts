// Where we differ from Kafka Streams on purpose (decision 0050). A rule leaves no part of a case open: it says either how our run is made like Kafka
// Streams, or how the difference is taken out of what is expected; then the case is compared whole again. Rules count only where a case, compared as
// it is, came out otherwise.
import type { Case, Step } from './case-format.ts';
import type { Likeness } from './likeness.ts';

export interface Rule {
  readonly name: string;
  readonly why: string;
  /** Could this rule matter to the case? What it then changes is up to the two below. */
  applies(given: Case): boolean;
  readonly likeness?: Likeness;
  /** The case as it would have been recorded without the difference. */
  without?(given: Case): Case;
}

const has = (given: Case, op: string): boolean => given.topology.some((step) => step.op === op);
export const isCached = (given: Case): boolean => (given.config['statestore.cache.max.bytes'] ?? '0') !== '0';

export const RULES: readonly Rule[] = [
  {
    name: 'merged repartitions',
    why: 'a repartition moves above process(), processValues() and joins with global tables, though these may change keys and values, and past one side of a merge; and two below one branch cannot be built',
    applies: (given) => /all|merge/.test(given.config['topology.optimization'] ?? ''),
    likeness: 'mergesLoosely',
  },
  {
    name: 'topics above suppress',
    why: 'below a suppress it is forgotten which topics a table comes from: they are not checked for equal partition counts',
    applies: (given) => has(given, 'suppress'),
    likeness: 'losesSources',
  },
  {
    name: 'topics above a cogroup',
    why: "of a cogroup the topics above its inputs' repartitions are checked for equal partition counts, not the repartition topics that matter",
    applies: (given) => has(given, 'cogroup'),
    likeness: 'listsAboveCogroups',
  },
  {
    name: 'names of stores that are not made',
    why: 'where names are demanded, the store of an unnamed table is refused even if nothing keeps its rows and no such store is made',
    applies: (given) => given.config['ensure.explicit.internal.resource.naming'] === 'true' && given.expect.error !== undefined,
    likeness: 'demandsUnmadeNames',
  },
  {
    name: 'names of foreign-key joins',
    why: 'where names are demanded, the topics and the store of a foreign-key join may go without',
    applies: ({ config, topology, expect }) =>
      config['ensure.explicit.internal.resource.naming'] === 'true' &&
      expect.error === undefined &&
      topology.some(({ foreignKey, foreignKeyWithKey, tableJoined }) => (foreignKey ?? foreignKeyWithKey) !== undefined && tableJoined === undefined),
    likeness: 'sparesForeignKeys',
  },
  {
    name: 'lost closed windows',
    why: 'with the retention that a window gets by itself, windows are hidden before they are handed on as final, and never come',
    applies: (given) => given.topology.some(({ op, fn }) => op === 'emitStrategy' && fn === 'onWindowClose'),
    likeness: 'losesClosed',
  },
  {
    name: 'edge of a store by time',
    why: 'the persistent stores of windows that are emitted when they close show one millisecond more than all others',
    applies: (given) => given.topology.some(({ op, fn }) => op === 'emitStrategy' && fn === 'onWindowClose'),
    likeness: 'showsEdge',
  },
  {
    name: 'drops counted by segment',
    why: 'persistent stores of windows and sessions count a write that retention refuses only once its whole segment is gone',
    applies: (given) => given.expect.dropped !== undefined,
    likeness: 'countsBySegment',
  },
  {
    name: 'rows in a cache',
    why: 'a cache goes on showing windows and sessions that retention hides in the store below it',
    applies: isCached,
    likeness: 'showsCached',
  },
  {
    name: 'deletes of nothing behind a cache',
    why: 'a cache finds out that a deleted row was not there, and logs nothing; ours does not read a row that nobody asks for, and logs the delete',
    applies: isCached,
    likeness: 'logsNoEmptyDeletes',
  },
  {
    name: 'offsets behind a cache',
    why: 'what waits in suppress below a table that emits per commit is logged with the offset of one record of the commit',
    applies: (given) => isCached(given) && has(given, 'suppress'),
    likeness: 'namesOffsets',
  },
  {
    name: 'order in memory',
    why: 'in-memory stores list windows by time and sessions by end, persistent ones by key',
    applies: (given) => given.topology.some(({ op, store, fn }) => (op === 'addStateStore' && store?.memory === true && /window|session/i.test(store.type)) || (op === 'emitStrategy' && fn === 'onWindowClose')),
    likeness: 'listsByTime',
  },
  {
    name: 'time moved by null',
    why: 'a put of null moves the time of an in-memory window store with duplicates, also of a buffer of a join, and of no other store',
    applies: (given) =>
      given.topology.some(({ store, windows, joined }) => store?.retainDuplicates === true || (windows !== undefined && joined !== undefined)) && (given.script ?? []).some(({ pipe }) => pipe !== undefined),
    likeness: 'nullMovesTime',
  },
  {
    name: 'forgotten deletes',
    why: "a delete at the very time of a versioned key's only version leaves nothing: an older value that comes later counts as the newest",
    applies: (given) => given.topology.some(({ materialized, store }) => materialized?.supplier?.type === 'versioned' || store?.type === 'versioned'),
    likeness: 'forgetsDeletes',
  },
  {
    name: 'missed foreign-key answers',
    why: 'an inner foreign-key join keeps the old result of a row that changes again before it is answered, to a right row that is absent; ours asks once more',
    applies: (given) => given.topology.some(({ op, foreignKey, foreignKeyWithKey }) => op === 'join' && (foreignKey ?? foreignKeyWithKey) !== undefined),
    likeness: 'missesAnswers',
  },
  {
    name: 'rows let go by LRU tables',
    why: 'a table over an LRU store logs no delete for a row that it lets go',
    applies: (given) => given.topology.some(isLruTable),
    likeness: 'logsNoEvictions',
  },
  {
    name: 'retention of a supplied store',
    why: 'the changelog of a window store from a supplier is kept as long as the windows need, not as long as the store keeps rows',
    applies: (given) => given.topology.some(({ materialized }) => materialized?.supplier?.retention !== undefined),
    without: (given) => ({ ...given, expect: { ...given.expect, internalTopicConfigs: withOwnRetention(given) } }),
  },
  {
    name: 'key missing in a join with grace',
    why: 'a record without key in a left join with grace stops the application; ours goes on, so the case is compared up to there',
    applies: ({ topology, script, expect }) =>
      topology.some(({ op, joined }) => op === 'leftJoin' && joined?.grace !== undefined) && expect.failure !== undefined && (script?.[expect.failure.step]?.pipe?.key ?? null) === null,
    without: upToFailure,
  },
  {
    name: 'order in a supplied store',
    why: 'a persistent window store from a supplier lists windows that have closed by key, all others by time',
    applies: (given) => given.topology.some(({ op, fn }) => op === 'emitStrategy' && fn === 'onWindowClose') && given.topology.some(({ materialized }) => materialized?.supplier !== undefined),
    likeness: 'listsSuppliedByKey',
  },
  {
    name: 'nulls of sliding windows in a cache',
    why: 'a sliding window whose aggregate has become null, in a cache, stops the application; ours goes on, so the case is compared up to there',
    applies: (given) => isCached(given) && given.expect.failure?.rootClass === 'NullPointerException' && given.topology.some(({ windows }) => windows?.type === 'sliding'),
    without: upToFailure,
  },
  {
    name: 'sliding windows of one moment',
    why: 'a difference of 0 fails at the first record; ours is refused where it is declared',
    applies: (given) => given.topology.some(({ windows }) => windows?.type === 'sliding' && windows.difference === 0),
    without: (given) => ({ ...given, expect: { error: given.expect.failure ?? {} } }),
  },
];

function upToFailure(given: Case): Case {
  return { ...given, script: given.script?.slice(0, given.expect.failure?.step) ?? [], expect: without(given.expect, 'failure') };
}

function without<T extends object, K extends keyof T>(all: T, name: K): Omit<T, K> {
  const { [name]: _gone, ...rest } = all;
  return rest;
}

const DAY_MS = 86_400_000;

function withOwnRetention({ topology, expect: { internalTopicConfigs = {} } }: Case) {
  const retentions = new Map<string, number>(topology.flatMap(({ materialized }) => (materialized?.supplier?.retention === undefined ? [] : [[`parity-${materialized.supplier.name}-changelog`, materialized.supplier.retention] as const])));
  return Object.fromEntries(
    Object.entries(internalTopicConfigs).map(([topic, spec]) => {
      const retention = retentions.get(topic);
      return [topic, retention === undefined ? spec : { ...spec, config: { ...spec.config, 'retention.ms': String(retention + DAY_MS) } }];
    }),
  );
}

const isLruTable = ({ materialized }: Step): boolean => materialized?.supplier?.type === 'lru';
