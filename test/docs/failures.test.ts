// The pages docs/failures.md and docs/async.md: they quote the programs beside this file as they are, and the programs compile.
import { expect, test } from 'vitest';
import { isQuoted, mistakesIn, programsOf } from './quoted-programs.ts';

const pages = ['failures', 'async'].flatMap((name) => programsOf(name).map((program) => [`${name}.md`, program] as const));

test.each(pages)('docs/%s quotes %s as it is', (page, program) => {
  expect(isQuoted(page, program)).toBe(true);
});

test('every quoted program compiles under the strict options', () => {
  expect(mistakesIn(pages.map(([, program]) => program))).toEqual([]);
});
