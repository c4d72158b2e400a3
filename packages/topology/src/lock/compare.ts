// What an edit of a topology does to the state that its last version left behind: facts of then against facts of now.
// Pure. Every finding says what happens, to what, how bad it is, and what to do.
import { isGenerated, type RepartitionFacts, type SourceFacts, type StoreFacts, type TopologyFacts } from './facts.ts';

/**
 * `danger`: state or records would be lost, or read as something else. `warning`: nothing is lost, and something happens that takes time or
 * shows. `note`: as one would expect.
 */
export type Severity = 'danger' | 'warning' | 'note';

export type FindingKind =
  | 'store-added'
  | 'store-removed'
  | 'store-renamed'
  | 'store-taken-over'
  | 'store-kind'
  | 'store-serde'
  | 'store-window'
  | 'store-retention'
  | 'store-log'
  | 'store-moved'
  | 'store-input'
  | 'repartition-added'
  | 'repartition-removed'
  | 'repartition-renamed'
  | 'repartition-serde'
  | 'repartition-partitions'
  | 'source-added'
  | 'source-removed'
  | 'source-serde'
  | 'subtopologies';

export interface Finding {
  readonly kind: FindingKind;
  readonly severity: Severity;
  /** The store, topic or topology concerned. */
  readonly of: string;
  /** What the edit does. */
  readonly effect: string;
  /** What to do about it; empty for a note that asks for nothing. */
  readonly advice: string;
}

const ORDER: readonly Severity[] = ['danger', 'warning', 'note'];

/** Worst first, then by name. Empty: nothing that state depends on has changed. */
export function compareTopologies(locked: TopologyFacts, now: TopologyFacts): readonly Finding[] {
  const findings = [
    ...compareStores(locked.stores, now.stores),
    ...compareRepartitions(locked.repartitions, now.repartitions),
    ...compareSources(locked.sources, now.sources),
  ];
  if (locked.subtopologies !== now.subtopologies)
    findings.push({
      kind: 'subtopologies',
      severity: 'warning',
      of: 'topology',
      effect: `There are ${now.subtopologies} sub-topologies now, and there were ${locked.subtopologies}: tasks are numbered by sub-topology, so all instances must run the new version before any works again.`,
      advice: 'Stop all instances, then start the new version; do not roll instance by instance.',
    });
  return findings.sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity) || (a.of < b.of ? -1 : a.of > b.of ? 1 : 0));
}

type Stores = TopologyFacts['stores'];

function compareStores(locked: Stores, now: Stores): Finding[] {
  const gone = Object.keys(locked).filter((name) => now[name] === undefined);
  const added = Object.keys(now).filter((name) => locked[name] === undefined);
  const renamed = pairs(gone, added, (from, to) => storeLikeness(locked[from] as StoreFacts, now[to] as StoreFacts));
  const findings: Finding[] = [...renamed].map(([from, to]) => renamedStore(from, to));
  const newNames = new Set(renamed.values());
  for (const name of gone) if (!renamed.has(name)) findings.push(removedStore(name, locked[name] as StoreFacts));
  for (const name of added) if (!newNames.has(name)) findings.push(addedStore(name, now[name] as StoreFacts));
  for (const [name, facts] of Object.entries(now)) {
    const before = locked[name];
    if (before !== undefined) findings.push(...changedStore(name, before, facts, locked));
  }
  return findings;
}

/** Which of those gone is which of those that came: the likest first, each once. */
function pairs(gone: readonly string[], added: readonly string[], likeness: (from: string, to: string) => number): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const taken = new Set<string>();
  const all = gone.flatMap((from) => added.map((to) => ({ from, to, likeness: likeness(from, to) }))).filter((one) => one.likeness > 0);
  for (const { from, to } of all.sort((a, b) => b.likeness - a.likeness)) {
    if (found.has(from) || taken.has(to)) continue;
    found.set(from, to);
    taken.add(to);
  }
  return found;
}

