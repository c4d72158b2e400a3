// Where every case of a kind may differ from Kafka Streams, on purpose or because its own store decides; each rule with its reason.
// A rule opens as few parts of a case as it can: what is open is not compared.
import type { Case, Step } from './case-format.ts';

export type Part = 'describe' | 'outputs' | 'stores' | 'dropped' | 'internalTopics' | 'copartitionGroups';

interface Rule {
  readonly why: string;
  readonly parts: readonly Part[];
  applies(given: Case): boolean;
}

const isCached = (given: Case): boolean => (given.config['statestore.cache.max.bytes'] ?? '0') !== '0';
const has = (given: Case, op: string): boolean => given.topology.some((step) => step.op === op);

export const RULES: readonly Rule[] = [
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
    why: 'the optimizer of Kafka Streams moves a repartition above a process() that may change keys; ours never moves one past code it cannot see into',
    parts: ['describe', 'outputs', 'internalTopics'],
    applies: (given) => /all|merge/.test(given.config['topology.optimization'] ?? '') && given.topology.some((step) => step.op === 'process' && isRekeyedAbove(given, step)),
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
