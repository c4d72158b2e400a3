// Patterns of topic names, as members of consumer groups send them (RE2's syntax, as far as names need it).
// Owns: parsing and matching.  Never: hands a pattern from outside to RegExp, whose matching can take for ever; a name is matched in
// (characters × size of the pattern) steps, whatever the pattern.
// Known: literals, `.`, classes with ranges and negation, \d \w \s and their opposites, \Q…\E, groups, `|`, `* + ? {n} {n,} {n,m}` also lazy, `^ $`.
// Not known, and refused: back references and look-around (RE2 has none either), flags, \b, \p, POSIX classes.
// TP1 states are numbered in the order they are made; edges without a character never form a path of more than `states` steps.

/** A pattern that unrolls to more is refused. */
const STATES_MAX = 10_000;
const PATTERN_LENGTH_MAX = 1_000;
const REPEAT_MAX = 1_000;
const NESTING_MAX = 100;

type Accepts = (code: number) => boolean;
type State =
  | { kind: 'char'; readonly accepts: Accepts; next: number }
  | { kind: 'split'; next: number; other: number }
  | { kind: 'assert'; readonly at: 'start' | 'end'; next: number }
  | { kind: 'match' };
/** A tree of the pattern; compiled to states afterwards, so that a counted part can be unrolled. */
type Node =
  | { readonly kind: 'char'; readonly accepts: Accepts }
  | { readonly kind: 'assert'; readonly at: 'start' | 'end' }
  | { readonly kind: 'all'; readonly parts: readonly Node[] }
  | { readonly kind: 'any'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly min: number; readonly max: number };

class NotAPattern extends Error {}

/** A test for whole names; undefined when the text is not a pattern that is known here. */
export function compilePattern(pattern: string): ((name: string) => boolean) | undefined {
  if (pattern.length > PATTERN_LENGTH_MAX) return undefined;
  try {
    const states: State[] = [{ kind: 'match' }];
    const start = compile(new Parser(pattern).parse(), 0, states);
    return (name) => matches(states, start, name);
  } catch (error) {
    if (error instanceof NotAPattern) return undefined;
    throw error;
  }
}

/** Adds the states of `node` before `next` and returns the first of them. */
function compile(node: Node, next: number, states: State[]): number {
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
      for (let at = 0; at < node.min; at++) entry = compile(node.part, entry, states);
      return entry;
    }
  }
}

function matches(states: readonly State[], start: number, name: string): boolean {
  let now = new Set<number>();
  enter(states, now, start, 0, name.length);
  for (let at = 0; at < name.length && now.size > 0; at++) {
    const then = new Set<number>();
    for (const index of now) {
      const state = states[index] as State;
      if (state.kind === 'char' && state.accepts(name.charCodeAt(at))) enter(states, then, state.next, at + 1, name.length);
    }
    now = then;
  }
  return now.has(0);
}

/** Takes every edge that needs no character. */
function enter(states: readonly State[], into: Set<number>, first: number, at: number, length: number): void {
  const open = [first];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (into.has(index)) continue;
    const state = states[index] as State;
    into.add(index);
    if (state.kind === 'split') open.push(state.other, state.next);
    else if (state.kind === 'assert' && at === (state.at === 'start' ? 0 : length)) open.push(state.next);
  }
}

const inRange =
  (from: number, to: number): Accepts =>
  (code) =>
    code >= from && code <= to;
const isDigit = inRange(0x30, 0x39);
const isWord: Accepts = (code) => isDigit(code) || inRange(0x41, 0x5a)(code) || inRange(0x61, 0x7a)(code) || code === 0x5f;
const isSpace: Accepts = (code) => code === 0x20 || inRange(0x09, 0x0d)(code);
const not =
  (accepts: Accepts): Accepts =>
  (code) =>
    !accepts(code);
