// Random joins beside what they must give, computed naively from the whole input.
import { murmur2, serde } from '@millrace/core';
import { store } from '@millrace/dsl';
import { Chance, drawFacts, drawing, type Fact, last, left, right, run, shown, shownLines } from './facts.ts';
import type { Verdict } from './verdict.ts';

const text = serde.string();
const joined = store.keyValue('joined', { key: text, value: text });
const pair = (l: string | null | undefined, r: string | null | undefined): string => `${l ?? '-'}+${r ?? '-'}`;
const KINDS = ['inner', 'left', 'outer'] as const;
type Kind = (typeof KINDS)[number];

export function streamStreamJoin(chance: Chance): Verdict {
  const kind = chance.oneOf(KINDS);
  const input = drawFacts(chance, drawing(chance, { sides: ['left', 'right'], deletes: false }));
  const disorder = spread(input);
  // A little more than the disorder: a buffer that keeps rows for n ms no longer has those of exactly n ms ago, here as in Kafka Streams.
  const window = { before: chance.oneOf([0, 1, 10, 60]), after: chance.oneOf([0, 3, 25, 60]), grace: disorder + 1 + chance.below(20) };
  const rekeyed = chance.isOneIn(3);
  const running = run(
    chance,
    (t) => {
      const side = (of: typeof left) => (rekeyed ? t.stream(of).selectKey((_, key) => key) : t.stream(of));
      const [l, r] = [side(left), side(right)];
      const all = kind === 'inner' ? l.join(r, pair, window) : kind === 'left' ? l.leftJoin(r, pair, window) : l.outerJoin(r, pair, window);
      all.to(shown);
    },
    input,
    // Behind a repartition the ends, of one key, reach one partition only.
    { ends: true, ...(rekeyed ? { partitions: 1 } : {}) },
  );
  const about = `${kind} join of streams, before ${window.before}, after ${window.after}, grace ${window.grace}${rekeyed ? ', rekeyed' : ''}`;
  return { about, expected: naivePairs(input, kind, window, running.partitions), actual: shownLines(running), running };
}

/** How far behind the newest a record comes at most, over all of the input. */
function spread(input: readonly Fact[]): number {
  let newest = 0;
  let most = 0;
  for (const { at } of input) {
    newest = Math.max(newest, at);
    most = Math.max(most, newest - at);
  }
  return most;
}

/**
 * Every pair near enough, and who has none. A record that comes when its window has ended, though not its grace, does not wait: without a partner so
 * far it goes on alone at once, and again with each partner that follows (semantics 10; Kafka Streams does so).
 */
function naivePairs(input: readonly Fact[], kind: Kind, window: { readonly before: number; readonly after: number }, partitions = 1): string[] {
  const lines: string[] = [];
  const isNear = (l: Fact, r: Fact): boolean => l.key === r.key && r.at >= l.at - window.before && r.at <= l.at + window.after;
  const streamTimes = new Map<number, number>();
  for (const [index, fact] of input.entries()) {
    const isLeft = fact.side === 'left';
    const partition = partitionOf(fact.key, partitions);
    const streamTime = Math.max(streamTimes.get(partition) ?? -1, fact.at);
    streamTimes.set(partition, streamTime);
    const partners = input.flatMap((other, at) => (other.side !== fact.side && (isLeft ? isNear(fact, other) : isNear(other, fact)) ? [{ other, at }] : []));
    if (isLeft) for (const { other } of partners) lines.push(`${fact.key} ${pair(fact.value, other.value)} ${Math.max(fact.at, other.at)}`);
    const hasEnded = fact.at + (isLeft ? window.after : window.before) < streamTime;
    const isAlone = hasEnded ? partners.every(({ at }) => at > index) : partners.length === 0;
    if (isAlone && (kind === 'outer' || (kind === 'left' && isLeft))) lines.push(`${fact.key} ${isLeft ? pair(fact.value, null) : pair(null, fact.value)} ${fact.at}`);
  }
  return lines.sort();
}

const partitionOf = (key: string, partitions: number): number => {
  const bytes = Buffer.from(key);
  return (murmur2(bytes, 0, bytes.length) & 0x7fffffff) % partitions;
};

