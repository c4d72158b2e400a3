// Pages that must keep up with the code.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FAILURES } from '@millrace/core';
import { expect, test } from 'vitest';
import { root } from './source-tree.ts';

const errors = readFileSync(join(root, 'docs/errors.md'), 'utf8');

test('docs/errors.md has cause and cure of every code, once', () => {
  const listed = [...errors.matchAll(/^### (ERR_\w+)\n\n\*\*Cause\.\*\* .+\n\*\*Cure\.\*\* .+$/gm)].map((match) => match[1]);
  expect([...listed].sort(), 'Add the code with a line "**Cause.** …" and one "**Cure.** …", or remove it there if it is gone from errors.ts.').toEqual(
    Object.keys(FAILURES).sort(),
  );
});

test('docs/errors.md puts each code under the response that the code has', () => {
  const groups: Readonly<Record<string, string>> = {
    'Configuration and environment (the instance stops)': 'stop',
    'Records and user code (the error policy decides)': 'ask-policy',
    'Passing trouble (tried again by itself)': 'retry',
    'Exactly-once (the work since the last commit is dropped and done again)': 'drop-span',
    'Membership (all tasks of the worker are given up, then it joins again)': 'drop-tasks',
    'Stores (rebuilt from the changelog)': 'rebuild-store',
  };
  const wrong: string[] = [];
  for (const section of errors.split(/^## /m).slice(1)) {
    const response = groups[section.slice(0, section.indexOf('\n'))];
    for (const [, code] of section.matchAll(/^### (ERR_\w+)$/gm))
      if (FAILURES[code as keyof typeof FAILURES] !== response) wrong.push(`${code} is under ${response}`);
  }
  expect(wrong, 'Move the code to the section of its response in FAILURES.').toEqual([]);
});

test('decision notes have number, status, choice, reason and cost', () => {
  const folder = join(root, 'docs/decisions');
  const wrong = readdirSync(folder).filter((name) => {
    const text = readFileSync(join(folder, name), 'utf8');
    return (
      !/^\d{4}-[a-z0-9-]+\.md$/.test(name) ||
      !text.startsWith(`# ${name.slice(0, 4)}`) ||
      !['Status', 'Choice', 'Reason', 'Cost'].every((word) => text.includes(word))
    );
  });
  expect(wrong, 'A note is docs/decisions/NNNN-title.md, begins with "# NNNN", and has Status, Choice, Reason, Cost.').toEqual([]);
});