/** 0: not the same store under another name. */
function storeLikeness(a: StoreFacts, b: StoreFacts): number {
  if (a.kind !== b.kind || a.key !== b.key || a.value !== b.value || a.windowSizeMs !== b.windowSizeMs) return 0;
  if (a.origin === b.origin) return 2;
  return equalLists(a.operators, b.operators) && equalLists(a.reads, b.reads) ? 1 : 0;
}

const equalLists = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((one, at) => one === b[at]);

function renamedStore(from: string, to: string): Finding {
  const shifted = isGenerated(from) && isGenerated(to);
  return {
    kind: 'store-renamed',
    severity: 'danger',
    of: from,
    effect: shifted
      ? `The store "${from}" would be called "${to}": its name has a number in it, and an operator came or went before it. It would begin empty; what it held stays behind in the old changelog.`
      : `The store "${from}" would be called "${to}". It would begin empty; what it held stays behind in the old changelog.`,
    advice: isGenerated(from)
      ? 'Put the new operator behind this one so that the numbers stay, or accept the loss once and name the store with a handle (store.…), so that it cannot happen again.'
      : `Keep the name "${from}". To rename for good, let the store be rebuilt: reset the application, so that its inputs are read again.`,
  };
}

function removedStore(name: string, { log }: StoreFacts): Finding {
  return {
    kind: 'store-removed',
    severity: log === 'changelog' ? 'danger' : 'warning',
    of: name,
    effect:
      log === 'changelog'
        ? `The store "${name}" is gone. Its rows stay in its changelog topic, and nothing reads them any more.`
        : `The store "${name}" is gone, and its rows with the disks that hold them.`,
    advice: 'If that is meant, accept it with --update, and delete the changelog topic once nobody will go back to the old version.',
  };
}

function addedStore(name: string, { reads }: StoreFacts): Finding {
  const unnamed = isGenerated(name);
  return {
    kind: 'store-added',
    severity: unnamed ? 'warning' : 'note',
    of: name,
    effect: `The store "${name}" is new. It begins empty and fills from the committed offsets on${reads.length > 0 ? ` of ${reads.join(', ')}` : ''}: what was processed before is not in it.${unnamed ? ' Its name has a number in it and will change when an operator comes or goes before it.' : ''}`,
    advice: unnamed ? 'Name it with a handle (store.…), so that later edits keep its state.' : '',
  };
}

function changedStore(name: string, before: StoreFacts, now: StoreFacts, locked: Stores): Finding[] {
  const finding = (kind: FindingKind, severity: Severity, effect: string, advice: string): Finding => ({ kind, severity, of: name, effect, advice });
  const another = 'Give it a new name, so that it begins empty beside the old one, or reset the application.';
  if (before.kind !== now.kind)
    return [
      finding('store-kind', 'danger', `The store "${name}" was of kind ${before.kind} and is of kind ${now.kind} now: its rows cannot be read.`, another),
    ];
  const takenFrom = formerOwner(name, before, now, locked);
  if (takenFrom !== undefined)
    return [
      finding(
        'store-taken-over',
        'danger',
        `"${name}" is the name of another store now: the rows of ${describeOwner(before)} would be read as those of ${describeOwner(now)}.`,
        'Keep the order of operators, or name both stores with handles (store.…); names with numbers follow the order in which operators are written.',
      ),
    ];
  const found: Finding[] = [];
  for (const role of ['key', 'value'] as const)
    if (before[role] !== now[role])
      found.push(
        finding(
          'store-serde',
          'danger',
          `The ${role}s of store "${name}" were written as ${before[role]} and would be read as ${now[role]}.`,
          `Keep the serde, use one that reads both, or: ${another}`,
        ),
      );
  if (before.windowSizeMs !== now.windowSizeMs)
    found.push(
      finding(
        'store-window',
        'danger',
        `The windows of store "${name}" were ${before.windowSizeMs} ms long and would be ${now.windowSizeMs} ms: old and new windows would lie side by side under one name.`,
        another,
      ),
    );
  found.push(...retentionFindings(name, before, now), ...logFindings(name, before, now));
  if (before.subtopology !== now.subtopology)
    found.push(
      finding(
        'store-moved',
        'warning',
        `The store "${name}" moves from sub-topology ${before.subtopology} to ${now.subtopology}: its tasks have other numbers, so each instance rebuilds it from its changelog at the first start.`,
        before.log === 'none'
          ? 'It has no changelog: its rows are lost. Keep the order of sub-topologies.'
          : 'Nothing is lost; plan for the time that restoring takes.',
      ),
    );
  if (found.length === 0 && before.origin !== now.origin)
    found.push(
      finding(
        'store-input',
        'note',
        `The operators above store "${name}" have changed. Its rows stay as they were computed; new records change them in the new way.`,
        '',
      ),
    );
  return found;
}

