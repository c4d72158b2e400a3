// Patterns of topic names, as members of consumer groups send them (pattern-parser.ts has the syntax).
// Owns: matching.  Never: hands a pattern from outside to RegExp, whose matching can take for ever; a name is matched in
// (characters × size of the pattern) steps, whatever the pattern.
// TP1 states are numbered in the order they are made; edges without a character never form a path of more than `states` steps.
import { type Accepts, NotAPattern, type PatternNode, parsePattern } from './pattern-parser.ts';

/** A pattern that unrolls to more is refused. A name has 249 characters at most, and each may cost as many steps as there are states. */
const STATES_MAX = 2_000;
const PATTERN_LENGTH_MAX = 1_000;

type State =
  | { kind: 'char'; readonly accepts: Accepts; next: number }
  | { kind: 'split'; next: number; other: number }
  | { kind: 'assert'; readonly at: 'start' | 'end'; next: number }
  | { kind: 'match' };
/** A test for whole names; undefined when the text is not a pattern that is known here. */
export function compilePattern(pattern: string): ((name: string) => boolean) | undefined {
  if (pattern.length > PATTERN_LENGTH_MAX) return undefined;
  try {
    const states: State[] = [{ kind: 'match' }];
    const start = compile(parsePattern(pattern), 0, states);
    return (name) => matches(states, start, name);
  } catch (error) {
    if (error instanceof NotAPattern) return undefined;
    throw error;
  }
}

/** Adds the states of `node` before `next` and returns the first of them. */
function compile(node: PatternNode, next: number, states: State[]): number {
  if (states.length > STATES_MAX) throw new NotAPattern();
  const add = (state: State): number => states.push(state) - 1;
  switch (node.kind) {
    case 'char':
      return add({ kind: 'char', accepts: node.accepts, next });
    case 'assert':
      return add({ kind: 'assert', at: node.at, next });
    case 'all':
      return node.parts.reduceRight((after, part) => compile(part, after, states), next);
    case 'any':
      return node.parts.map((part) => compile(part, next, states)).reduceRight((other, first) => add({ kind: 'split', next: first, other }));
    case 'repeat': {
      let entry = next;
      if (node.max === Number.POSITIVE_INFINITY) {
        entry = add({ kind: 'split', next: -1, other: next });
        (states[entry] as { next: number }).next = compile(node.part, entry, states);
      } else {
        for (let at = node.min; at < node.max; at++) entry = add({ kind: 'split', next: compile(node.part, entry, states), other: next });
      }
      for (let at = 0; at < node.min; at++) {
        const before = entry;
        entry = compile(node.part, entry, states);
        if (entry === before) break; // nothing, however often: else nested counts would multiply without ever coming to STATES_MAX
      }
      return entry;
    }
  }
}

function matches(states: readonly State[], start: number, name: string): boolean {
  /** One more than the position in the name at which a state was last entered. */
  const entered = new Uint32Array(states.length);
  let now: number[] = [];
  enter(states, entered, now, start, 0, name.length);
  for (let at = 0; at < name.length && now.length > 0; at++) {
    const then: number[] = [];
    const code = name.charCodeAt(at);
    for (const index of now) {
      const state = states[index] as State;
      if (state.kind === 'char' && state.accepts(code)) enter(states, entered, then, state.next, at + 1, name.length);
    }
    now = then;
  }
  return now.includes(0);
}

/** Takes every edge that needs no character. */
function enter(states: readonly State[], entered: Uint32Array, into: number[], first: number, at: number, length: number): void {
  const open = [first];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (entered[index] === at + 1) continue;
    entered[index] = at + 1;
    const state = states[index] as State;
    into.push(index);
    if (state.kind === 'split') open.push(state.other, state.next);
    else if (state.kind === 'assert' && at === (state.at === 'start' ? 0 : length)) open.push(state.next);
  }
}
