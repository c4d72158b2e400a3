// Random aggregates, windowed or not, beside what they must give, computed naively from the whole input.
import { serde, type Windowed } from '@millrace/core';
import { type Emit, type KGroupedStream, store, type TopologyBuilder, windows } from '@millrace/dsl';
import { type Chance, drawFacts, drawing, END_MS, type Fact, last, left, right, run, shown } from './facts.ts';
import type { Verdict } from './verdict.ts';

const number = serde.safeInt();
const text = serde.string();
const sums = store.keyValue('sums', { key: text, value: number });
const perWindow = store.window('per-window', { key: text, value: number, retention: 20 * END_MS });
const visits = store.session('visits', { key: text, value: number, retention: 20 * END_MS });

const EMITS: readonly Emit[] = ['onUpdate', 'onCommit', { every: 20 }];
const amountOf = (fact: { readonly value: string | null }): number => Number(fact.value);
/** Different enough that no other set of records has the same sum. */
const amounts = (chance: Chance) => (): string => String(chance.between(1, 1_000_000_000));
const add = (sum: number, value: string | null): number => sum + Number(value);

/** The grouped input: by its key, or by its key again behind a repartition. */
function grouped(t: TopologyBuilder, of: typeof left, rekeyed: boolean, as = 'by-key'): KGroupedStream<string, string | null> {
  return rekeyed ? t.stream(of).groupBy((_, key) => key, { as }) : t.stream(of).groupByKey();
}

const isEnd = (key: string): boolean => key.startsWith('end');
const lines = (rows: ReadonlyMap<string, number>): string[] => [...rows].map(([key, value]) => `${key} ${value}`).sort();

function sumBy(input: readonly Fact[], idsOf: (fact: Fact) => readonly string[]): Map<string, number> {
  const rows = new Map<string, number>();
  for (const fact of input) for (const id of idsOf(fact)) rows.set(id, (rows.get(id) ?? 0) + amountOf(fact));
  return rows;
}

export function plainAggregate(chance: Chance): Verdict {
  const input = drawFacts(chance, drawing(chance, { sides: ['left'], deletes: false, textOf: amounts(chance) }));
  const rekeyed = chance.isOneIn(2);
  const emit = chance.oneOf(EMITS);
  const running = run(
    chance,
    (t) =>
      grouped(t, left, rekeyed)
        .aggregate({ initial: () => 0, add, store: sums, emit })
        .toStream()
        .mapValues((sum) => String(sum))
        .to(shown),
    input,
    // Behind a repartition the ends, of one key, reach one partition only.
    { ends: true, ...(rekeyed && typeof emit === 'object' ? { partitions: 1 } : {}) },
  );
  const expected = lines(sumBy(input, ({ key }) => [key]));
  const stored = [...running.t.store(sums).range()].filter(({ key }) => !isEnd(key)).map(({ key, value }) => `${key} ${value}`);
  // Rows, and then the last update of each, which must say the same.
  const updates = running.t
    .output(shown)
    .latest()
    .filter(({ key }) => !isEnd(key))
    .map(({ key, value }) => `${key} ${value}`);
  return { about: `sum${rekeyed ? ', rekeyed' : ''}, emit ${JSON.stringify(emit)}`, expected: [...expected, '--', ...expected], actual: [...stored.sort(), '--', ...updates.sort()], running };
}

interface TimeShape {
  readonly about: string;
  readonly windows: Parameters<KGroupedStream<string, string>['windowedBy']>[0] & { readonly kind: 'tumbling' | 'hopping' | 'custom' };
  readonly startsOf: (at: number) => readonly number[];
  readonly sizeMs: number;
}

function timeShape(chance: Chance, grace: number): TimeShape {
  const size = chance.between(1, 80);
  const advance = chance.isOneIn(2) ? size : chance.between(1, size);
  const startsOf = (at: number): number[] => {
    const starts: number[] = [];
    for (let start = Math.floor(at / advance) * advance; start >= 0 && start > at - size; start -= advance) starts.push(start);
    return starts;
  };
  const about = `${advance === size ? 'tumbling' : 'hopping'} ${size}/${advance}, grace ${grace}`;
  if (chance.isOneIn(4)) {
    const windowsFor = (at: number) => startsOf(at).map((start) => ({ start, end: start + size }));
    return { about: `custom ${about}`, windows: windows.custom({ windowsFor, sizeMax: size, grace }) as TimeShape['windows'], startsOf, sizeMs: size };
  }
  return { about, windows: windows.hopping({ size, advance, grace }) as TimeShape['windows'], startsOf, sizeMs: size };
}

