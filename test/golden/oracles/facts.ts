// The input of a random program and its run: facts in disorder, sent through the public test driver over several partitions.
// Everything hangs on one seed. Knows no test runner: `npm test` and `npm run oracles` both stand on it.
import { seededChance, serde } from '@millrace/core';
import { type TopologyBuilder, topic, topology } from '@millrace/dsl';
import { type TestDriver, testTopology } from '@millrace/testkit';

export interface Fact {
  readonly side: 'left' | 'right';
  readonly key: string;
  /** Null deletes. */
  readonly value: string | null;
  readonly at: number;
}

const text = serde.string();
export const left = topic('left', { key: text, value: serde.nullable(text) });
export const right = topic('right', { key: text, value: serde.nullable(text) });
/** What has been shown: read as text, whatever wrote it. */
export const shown = topic('shown', { key: text, value: serde.nullable(text) });

/** Further ahead than any window or grace: whoever waits for time to pass waits no longer. */
export const END_MS = 10_000_000;
const PARTITIONS_MAX = 4;

export class Chance {
  readonly #source: ReturnType<typeof seededChance>;
  constructor(seed: number) {
    this.#source = seededChance(seed);
  }
  below(bound: number): number {
    return this.#source.integer(bound);
  }
  /** From `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }
  oneOf<T>(all: readonly T[]): T {
    return all[this.below(all.length)] as T;
  }
  isOneIn(times: number): boolean {
    return this.below(times) === 0;
  }
}

/** How an input is drawn: `disorderMs` is how far behind the newest a record may come. */
export interface Drawing {
  readonly records: number;
  readonly keys: number;
  readonly stepMs: number;
  readonly disorderMs: number;
  readonly sides: readonly Fact['side'][];
  readonly deletes: boolean;
  /** The text of a value; unique ones unless it says otherwise. */
  readonly textOf?: (at: number, side: Fact['side']) => string;
}

export function drawing(chance: Chance, more: Pick<Drawing, 'sides' | 'deletes'> & Partial<Drawing>): Drawing {
  return { records: chance.between(20, 120), keys: chance.between(1, 8), stepMs: chance.between(0, 9), disorderMs: chance.oneOf([0, 5, 40, 200]), ...more };
}

export function drawFacts(chance: Chance, how: Drawing): Fact[] {
  return Array.from({ length: how.records }, (_, at) => {
    const side = chance.oneOf(how.sides);
    const value = how.deletes && chance.isOneIn(4) ? null : (how.textOf?.(at, side) ?? `${side}${at}`);
    return { side, key: `k${chance.below(how.keys)}`, value, at: at * how.stepMs + chance.below(how.disorderMs + 1) };
  });
}

export interface Running {
  readonly t: TestDriver;
  readonly partitions: number;
}

/** Builds the program, sends everything, and ends with one record far ahead in every partition of every side if `ends`. */
export function run(chance: Chance, build: (t: TopologyBuilder) => void, facts: readonly Fact[], how: { readonly ends?: boolean; readonly partitions?: number } = {}): Running {
  const partitions = how.partitions ?? chance.between(1, PARTITIONS_MAX);
  const t = testTopology(topology('oracle', build, { optimize: chance.below(2) === 0 }), { partitions });
  for (const { side, key, value, at } of facts) t.input(side === 'left' ? left : right).send(key, value, { at });
  if (how.ends === true) {
    const known = t.topics;
    for (let partition = 0; partition < partitions; partition++)
      for (const side of [left, right]) if (known.includes(side.name)) for (const at of [END_MS, 2 * END_MS]) t.input(side).send('end', '0', { at, partition });
  }
  return { t, partitions };
}

/** Lines of what was shown, without the ends, sorted. */
export function shownLines({ t }: Running): string[] {
  const records = t.output(shown).readAll();
  return records
    .filter(({ key }) => !key.startsWith('end'))
    .map(({ key, value, timestamp }) => `${key} ${value} ${timestamp}`)
    .sort();
}

export const last = <T>(facts: readonly Fact[], side: Fact['side'], valueOf: (fact: Fact) => T): Map<string, T> =>
  new Map(facts.filter((fact) => fact.side === side).map((fact) => [fact.key, valueOf(fact)]));
