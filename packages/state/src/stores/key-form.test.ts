import { serde } from '@millrace/core';
import { expect, test } from 'vitest';
import { createKeyForm } from './key-form.ts';

test('a string key under a text serde that quotes comes back without quotes', () => {
  const form = createKeyForm(serde.json<string>(), 'st', 'topic');
  const own = form.own('ada', form.textOf('ada'));
  expect(own.key).toBe('ada');
  expect(own.bytes.toString()).toBe('"ada"');
  expect(form.fromBytes(own.bytes)).toBe('ada');
});

test('a plain string key is the text that its bytes read back as', () => {
  const form = createKeyForm(serde.string(), 'st', 'topic');
  expect(form.own('é', form.textOf('é')).key).toBe('é');
  expect(form.own('\ud800', form.textOf('\ud800')).key).toBe('\ufffd');
});

test('bytes inside a key are the store’s own: what it was given may be a view on a batch', () => {
  const form = createKeyForm(serde.windowed(serde.bytes(), { size: '1s' }) as never, 'st', 'topic');
  const frame = Buffer.from('ada');
  const given = { key: frame, window: { start: 0, end: 1000 } };
  const own = form.own(given, form.textOf(given));
  frame.fill('?');
  expect(own.key).toEqual({ key: Buffer.from('ada'), window: { start: 0, end: 1000 } });
});