/** Grace below the disorder: what comes late for a window is left out of it, and a record late for all of its windows is counted. */
export function timeWindows(chance: Chance): Verdict {
  const how = drawing(chance, { sides: ['left'], deletes: false, textOf: amounts(chance) });
  const input = drawFacts(chance, how);
  const isTight = chance.isOneIn(2);
  const shape = timeShape(chance, isTight ? chance.below(10) : how.disorderMs);
  const emit = chance.oneOf(EMITS);
  const graceMs = isTight ? Number(shape.windows.grace) : how.disorderMs;
  const running = run(chance, (t) => void t.stream(left).groupByKey().windowedBy(shape.windows).aggregate({ initial: () => 0, add, store: perWindow, emit }), input, { partitions: isTight ? 1 : chance.between(1, 4) });
  let streamTime = -1;
  let late = 0;
  const expected = new Map<string, number>();
  for (const fact of input) {
    streamTime = Math.max(streamTime, fact.at);
    const starts = shape.startsOf(fact.at);
    // One count for each window that was missed.
    for (const start of starts) {
      if (start + shape.sizeMs + graceMs <= streamTime) late++;
      else expected.set(`${fact.key}@${start}`, (expected.get(`${fact.key}@${start}`) ?? 0) + amountOf(fact));
    }
  }
  const rows = [...running.t.store(perWindow).fetchAll()].map(({ key, value }) => `${key.key}@${key.window.start} ${value}`);
  return { about: `${shape.about}, emit ${JSON.stringify(emit)}`, expected: [...lines(expected), `late ${late}`], actual: [...rows.sort(), `late ${running.t.dropped('late')}`], running };
}

export function slidingWindows(chance: Chance): Verdict {
  const how = drawing(chance, { sides: ['left'], deletes: false, textOf: amounts(chance) });
  const input = drawFacts(chance, how);
  const difference = chance.between(1, 80);
  const running = run(
    chance,
    (t) =>
      void t
        .stream(left)
        .groupByKey()
        .windowedBy(windows.sliding({ difference, grace: how.disorderMs }))
        .aggregate({ initial: () => 0, add, store: perWindow, emit: chance.oneOf(EMITS) }),
    input,
  );
  const expected = new Map<string, number>();
  for (const { key, at } of input)
    for (const start of [Math.max(0, at - difference), at + 1]) {
      const inside = input.filter((other) => other.key === key && other.at >= start && other.at <= start + difference);
      if (inside.length > 0) expected.set(`${key}@${start}`, inside.reduce((sum, fact) => sum + amountOf(fact), 0));
    }
  const rows = [...running.t.store(perWindow).fetchAll()].map(({ key, value }) => `${key.key}@${key.window.start} ${value}`);
  return { about: `sliding ${difference}, grace ${how.disorderMs}`, expected: lines(expected), actual: rows.sort(), running };
}

/** Runs of records at most the gap apart. */
function naiveSessions(input: readonly Fact[], gap: number): Map<string, number> {
  const rows = new Map<string, number>();
  for (const key of new Set(input.map((fact) => fact.key))) {
    const own = input.filter((fact) => fact.key === key).sort((a, b) => a.at - b.at);
    for (let at = 0; at < own.length; ) {
      const first = own[at]?.at ?? 0;
      let end = first;
      let sum = 0;
      for (; at < own.length && (own[at]?.at ?? 0) - end <= gap; at++) {
        end = own[at]?.at ?? 0;
        sum += amountOf(own[at] as Fact);
      }
      rows.set(`${key}@${first}-${end}`, sum);
    }
  }
  return rows;
}

const sessionId = ({ key, window }: Windowed<string>): string => `${key}@${window.start}-${window.end}`;

export function sessionWindows(chance: Chance): Verdict {
  const how = drawing(chance, { sides: ['left'], deletes: false, textOf: amounts(chance) });
  const input = drawFacts(chance, how);
  const gap = chance.between(0, 40);
  const emit = chance.oneOf(['onUpdate', 'onCommit'] as const);
  const running = run(
    chance,
    (t) =>
      t
        .stream(left)
        .groupByKey()
        .windowedBy(windows.session({ gap, grace: how.disorderMs }))
        .aggregate({ initial: () => 0, add, merge: (a: number, b: number) => a + b, store: visits, emit })
        .toStream()
        .map((sum, key) => ({ key: sessionId(key), value: sum === null ? null : String(sum) }))
        .to(shown),
    input,
  );
  const expected = lines(naiveSessions(input, gap));
  const rows = [...running.t.store(visits).fetchAll()].map(({ key, value }) => `${sessionId(key)} ${value}`);
  const updates = running.t
    .output(shown)
    .latest()
    .map(({ key, value }) => `${key} ${value}`);
  return { about: `sessions, gap ${gap}, grace ${how.disorderMs}, emit ${emit}`, expected: [...expected, '--', ...expected], actual: [...rows.sort(), '--', ...updates.sort()], running };
}

