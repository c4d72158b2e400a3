// Patterns against a slow model: for what both know, JavaScript's own regular expressions say the same.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compilePattern } from './topic-pattern.ts';

const matches = (pattern: string, name: string): boolean | undefined => compilePattern(pattern)?.(name);

describe('a pattern matches whole names', () => {
  test.each<[string, string[], string[]]>([
    ['orders', ['orders'], ['order', 'orders2', 'my-orders', '']],
    ['order.*', ['order', 'orders'], ['my-order']],
    ['a|bc', ['a', 'bc'], ['ac', 'b', 'abc']],
    ['(a|b)[0-9]+', ['a1', 'b42'], ['a', 'c1', 'ab1']],
    ['[^a-c]x', ['dx', '-x'], ['ax', 'x']],
    ['[]a-]b', [']b', 'ab', '-b'], ['b', 'cb']],
    ['\\d\\D\\w\\W', ['1a_-'], ['aa_-', '1a__']],
    ['a\\.b', ['a.b'], ['axb']],
    ['\\Qa.b\\E+', ['a.b', 'a.bb'], ['axb']],
    ['a{2}b{1,}c{0,2}', ['aab', 'aabbcc'], ['ab', 'aa', 'aabccc']],
    ['(?:ab)+?', ['ab', 'abab'], ['', 'aba']],
    ['(?P<name>x)y', ['xy'], ['x']],
    ['^a$', ['a'], ['ba', 'ab']],
    ['(^a|b)c', ['ac', 'bc'], ['aac']],
    ['a*', ['', 'aaa'], ['b']],
    ['', [''], ['a']],
    ['()', [''], ['a']],
    ['a||b', ['a', '', 'b'], ['ab']],
    ['x{a}', ['x{a}'], ['xa']],
  ])('%s', (pattern, yes, no) => {
    for (const name of yes) expect(matches(pattern, name), name).toBe(true);
    for (const name of no) expect(matches(pattern, name), name).toBe(false);
  });
});

test.each(['(', ')', 'a)', '[a', '*a', 'a**', 'a\\', '[z-a]', '(?i)a', '(?=a)', '(?<!a)b', '\\1', '\\b', '\\pL', '[[:alpha:]]', 'a{2,1}', 'a{1001}', '(?'])(
  'what is no pattern here is refused: %s',
  (pattern) => {
    expect(compilePattern(pattern)).toBeUndefined();
  },
);

test('a pattern that would grow without bound is refused', () => {
  expect(compilePattern('((a{1000}){1000}){1000}')).toBeUndefined();
  expect(compilePattern('a'.repeat(1_001))).toBeUndefined();
  expect(compilePattern('(.?){1000}'.repeat(4))).toBeUndefined(); // 8,000 states at each character of a name
  expect(compilePattern('('.repeat(500) + ')'.repeat(500))).toBeUndefined();
});

test('counts of nothing multiply to nothing', () => {
  expect(matches('((((){1000}){1000}){1000}){1000}a', 'a')).toBe(true);
  expect(matches('(((){1000}(){1000}|b){1000}a){2}', 'aba')).toBeUndefined();
});

test('patterns that make backtracking matchers run for ever take steps in proportion to the name', () => {
  const name = `${'a'.repeat(248)}!`;
  for (const pattern of ['(a+)+', '(a|a)*', '(a*)*b', '(.*)*(.*)*(.*)*x']) expect(matches(pattern, name)).toBe(false);
});

test('agrees with RegExp on whatever both can read', () => {
  const part = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(a|b)', '(ab)', '\\w', 'a|', '');
  const piece = fc.tuple(part, fc.constantFrom('', '*', '+', '?', '{2}', '{0,2}', '{1,}'));
  const pattern = fc
    .array(piece, { maxLength: 6 })
    .map((pieces) => pieces.map(([atom, count]) => (atom === '' || atom.endsWith('|') ? atom : atom + count)).join(''));
  const name = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 }).map((chars) => chars.join(''));
  fc.assert(
    fc.property(pattern, name, (text, word) => {
      expect(matches(text, word), `${text} on ${word}`).toBe(new RegExp(`^(?:${text})$`).test(word));
    }),
    { numRuns: 2_000 },
  );
});
