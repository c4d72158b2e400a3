// Reads a topic pattern into a tree (RE2's syntax, as far as names need it).
// Owns: the syntax.  Never: matches (topic-pattern.ts does).
// Known: literals, `.`, classes with ranges and negation, \d \w \s and their opposites, \Q…\E, groups, `|`, `* + ? {n} {n,} {n,m}` also lazy, `^ $`.
// Not known, and refused: back references and look-around (RE2 has none either), flags, \b, \p, POSIX classes.

const REPEAT_MAX = 1_000;
const NESTING_MAX = 100;

/** Says whether a character, by its code, is taken. */
export type Accepts = (code: number) => boolean;

/** A tree of the pattern; compiled to states afterwards, so that a counted part can be unrolled. */
export type PatternNode =
  | { readonly kind: 'char'; readonly accepts: Accepts }
  | { readonly kind: 'assert'; readonly at: 'start' | 'end' }
  | { readonly kind: 'all'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'any'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly part: PatternNode; readonly min: number; readonly max: number };

/** What the parser and the compiler throw for a text that is no pattern. */
export class NotAPattern extends Error {}

/** Throws NotAPattern. */
export function parsePattern(text: string): PatternNode {
  return new Parser(text).parse();
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

  parse(): PatternNode {
    const node = this.#alternatives();
    if (this.#at < this.#text.length) throw new NotAPattern(); // a `)` too many
    return node;
  }

  #alternatives(): PatternNode {
    if (++this.#depth > NESTING_MAX) throw new NotAPattern();
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    this.#depth--;
    return parts.length === 1 ? (parts[0] as PatternNode) : { kind: 'any', parts };
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = [];
    while (this.#at < this.#text.length && !this.#sees('|') && !this.#sees(')')) parts.push(...this.#piece());
    return { kind: 'all', parts };
  }

  /** One atom with what repeats it; a quoted text gives several atoms, of which only the last is repeated. */
  #piece(): PatternNode[] {
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

  #atoms(): PatternNode[] {
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

  #group(): PatternNode {
    if (this.#take('?')) {
      const name = /^(:|P?<\w+>)/.exec(this.#text.slice(this.#at, this.#at + 100));
      if (name === null) throw new NotAPattern(); // flags, look-around
      this.#at += name[0].length;
    }
    const inside = this.#alternatives();
    if (!this.#take(')')) throw new NotAPattern();
    return inside;
  }

  #quoted(): PatternNode[] {
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

function literal(char: string): PatternNode {
  const wanted = char.charCodeAt(0);
  return { kind: 'char', accepts: (code) => code === wanted };
}