/** Final results: by the aggregate itself, or by suppress below it. Each window once, with everything in it. */
export function finalWindows(chance: Chance): Verdict {
  const how = drawing(chance, { sides: ['left'], deletes: false, textOf: amounts(chance) });
  const input = drawFacts(chance, how);
  const suppressed = chance.isOneIn(2);
  const emit = suppressed ? chance.oneOf(['onUpdate', 'onCommit'] as const) : ('onWindowClose' as const);
  const isSession = chance.isOneIn(3);
  const gap = chance.between(0, 40);
  const shape = timeShape(chance, how.disorderMs);
  const running = run(
    chance,
    (t) => {
      const group = t.stream(left).groupByKey();
      const table = isSession
        ? group.windowedBy(windows.session({ gap, grace: how.disorderMs })).aggregate({ initial: () => 0, add, merge: (a: number, b: number) => a + b, store: visits, emit })
        : group.windowedBy(shape.windows).aggregate({ initial: () => 0, add, store: perWindow, emit });
      const finals = suppressed ? table.suppress({ until: 'windowClose' }) : table;
      finals
        .toStream()
        .map((sum, key) => ({ key: isSession ? sessionId(key) : `${key.key}@${key.window.start}`, value: String(sum) }))
        .to(shown);
    },
    input,
    { ends: true },
  );
  const expected = isSession ? naiveSessions(input, gap) : sumBy(input, ({ key, at }) => shape.startsOf(at).map((start) => `${key}@${start}`));
  const actual = running.t
    .output(shown)
    .readAll()
    .filter(({ key }) => !isEnd(key))
    .map(({ key, value }) => `${key} ${value}`);
  return { about: `final ${isSession ? `sessions, gap ${gap}` : shape.about}${suppressed ? ', suppressed' : ''}`, expected: lines(expected), actual: actual.sort(), running };
}

export function cogroups(chance: Chance): Verdict {
  const how = drawing(chance, { sides: ['left', 'right'], deletes: false, textOf: amounts(chance) });
  const input = drawFacts(chance, how);
  const rekeyed = chance.isOneIn(2);
  if (chance.isOneIn(2)) return windowedCogroup(chance, input, how.disorderMs, rekeyed);
  const running = run(
    chance,
    (t) =>
      void grouped(t, left, rekeyed, 'left-by-key')
        .cogroup<number>({ initial: () => 0, add })
        .cogroup(grouped(t, right, rekeyed, 'right-by-key'), (sum, value) => sum - Number(value))
        .aggregate({ store: sums, emit: chance.oneOf(EMITS) }),
    input,
  );
  const signed = input.map((fact) => (fact.side === 'left' ? fact : { ...fact, value: String(-amountOf(fact)) }));
  const rows = [...running.t.store(sums).range()].map(({ key, value }) => `${key} ${value}`);
  return { about: `cogroup${rekeyed ? ', rekeyed' : ''}`, expected: lines(sumBy(signed, ({ key }) => [key])), actual: rows.sort(), running };
}

function windowedCogroup(chance: Chance, input: readonly Fact[], graceMs: number, rekeyed: boolean): Verdict {
  const isSession = chance.isOneIn(2);
  const gap = chance.between(0, 40);
  const shape = timeShape(chance, graceMs);
  const running = run(
    chance,
    (t) => {
      const all = grouped(t, left, rekeyed, 'left-by-key')
        .cogroup<number>({ initial: () => 0, add })
        .cogroup(grouped(t, right, rekeyed, 'right-by-key'), (sum, value) => sum - Number(value));
      if (isSession) all.windowedBy(windows.session({ gap, grace: graceMs })).aggregate({ merge: (a, b) => a + b, store: visits });
      else all.windowedBy(shape.windows).aggregate({ store: perWindow });
    },
    input,
  );
  const signed = input.map((fact) => (fact.side === 'left' ? fact : { ...fact, value: String(-amountOf(fact)) }));
  const expected = isSession ? naiveSessions(signed, gap) : sumBy(signed, ({ key, at }) => shape.startsOf(at).map((start) => `${key}@${start}`));
  const rows = isSession
    ? [...running.t.store(visits).fetchAll()].map(({ key, value }) => `${sessionId(key)} ${value}`)
    : [...running.t.store(perWindow).fetchAll()].map(({ key, value }) => `${key.key}@${key.window.start} ${value}`);
  return { about: `cogroup${rekeyed ? ', rekeyed' : ''}, ${isSession ? `sessions, gap ${gap}` : shape.about}`, expected: lines(expected), actual: rows.sort(), running };
}

export function regroupedTable(chance: Chance): Verdict {
  const groups = chance.between(1, 5);
  const input = drawFacts(chance, drawing(chance, { sides: ['left'], deletes: true, textOf: amounts(chance) }));
  const groupOf = (value: string): string => `g${Number(value) % groups}`;
  const running = run(
    chance,
    (t) =>
      void t
        .table(left)
        .groupBy((value) => ({ key: groupOf(value), value }), { as: 'by-group' })
        .aggregate({ initial: () => 0, add, subtract: (sum, value) => sum - Number(value), store: sums }),
    input,
  );
  const expected = new Map<string, number>();
  for (const fact of input) if (fact.value !== null) expected.set(groupOf(fact.value), 0);
  for (const value of last(input, 'left', (fact) => fact.value).values()) if (value !== null) expected.set(groupOf(value), (expected.get(groupOf(value)) ?? 0) + Number(value));
  const rows = [...running.t.store(sums).range()].map(({ key, value }) => `${key} ${value}`);
  return { about: `table regrouped in ${groups}`, expected: lines(expected), actual: rows.sort(), running };
}