export function selfJoin(chance: Chance): Verdict {
  const input = drawFacts(chance, drawing(chance, { sides: ['left'], deletes: false }));
  const window = { before: chance.oneOf([0, 4, 30]), after: chance.oneOf([0, 7, 30]), grace: spread(input) + 2 };
  const running = run(
    chance,
    (t) => {
      const all = t.stream(left);
      all.join(all, pair, window).to(shown);
    },
    input,
  );
  const both = input.flatMap((fact): Fact[] => [fact, { ...fact, side: 'right' }]);
  return { about: `self join, before ${window.before}, after ${window.after}`, expected: naivePairs(both, 'inner', window), actual: shownLines(running), running };
}

export function tableTableJoin(chance: Chance): Verdict {
  const kind = chance.oneOf(KINDS);
  const input = drawFacts(chance, drawing(chance, { sides: ['left', 'right'], deletes: true }));
  const materialized = chance.isOneIn(2);
  const running = run(
    chance,
    (t) => {
      const [l, r] = [t.table(left), t.table(right)];
      const options = materialized ? { store: joined } : {};
      const all = kind === 'inner' ? l.join(r, pair, options) : kind === 'left' ? l.leftJoin(r, pair, options) : l.outerJoin(r, pair, options);
      all.toStream().to(shown);
    },
    input,
  );
  const rows = { left: last(input, 'left', ({ value }) => value), right: last(input, 'right', ({ value }) => value) };
  const expected = new Map<string, string>();
  for (const key of new Set(input.map((fact) => fact.key))) {
    const [l, r] = [rows.left.get(key) ?? undefined, rows.right.get(key) ?? undefined];
    if ((l !== undefined && r !== undefined) || (kind !== 'inner' && l !== undefined) || (kind === 'outer' && r !== undefined)) expected.set(key, pair(l, r));
  }
  return { about: `${kind} join of tables${materialized ? ', kept' : ''}`, expected: lines(expected), actual: latest(running), running };
}

const lines = (rows: ReadonlyMap<string, string | number>): string[] => [...rows].map(([key, value]) => `${key} ${value}`).sort();
const latest = ({ t }: Verdict['running']): string[] =>
  t
    .output(shown)
    .latest()
    .map(({ key, value }) => `${key} ${value}`)
    .sort();

const versions = (side: Fact['side']) => store.versioned(`${side}-versions`, { key: text, value: text, history: END_HISTORY_MS });

/** The row of the latest time, by key; of several of one time the one that came last. */
function newest(facts: readonly Fact[], side: Fact['side']): Map<string, string | null> {
  const rows = new Map<string, Fact>();
  for (const fact of facts) if (fact.side === side && fact.at >= (rows.get(fact.key)?.at ?? 0)) rows.set(fact.key, fact);
  return new Map([...rows].map(([key, { value }]) => [key, value]));
}

const foreignOf = (value: string): string | null => (value.startsWith('none') ? null : value.slice(0, value.indexOf('|')));

export function foreignKeyJoin(chance: Chance): Verdict {
  const kind = chance.oneOf(['inner', 'left'] as const);
  const keys = chance.between(1, 6);
  const textOf = (at: number, side: Fact['side']): string => (side === 'right' ? `v${at}` : chance.isOneIn(6) ? `none${at}` : `k${chance.below(keys + 1)}|${chance.isOneIn(2) ? at : 0}`);
  const input = drawFacts(chance, drawing(chance, { sides: ['left', 'left', 'right'], deletes: true, keys, textOf }));
  const versioned = chance.isOneIn(3);
  const running = run(
    chance,
    (t) => {
      const [l, r] = versioned ? [t.table(left, { store: versions('left') }), t.table(right, { store: versions('right') })] : [t.table(left), t.table(right)];
      const options = { on: foreignOf, store: joined };
      (kind === 'inner' ? l.foreignKeyJoin(r, pair, options) : l.leftForeignKeyJoin(r, pair, options)).toStream().to(shown);
    },
    input,
  );
  const rowsOf = versioned ? newest : (facts: readonly Fact[], side: Fact['side']) => last(facts, side, ({ value }) => value);
  const rows = rowsOf(input, 'right');
  const expected = new Map<string, string>();
  for (const [key, value] of rowsOf(input, 'left')) {
    if (value === null) continue;
    const row = rows.get(foreignOf(value) ?? '') ?? undefined;
    if (row !== undefined || kind === 'left') expected.set(key, pair(value, row));
  }
  return { about: `${kind} foreign-key join${versioned ? ' of versioned tables' : ''}`, expected: lines(expected), actual: latest(running), running };
}

