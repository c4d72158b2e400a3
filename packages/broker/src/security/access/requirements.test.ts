import { APIS } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { REQUIREMENTS } from './requirements.ts';

test('every API has exactly one row that says what it needs', () => {
  const keys = REQUIREMENTS.map(({ apiKey }) => apiKey);
  const names = new Map<number, string>(Object.values(APIS).map(({ key, name }) => [key, name]));
  const missing = [...names].filter(([key]) => !keys.includes(key)).map(([key, name]) => `${name} (${key})`);
  expect(missing, 'Add a row to security/access: without one only those who may do cluster actions are served.').toEqual([]);
  expect(keys.length, 'an API has two rows').toBe(new Set(keys).size);
});

test('every row says in words what it needs', () => {
  for (const { needs } of REQUIREMENTS) expect(needs).toMatch(/^[a-z].{5,}$/);
});
