import { expect, test } from 'vitest';
import { createHeaders, noHeaders } from './headers.ts';

test('order and duplicates are kept, get and text answer the last of a name', () => {
  const headers = createHeaders([
    ['trace', 'one'],
    ['id', new Uint8Array([1])],
    ['trace', 'two'],
    ['empty', null],
  ]);
  expect([...headers].map(([name]) => name)).toEqual(['trace', 'id', 'trace', 'empty']);
  expect(headers.text('trace')).toBe('two');
  expect(headers.get('id')).toEqual(new Uint8Array([1]));
  expect(headers.get('empty')).toBeUndefined();
  expect(headers.get('missing')).toBeUndefined();
  expect(headers.size).toBe(4);
});

test('with and without answer new headers and leave the old ones alone', () => {
  const old = createHeaders([['a', '1']]);
  const more = old.with('a', '2').with('b', new Uint8Array([9]));
  expect(old.size).toBe(1);
  expect(more.size).toBe(3);
  expect(more.without('a').size).toBe(1);
  expect(more.without('a').without('b')).toBe(noHeaders);
});

test('no entries are the one empty headers', () => {
  expect(createHeaders([])).toBe(noHeaders);
  expect([...noHeaders]).toEqual([]);
});