const CLASSES: Readonly<Record<string, Accepts>> = { d: isDigit, D: not(isDigit), w: isWord, W: not(isWord), s: isSpace, S: not(isSpace) };
const CONTROLS: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09, f: 0x0c, a: 0x07, v: 0x0b };

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Node {
    const node = this.#alternatives();
    if (this.#at < this.#text.length) throw new NotAPattern(); // a `)` too many
    return node;
  }

  #alternatives(): Node {
    if (++this.#depth > NESTING_MAX) throw new NotAPattern();
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    this.#depth--;
    return parts.length === 1 ? (parts[0] as Node) : { kind: 'any', parts };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#text.length && !this.#sees('|') && !this.#sees(')')) parts.push(...this.#piece());
    return { kind: 'all', parts };
  }

  /** One atom with what repeats it; a quoted text gives several atoms, of which only the last is repeated. */
  #piece(): Node[] {
    const atoms = this.#atoms();
    const last = atoms.pop();
    if (last === undefined) return [];
    const [min, max] = this.#count();
    return [...atoms, min === 1 && max === 1 ? last : { kind: 'repeat', part: last, min, max }];
  }

  #count(): readonly [min: number, max: number] {
    const counts: Readonly<Record<string, readonly [number, number]>> = { '*': [0, Number.POSITIVE_INFINITY], '+': [1, Number.POSITIVE_INFINITY], '?': [0, 1] };
    let found = counts[this.#text[this.#at] ?? ''];
    if (found !== undefined) this.#at++;
    else {
      const braces = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(this.#text.slice(this.#at, this.#at + 12));
      if (braces === null) return [1, 1];
      const [all, least, comma, most] = braces;
      const min = Number(least);
      const max = comma === undefined ? min : most === '' ? Number.POSITIVE_INFINITY : Number(most);
      if (min > REPEAT_MAX || max < min || (max > REPEAT_MAX && max !== Number.POSITIVE_INFINITY)) throw new NotAPattern();
      this.#at += all.length;
      found = [min, max];
    }
    this.#take('?'); // lazy: no difference where the whole name has to match
    if (/^[*+?]/.test(this.#text.slice(this.#at, this.#at + 1))) throw new NotAPattern();
    return found;
  }

  #atoms(): Node[] {
    const char = this.#next();
    switch (char) {
      case '(':
        return [this.#group()];
      case '[':
        return [{ kind: 'char', accepts: this.#set() }];
      case '.':
        return [{ kind: 'char', accepts: (code) => code !== 0x0a }];
      case '^':
        return [{ kind: 'assert', at: 'start' }];
      case '$':
        return [{ kind: 'assert', at: 'end' }];
      case '\\':
        if (this.#take('Q')) return this.#quoted();
        if (this.#take('A')) return [{ kind: 'assert', at: 'start' }];
        if (this.#take('z')) return [{ kind: 'assert', at: 'end' }];
        return [{ kind: 'char', accepts: this.#escape() }];
      case '*':
      case '+':
      case '?':
        throw new NotAPattern(); // repeats nothing
      default:
        return [literal(char)];
    }
  }

  #group(): Node {
    if (this.#take('?')) {
      const name = /^(:|P?<\w+>)/.exec(this.#text.slice(this.#at, this.#at + 100));
      if (name === null) throw new NotAPattern(); // flags, look-around
      this.#at += name[0].length;
    }
    const inside = this.#alternatives();
    if (!this.#take(')')) throw new NotAPattern();
    return inside;
  }

  #quoted(): Node[] {
    const end = this.#text.indexOf('\\E', this.#at);
    const text = this.#text.slice(this.#at, end < 0 ? undefined : end);
    this.#at = end < 0 ? this.#text.length : end + 2;
    return [...text].map(literal);
  }

  #set(): Accepts {
    const negated = this.#take('^');
    const some: Accepts[] = [];
    for (let first = true; first || !this.#sees(']'); first = false) {
      if (this.#sees('[') && this.#text[this.#at + 1] === ':') throw new NotAPattern();
      const from = this.#setItem(some);
      if (from === undefined) continue;
      const range = this.#sees('-') && this.#text[this.#at + 1] !== ']';
      if (!range) {
        some.push((code) => code === from);
        continue;
      }
      this.#at++;
      const to = this.#setItem(some);
      if (to === undefined || to < from) throw new NotAPattern();
      some.push(inRange(from, to));
    }
    this.#at++;
    const accepts: Accepts = (code) => some.some((one) => one(code));
    return negated ? not(accepts) : accepts;
  }

  /** The code of one character of a set; undefined when it was a class, which went into `some`. */
  #setItem(some: Accepts[]): number | undefined {
    const char = this.#next();
    if (char !== '\\') return char.charCodeAt(0);
    const letter = this.#next();
    const known = CLASSES[letter];
    if (known === undefined) return escapedCode(letter);
    some.push(known);
    return undefined;
  }

  #escape(): Accepts {
    const letter = this.#next();
    const known = CLASSES[letter];
    if (known !== undefined) return known;
    const wanted = escapedCode(letter);
    return (code) => code === wanted;
  }

  #sees(char: string): boolean {
    return this.#text[this.#at] === char;
  }
  #take(char: string): boolean {
    if (!this.#sees(char)) return false;
    this.#at++;
    return true;
  }
  #next(): string {
    const char = this.#text[this.#at++];
    if (char === undefined) throw new NotAPattern();
    return char;
  }
}

/** The character behind a backslash: punctuation stands for itself, letters and digits must be known. */
function escapedCode(letter: string): number {
  const control = CONTROLS[letter];
  if (control !== undefined) return control;
  if (/[A-Za-z0-9]/.test(letter)) throw new NotAPattern();
  return letter.charCodeAt(0);
}

function literal(char: string): Node {
  const wanted = char.charCodeAt(0);
  return { kind: 'char', accepts: (code) => code === wanted };
}
