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
