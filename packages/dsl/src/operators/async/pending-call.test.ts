import { createHeaders, type ErasedSerde, MillraceError, noHeaders, serde } from '@millrace/core';
import { expect, test } from 'vitest';
import { type PendingRecord, pendingSerde } from './pending-call.ts';

const pending = pendingSerde(serde.string() as ErasedSerde, serde.json<{ readonly n: number }>() as ErasedSerde);
const info = { topic: 't', role: 'value', headers: noHeaders } as const;
const record = (changes: Partial<PendingRecord> = {}): PendingRecord => ({
  timestamp: 1_700_000_000_123,
  headers: createHeaders([
    ['a', 'x'],
    ['b', null],
    ['a', 'y'],
  ]),
  source: { topic: 'in', partition: 3, offset: 2 ** 40 },
  rawKey: Buffer.from('k'),
  rawValue: Buffer.alloc(0),
  idempotencyKey: 'app/call/in/3/1099511627776/0',
  key: 'k',
  value: { n: 1 },
  ...changes,
});
const plain = ({ headers, rawKey, rawValue, ...rest }: PendingRecord) => ({
  ...rest,
  headers: [...headers].map(([name, value]) => [name, value === null ? null : Buffer.from(value).toString()]),
  rawKey: rawKey === null ? null : Buffer.from(rawKey),
  rawValue: rawValue === null ? null : Buffer.from(rawValue),
});

test.each([record(), record({ source: undefined, rawKey: null, rawValue: null }), record({ key: null, value: null, headers: noHeaders })])(
  'a pending record comes back as it was written (%#)',
  (given) => {
    const bytes = pending.serialize(given, info);
    expect(plain(pending.deserialize(bytes as Uint8Array, info))).toEqual(plain(given));
  },
);

test('bytes that are cut short anywhere are a corrupt store, never a record', () => {
  const bytes = Buffer.from(pending.serialize(record(), info) as Uint8Array);
  for (let length = 0; length < bytes.length; length++) {
    let thrown: unknown;
    try {
      pending.deserialize(bytes.subarray(0, length), info);
    } catch (error) {
      thrown = error;
    }
    expect(MillraceError.is(thrown) && thrown.code).toBe('ERR_STORE_CORRUPT');
  }
});