/** A store of before that had this one's origin while ours had another: names with numbers have changed hands. */
function formerOwner(name: string, before: StoreFacts, now: StoreFacts, locked: Stores): string | undefined {
  if (!isGenerated(name) || before.origin === now.origin) return undefined;
  const other = Object.entries(locked).find(([one, facts]) => one !== name && facts.origin === now.origin && equalLists(facts.reads, now.reads));
  if (other !== undefined) return other[0];
  return equalLists(before.reads, now.reads) && equalLists(before.operators, now.operators) ? undefined : name;
}

const describeOwner = ({ operators, reads }: StoreFacts): string => `${operators.join(' and ') || 'an operator'} over ${reads.join(', ') || 'nothing'}`;

function retentionFindings(name: string, before: StoreFacts, now: StoreFacts): Finding[] {
  const [was, is] = [before.retentionMs, now.retentionMs];
  if (was === is || was === undefined || is === undefined) return [];
  const shorter = is < was;
  return [
    {
      kind: 'store-retention',
      severity: shorter ? 'warning' : 'note',
      of: name,
      effect: `The store "${name}" keeps rows for ${is} ms instead of ${was} ms.${shorter ? ' Older rows are dropped at the first start.' : ' Rows that are gone already do not come back.'}`,
      advice: shorter
        ? 'The changelog topic keeps its old retention setting; change it by hand if the space matters.'
        : 'Raise retention.ms of the changelog topic by hand, or its rows go sooner than the store needs them.',
    },
  ];
}

function logFindings(name: string, before: StoreFacts, now: StoreFacts): Finding[] {
  if (before.log === now.log) return [];
  const say = (severity: Severity, effect: string, advice: string): Finding[] => [{ kind: 'store-log', severity, of: name, effect, advice }];
  if (now.log === 'none')
    return say(
      'warning',
      `The store "${name}" is no longer logged: from now on it is lost with its disk.`,
      'Leave changelog on unless the rows can be done without.',
    );
  if (now.log === 'changelog')
    return say(
      'danger',
      `The store "${name}" gets a changelog of its own, which begins empty, instead of ${before.log === 'none' ? 'none' : `the topic ${before.log.slice('source:'.length)}`}: an instance without the rows on its disk would start with nothing.`,
      'Keep the optimize setting of before, or reset the application, so that the table is read again from its topic.',
    );
  return say(
    before.log === 'changelog' ? 'warning' : 'note',
    `The store "${name}" is restored from the topic ${now.log.slice('source:'.length)} instead of ${before.log === 'changelog' ? 'its own changelog, which is left behind' : before.log}.`,
    'That topic must be compacted (cleanup.policy=compact), or old rows are missing after a restore.',
  );
}

