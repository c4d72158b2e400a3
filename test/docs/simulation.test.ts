// The page docs/simulation.md: quotes the file beside this one as it is, and it compiles. Vitest runs it. The page names every fault and scenario.
import { readFileSync } from 'node:fs';
import { FAULTS, SCENARIOS } from '@millrace/sim';
import { expect, test } from 'vitest';
import { DEFECTS } from '../simulation/defects.ts';
import { isQuoted, mistakesIn, programsOf } from './quoted-programs.ts';

const files = programsOf('simulation');
const page = readFileSync(new URL('../../docs/simulation.md', import.meta.url), 'utf8');

test.each(files)('the page quotes %s as it is', (file) => {
  expect(isQuoted('simulation.md', file)).toBe(true);
});

test('the quoted files compile under the strict options', () => {
  expect(mistakesIn(files)).toEqual([]);
});

test('the page has a row for every fault, scenario and defect', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| '));
  const missing = [...FAULTS.map((name) => `\`${name}\``), ...Object.keys(SCENARIOS).map((name) => `\`${name}\``), ...DEFECTS.map(({ name }) => name)];
  expect(missing.filter((name) => !rows.some((row) => row.includes(name)))).toEqual([]);
});
