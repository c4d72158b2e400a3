// Where every case of a kind may differ from Kafka Streams, on purpose or because its own store decides; each rule with its reason.
// A rule opens as few parts of a case as it can: what is open is not compared.
import type { Case, Step } from './case-format.ts';

export type Part = 'error' | 'describe' | 'outputs' | 'stores' | 'dropped' | 'internalTopics' | 'internalTopicConfigs' | 'copartitionGroups';

interface Rule {
  readonly why: string;
  readonly parts: readonly Part[];
  applies(given: Case): boolean;
}

const isCached = (given: Case): boolean => (given.config['statestore.cache.max.bytes'] ?? '0') !== '0';
const has = (given: Case, op: string): boolean => given.topology.some((step) => step.op === op);

export const RULES: readonly Rule[] = [
  {
    why: 'a global table with settings for an unnamed store is refused by Kafka Streams 4.3.1, by a defect of its own; here such settings cannot be written',
    parts: ['error'],
    applies: (given) => given.topology.some(({ op, materialized }) => op === 'globalTable' && materialized !== undefined && materialized.name === undefined && materialized.supplier === undefined),
  },
  {
    why: "a session or sliding window that retention hides, on the very edge of grace, is still found in Kafka's cache, not in its store; ours hides it in both",
    parts: ['outputs', 'stores', 'dropped', 'internalTopics'],
    applies: (given) => isCached(given) && given.topology.some(({ windows }) => windows?.type === 'session' || windows?.type === 'sliding'),
  },
  {
    why: 'behind a table that emits per commit a buffered row does not say which offset it came from: nobody may ask for it there',
    parts: ['internalTopics'],
    applies: (given) => isCached(given) && has(given, 'suppress'),
  },
  {
    why: 'the optimizer of Kafka Streams moves a repartition above process() and processValues(), though these may change keys and values; ours never moves one past code it cannot see into',
    parts: ['describe', 'outputs', 'internalTopics', 'dropped'],
    applies: (given) => /all|merge/.test(given.config['topology.optimization'] ?? '') && given.topology.some((step) => /^process(Values)?$/.test(step.op) && isRekeyedAbove(given, step)),
  },
  {
    why: "a delete at the very time of a key's only version is forgotten by Kafka Streams, so that an older value which comes later counts as the newest; ours remembers it",
    parts: ['outputs', 'stores', 'dropped', 'internalTopics'],
    applies: (given) => hasVersions(given) && (given.script ?? []).some(({ pipe }, at) => pipe?.value === null && replacesItself(given, at)),
  },
  {
    why: "a table over an LRU store: Kafka Streams logs no delete for a row that it lets go, so a restore brings it back; ours logs it",
    parts: ['internalTopics'],
    applies: (given) => given.topology.some(({ materialized }) => materialized?.supplier?.type === 'lru'),
  },
  {
    why: 'the changelog of a window store from a supplier is kept as long as the windows need, not as long as the store keeps rows, so a restore loses some; ours keeps it as long as the store',
    parts: ['internalTopicConfigs'],
    applies: (given) => given.topology.some(({ materialized }) => /^(timestampedWindow|window|session)$/.test(materialized?.supplier?.type ?? '')),
  },
  {
    why: "a put of null moves the time of Kafka's in-memory window store with duplicates, and of no other store",
    parts: ['outputs', 'stores', 'dropped', 'internalTopics'],
    applies: (given) =>
      given.topology.some(({ op, store }) => op === 'addStateStore' && store?.memory === true && store.retainDuplicates === true) &&
      (given.script ?? []).some(({ pipe }) => String(pipe?.value).startsWith('put _')),
  },
  {
    why: "Kafka's persistent stores count a write that retention refuses only once its whole segment is gone; ours count each",
    parts: ['dropped'],
    applies: (given) => given.topology.some(({ op, store }) => op === 'addStateStore' && /^(timestampedWindow|window|session)$/.test(store?.type ?? '') && store?.memory !== true),
  },
  {
    why: 'below a suppress Kafka Streams forgets the topics that a table comes from and does not check them; we do',
    parts: ['copartitionGroups'],
    applies: (given) => has(given, 'suppress'),
  },
];

export function openParts(given: Case): ReadonlySet<string> {
  return new Set(RULES.filter((rule) => rule.applies(given)).flatMap((rule) => rule.parts));
}

/** Is the key new above this step, with no repartition in between? */
function isRekeyedAbove(given: Case, step: Step): boolean {
  const above = given.topology.find(({ id }) => id !== undefined && id === step.in);
  if (above === undefined || above.op === 'repartition') return false;
  return /^(map|flatMap|selectKey|groupBy)$/.test(above.op) || isRekeyedAbove(given, above);
}

const hasVersions = (given: Case): boolean => given.topology.some(({ materialized, store }) => materialized?.supplier?.type === 'versioned' || store?.type === 'versioned');

/** Does this record delete what came with the same key and time, and does an older record of that key follow? */
function replacesItself({ script = [] }: Case, at: number): boolean {
  const deleted = script[at]?.pipe;
  const same = (place: number): boolean => script[place]?.pipe?.topic === deleted?.topic && script[place]?.pipe?.key === deleted?.key;
  const time = (place: number): number => script[place]?.pipe?.ts ?? 0;
  return script.some((_, before) => before < at && same(before) && time(before) === time(at)) && script.some((_, after) => after > at && same(after) && time(after) < time(at));
}