export function streamTableJoin(chance: Chance): Verdict {
  const kind = chance.oneOf(['inner', 'left'] as const);
  const input = drawFacts(chance, drawing(chance, { sides: ['left', 'right'], deletes: false })).map((fact) =>
    fact.side === 'right' && chance.isOneIn(4) ? { ...fact, value: null } : fact,
  );
  // At least 1: with none a record does not wait for rows of its own time.
  const graceMs = chance.isOneIn(2) ? undefined : spread(input) + 1 + chance.below(10);
  const history = store.versioned('history', { key: text, value: text, history: END_HISTORY_MS });
  const running = run(
    chance,
    (t) => {
      const stream = t.stream(left);
      if (graceMs === undefined) {
        const table = t.table(right);
        (kind === 'inner' ? stream.join(table, pair) : stream.leftJoin(table, pair)).to(shown);
        return;
      }
      const table = t.table(right, { store: history });
      (kind === 'inner' ? stream.join(table, pair, { grace: graceMs }) : stream.leftJoin(table, pair, { grace: graceMs })).to(shown);
    },
    input,
    { ends: graceMs !== undefined },
  );
  const expected: string[] = [];
  for (const [at, fact] of input.entries()) {
    if (fact.side !== 'left') continue;
    const row = graceMs === undefined ? arrivedBefore(input, at) : heldAt(input, fact);
    if (kind === 'left' || row !== null) expected.push(`${fact.key} ${pair(fact.value, row)} ${fact.at}`);
  }
  const about = `${kind} join of a stream with a ${graceMs === undefined ? 'table' : `versioned table, grace ${graceMs}`}`;
  return { about, expected: expected.sort(), actual: shownLines(running), running };
}

const END_HISTORY_MS = 100_000;

/** The row that the record finds when it comes. */
function arrivedBefore(input: readonly Fact[], at: number): string | null {
  const key = input[at]?.key;
  return input.slice(0, at).findLast((other) => other.side === 'right' && other.key === key)?.value ?? null;
}

/** The row of the record's own time; of several of one time the one that came last. */
function heldAt(input: readonly Fact[], fact: Fact): string | null {
  let row: Fact | undefined;
  for (const other of input)
    if (other.side === 'right' && other.key === fact.key && other.at <= fact.at && (row === undefined || other.at >= row.at)) row = other;
  return row?.value ?? null;
}

export function globalJoin(chance: Chance): Verdict {
  const kind = chance.oneOf(['inner', 'left'] as const);
  const keys = chance.between(1, 6);
  const textOf = (at: number, side: Fact['side']): string => (side === 'right' ? `g${at}` : chance.isOneIn(6) ? `none${at}` : `k${chance.below(keys + 1)}|${at}`);
  const input = drawFacts(chance, drawing(chance, { sides: ['left', 'right'], deletes: false, keys, textOf })).map((fact) =>
    fact.side === 'right' && chance.isOneIn(4) ? { ...fact, value: null } : fact,
  );
  const running = run(
    chance,
    (t) => {
      const table = t.globalTable(right);
      const stream = t.stream(left);
      const on = (value: string): string | null => foreignOf(value);
      (kind === 'inner' ? stream.join(table, pair, { on }) : stream.leftJoin(table, pair, { on })).to(shown);
    },
    input,
  );
  const rows = new Map<string, string | null>();
  const expected: string[] = [];
  for (const { side, key, value, at } of input) {
    if (side === 'right') rows.set(key, value);
    else {
      const row = rows.get(foreignOf(value ?? '') ?? '') ?? null;
      if (kind === 'left' || row !== null) expected.push(`${key} ${pair(value, row)} ${at}`);
    }
  }
  return { about: `${kind} join with a global table`, expected: expected.sort(), actual: shownLines(running), running };
}
