// Foreign-key joins while everything is under way at once: rows change again before answers to them have come back, in any order that topics allow.
import { type ErasedSerde, seededChance, serde, silentLogger } from '@millrace/core';
import type { NodeContext, NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { ChangeCell } from '../change.ts';
import type { RowView } from '../draft/table-rows.ts';
import {
  answerAllOperator,
  answerOperator,
  type ForeignKeyJoinKind,
  receiveOperator,
  resolveOperator,
  rowHasher,
  subscribeOperator,
} from './foreign-key-join.ts';
import { SharedOpenAnswers } from './open-answers.ts';

// Sound: operators are made for serdes of any type.
const text = serde.string() as unknown as ErasedSerde;
const PARTITIONS = 2;

type Sent = { readonly key: unknown; readonly value: unknown };
type Rows = Map<unknown, unknown>;

function viewOf(rows: Rows): RowView {
  return {
    stores: [],
    open: () => {
      const reader = {
        value: undefined as unknown,
        timestamp: 0,
        find(key: unknown): boolean {
          reader.value = rows.get(key);
          return rows.has(key);
        },
      };
      return reader;
    },
  };
}

/** Who refers to a row, as the operators use their store. */
class Subscriptions {
  readonly #rows = new Map<string, { readonly key: { readonly foreign: unknown; readonly primary: unknown }; readonly value: unknown }>();
  write(key: { readonly foreign: unknown; readonly primary: unknown }, value: unknown): void {
    const at = `${key.foreign} ${key.primary}`;
    if (value === undefined) this.#rows.delete(at);
    else this.#rows.set(at, { key, value });
  }
  *range({ prefix }: { readonly prefix: { readonly foreign: unknown } }) {
    for (const row of [...this.#rows.values()]) if (row.key.foreign === prefix.foreign) yield row;
  }
}

/** A left table of one partition, a right one of several, and the topics between them as queues. */
class Join {
  readonly left: Rows = new Map();
  readonly result: Rows = new Map();
  readonly registrations: Sent[][] = Array.from({ length: PARTITIONS }, () => []);
  readonly answers: Sent[] = [];
  readonly #rights = Array.from({ length: PARTITIONS }, () => ({ rows: new Map() as Rows, subscriptions: new Subscriptions() }));
  readonly #kind: ForeignKeyJoinKind;
  readonly #shared = new SharedOpenAnswers(text, 'primary');
  #subscribe!: NodeProcessor;
  #resolve!: NodeProcessor;
  #receive: NodeProcessor[] = [];
  #answerAll: NodeProcessor[] = [];

  constructor(kind: ForeignKeyJoinKind) {
    this.#kind = kind;
    this.restartLeft();
    for (const { rows, subscriptions } of this.#rights) {
      const record = newRecord();
      const answer = node(answerOperator(viewOf(rows)), record, (key, value) => void this.answers.push({ key, value }));
      this.#receive.push(node(receiveOperator('who'), record, (key, value) => answer.process(key, value), subscriptions));
      this.#answerAll.push(node(answerAllOperator('who'), record, (key, value) => void this.answers.push({ key, value }), subscriptions));
    }
  }

  /** A new life of the left task: what it knew only in memory is gone. */
  restartLeft(): void {
    const record = newRecord();
    const kind = this.#kind;
    const hashOf = rowHasher(text, 'hash');
    const answers = this.#shared;
    this.#subscribe = node(subscribeOperator({ kind, on: foreignOf, hashOf, foreignKey: text, pseudoTopic: 'foreign', answers }), record, (key, value) =>
      this.registrations[partitionOf(key)]?.push({ key, value }),
    );
    const joiner = (l: unknown, r: unknown): string => `${l}+${r ?? '-'}`;
    this.#resolve = node(resolveOperator({ kind, view: viewOf(this.left), joiner, hashOf, answers }), record, (key, value) => set(this.result, key, value));
  }

  changeLeft(key: string, value: string | null): void {
    const prior = this.left.get(key);
    set(this.left, key, value);
    this.#subscribe.process(key, new ChangeCell().withPrior(value, prior));
  }
  changeRight(key: string, value: string | null): void {
    const at = partitionOf(key);
    const { rows } = this.#rights[at] as { rows: Rows };
    const prior = rows.get(key);
    set(rows, key, value);
    this.#answerAll[at]?.process(key, new ChangeCell().withPrior(value, prior));
  }
  takeRegistration(partition: number): boolean {
    const sent = this.registrations[partition]?.shift();
    if (sent !== undefined) this.#receive[partition]?.process(sent.key, sent.value);
    return sent !== undefined;
  }
  takeAnswer(): boolean {
    const sent = this.answers.shift();
    if (sent !== undefined) this.#resolve.process(sent.key, sent.value);
    return sent !== undefined;
  }
  settle(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (let partition = 0; partition < PARTITIONS; partition++) if (this.takeRegistration(partition)) moved = true;
      if (this.takeAnswer()) moved = true;
    }
  }
  expected(): Rows {
    const joined: Rows = new Map();
    for (const [key, value] of this.left) {
      const foreign = foreignOf(value);
      const right = foreign === null ? undefined : this.#rights[partitionOf(foreign)]?.rows.get(foreign);
      if (right !== undefined || this.#kind === 'left') joined.set(key, `${value}+${right ?? '-'}`);
    }
    return joined;
  }
}

const foreignOf = (value: unknown): string | null => (String(value).startsWith('none') ? null : (String(value).split('|')[0] as string));
const partitionOf = (key: unknown): number => (key === null ? 0 : String(key).charCodeAt(0) % PARTITIONS);

function set(rows: Rows, key: unknown, value: unknown): void {
  if (value === null || value === undefined) rows.delete(key);
  else rows.set(key, value);
}

const newRecord = () => ({ timestamp: 0, headers: undefined as never, streamTime: 0, taskId: '0_0', source: undefined });

function node(create: ProcessorFactory, record: NodeContext['record'], forward: (key: unknown, value: unknown) => void, store?: unknown): NodeProcessor {
  return create({ record, partition: 0, log: silentLogger, forward, forwardAt: forward, drop() {}, store: () => store } as unknown as NodeContext);
}

/** A random history; `restarts`: the left task begins a new life now and then. */
function play(kind: ForeignKeyJoinKind, seed: number, restarts: boolean): Join {
  const chance = seededChance(seed);
  const oneOf = <T>(all: readonly T[]): T => all[chance.integer(all.length)] as T;
  const join = new Join(kind);
  for (let step = 0; step < 60; step++) {
    const what = chance.integer(10);
    if (what < 3) join.changeLeft(oneOf(['k', 'l']), oneOf([null, 'none1', 'none2', 'A|1', 'A|2', 'B|1', 'B|2', 'C|1']));
    else if (what < 4) join.changeRight(oneOf(['A', 'B']), oneOf([null, 'r1', 'r2']));
    else if (what < 7) join.takeRegistration(chance.integer(PARTITIONS));
    else if (what < 9 || !restarts) join.takeAnswer();
    else if (chance.integer(3) === 0) join.restartLeft();
  }
  join.settle();
  return join;
}

describe.each(['inner', 'left'] as const)('an %s foreign-key join', (kind) => {
  test.each([false, true])('is right in the end, whatever overtakes what (restarts of the left task: %s)', (restarts) => {
    for (let seed = 1; seed <= 2000; seed++) {
      const join = play(kind, seed, restarts);
      expect([seed, ...join.result].sort()).toEqual([seed, ...join.expected()].sort());
    }
  });
});

test('a row that is deleted and comes back at once, to a row that is not there, leaves no old result', () => {
  const join = new Join('inner');
  join.changeRight('A', 'a');
  join.changeLeft('k', 'A|1');
  join.settle();
  expect([...join.result]).toEqual([['k', 'A|1+a']]);
  join.changeLeft('k', null);
  join.changeLeft('k', 'B|2');
  join.settle();
  expect([...join.result]).toEqual([]);
});