function compareRepartitions(locked: TopologyFacts['repartitions'], now: TopologyFacts['repartitions']): Finding[] {
  const gone = Object.keys(locked).filter((name) => now[name] === undefined);
  const added = Object.keys(now).filter((name) => locked[name] === undefined);
  const likeness = (from: string, to: string): number => {
    const [a, b] = [locked[from] as RepartitionFacts, now[to] as RepartitionFacts];
    return a.origin === b.origin ? 2 : equalLists(a.reads, b.reads) && a.key === b.key && a.value === b.value ? 1 : 0;
  };
  const renamed = pairs(gone, added, likeness);
  const newNames = new Set(renamed.values());
  const drain = 'Stop what writes the inputs, let the old version run until it has caught up, then deploy.';
  const findings: Finding[] = [...renamed].map(([from, to]) => ({
    kind: 'repartition-renamed',
    severity: 'danger',
    of: from,
    effect: `The repartition topic "${from}" would be called "${to}": records that lie in it and are not processed yet would never be.`,
    advice: `${drain} Name the operator with { as } (or its store with a handle), so that the topic's name stays.`,
  }));
  for (const name of gone)
    if (!renamed.has(name))
      findings.push({
        kind: 'repartition-removed',
        severity: 'danger',
        of: name,
        effect: `The repartition topic "${name}" is gone: records that lie in it and are not processed yet would never be.`,
        advice: drain,
      });
  for (const name of added)
    if (!newNames.has(name))
      findings.push({
        kind: 'repartition-added',
        severity: 'note',
        of: name,
        effect: `The repartition topic "${name}" is new and is created at the first start.`,
        advice: '',
      });
  for (const [name, facts] of Object.entries(now)) {
    const before = locked[name];
    if (before !== undefined) findings.push(...changedRepartition(name, before, facts, drain));
  }
  return findings;
}

function changedRepartition(name: string, before: RepartitionFacts, now: RepartitionFacts, drain: string): Finding[] {
  const found: Finding[] = [];
  for (const role of ['key', 'value'] as const)
    if (before[role] !== now[role])
      found.push({
        kind: 'repartition-serde',
        severity: 'danger',
        of: name,
        effect: `The ${role}s in repartition topic "${name}" were written as ${before[role]} and would be read as ${now[role]}: records that are still in it cannot be decoded.`,
        advice: drain,
      });
  if (before.partitions !== now.partitions)
    found.push({
      kind: 'repartition-partitions',
      severity: 'danger',
      of: name,
      effect: `The repartition topic "${name}" is to have ${now.partitions ?? 'as many partitions as its inputs'} instead of ${before.partitions ?? 'as many as its inputs'}: keys would lie in other partitions than their rows, and the start is refused.`,
      advice: 'Keep the number, or give the operator another name with { as } and reset the application.',
    });
  return found;
}

function compareSources(locked: Readonly<Record<string, SourceFacts>>, now: Readonly<Record<string, SourceFacts>>): Finding[] {
  const findings: Finding[] = [];
  for (const name of Object.keys(locked))
    if (now[name] === undefined)
      findings.push({
        kind: 'source-removed',
        severity: 'warning',
        of: name,
        effect: `Topic "${name}" is no longer read. Its committed offsets expire after a while; if it is read again later, it is read from where startFrom says.`,
        advice: '',
      });
  for (const [name, facts] of Object.entries(now)) {
    const before = locked[name];
    if (before === undefined) {
      findings.push({
        kind: 'source-added',
        severity: 'note',
        of: name,
        effect: `Topic "${name}" is read for the first time, from where startFrom says (the earliest record unless set).`,
        advice: '',
      });
      continue;
    }
    for (const role of ['key', 'value'] as const)
      if (before[role] !== facts[role])
        findings.push({
          kind: 'source-serde',
          severity: 'warning',
          of: name,
          effect: `The ${role}s of topic "${name}" are read as ${facts[role]} instead of ${before[role]}; records written before are in it too.`,
          advice: 'Be sure that the new serde reads what is already there, or give the source an onError.',
        });
  }
  return findings;
}
