// The page docs/testing.md: quotes the files beside this one as they are, and they compile. Vitest runs the tests among them.
import { expect, test } from 'vitest';
import { isQuoted, mistakesIn, programsOf } from './quoted-programs.ts';

const files = programsOf('testing');

test.each(files)('the page quotes %s as it is', (file) => {
  expect(isQuoted('testing.md', file)).toBe(true);
});

test('the quoted files compile under the strict options', () => {
  expect(mistakesIn(files)).toEqual([]);
});
