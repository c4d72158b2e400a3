import { type ErasedSerde, noHeaders, serde } from '@millrace/core';
import { expect, test } from 'vitest';
import { unmatchedKeySerde, unmatchedValuesSerde } from './unmatched-serdes.ts';

const text = serde.string() as ErasedSerde;
const info = { topic: 'waiting', role: 'value', headers: noHeaders } as const;
const hex = (bytes: Uint8Array | null): string => Buffer.from(bytes as Uint8Array).toString('hex');

test('a key is its time, its side and the bytes of the record key', () => {
  const keys = unmatchedKeySerde(text);
  const bytes = keys.serialize({ timestamp: 10, isLeft: true, key: 'a' } as never, info);
  expect(hex(bytes)).toBe('000000000000000a0161');
  expect(keys.deserialize(bytes as Uint8Array, info)).toEqual({ timestamp: 10, isLeft: true, key: 'a' });
});

test('values are a list, each with its length and its side', () => {
  const values = unmatchedValuesSerde(text, serde.safeInt() as ErasedSerde);
  const texts = values.serialize({ isLeft: true, values: ['x', 'yz'] } as never, info);
  expect(hex(texts)).toBe(`01${'00000002'}${'00000002'}0178${'00000003'}01797a`);
  expect(values.deserialize(texts as Uint8Array, info)).toEqual({ isLeft: true, values: ['x', 'yz'] });
  const numbers = values.serialize({ isLeft: false, values: [7] } as never, info);
  expect(values.deserialize(numbers as Uint8Array, info)).toEqual({ isLeft: false, values: [7] });
});

test.each(['', '00', '0100000001', '010000000100000009016161', '010000000100000000'])('bytes that no join has written (%s) are refused', (bytes) => {
  expect(() => unmatchedValuesSerde(text, text).deserialize(Buffer.from(bytes, 'hex'), info)).toThrow(expect.objectContaining({ code: 'ERR_STORE_CORRUPT' }));
  expect(() => unmatchedKeySerde(text).deserialize(Buffer.from('00', 'hex'), info)).toThrow(expect.objectContaining({ code: 'ERR_STORE_CORRUPT' }));
});
