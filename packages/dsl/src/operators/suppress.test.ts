import { createHeaders, noHeaders, type SerdeInfo, serde } from '@millrace/core';
import type { KeyValueSpec } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { ChangeCell } from '../change.ts';
import { LoneNode } from '../testing/lone-node.ts';
import { type BufferedRow, bufferedRowSerde } from './buffered-row.ts';
import { type SuppressSettings, suppressOperator } from './suppress.ts';

const info: SerdeInfo = { topic: 'buffer', role: 'value', headers: noHeaders };
const rows = bufferedRowSerde(serde.string() as never);
const spec: KeyValueSpec = { kind: 'keyValue', name: 'buffer', key: serde.string() as never, value: rows, changelog: false, queryable: false, isBuffer: true };
const open = (options: Partial<SuppressSettings> = {}) =>
  LoneNode.open(
    suppressOperator({
      store: 'buffer',
      key: serde.string() as never,
      value: serde.string() as never,
      until: 'time',
      waitMs: 10,
      recordsMax: Number.POSITIVE_INFINITY,
      bytesMax: Number.POSITIVE_INFINITY,
      onFull: 'emit',
      ...options,
    }),
    spec,
  );
const change = (value: string | null, prior: string | null = null): ChangeCell => new ChangeCell().withPrior(value, prior);
const shown = (node: LoneNode): unknown[] => node.take().map(({ key, value, at }) => [key, (value as { value: unknown }).value, at]);

describe('until a time', () => {
  test('a key goes on once its first change is old enough, with the newest value and its time', async () => {
    const node = await open();
    node.process('a', change('1'), 0);
    node.process('a', change('2', '1'), 5);
    node.process('b', change('x'), 9);
    expect(shown(node)).toEqual([]);
    node.process('c', change('y'), 10);
    expect(shown(node)).toEqual([['a', '2', 5]]);
  });

  test('of equal times the smaller key bytes go first, and deletes go on like values', async () => {
    const node = await open({ waitMs: 0 });
    node.process('b', change(null, '1'), 3);
    expect(shown(node)).toEqual([['b', null, 3]]);
    const waiting = await open({ waitMs: 5 });
    for (const key of ['c', 'a', 'b']) waiting.process(key, change(key), 1);
    waiting.process('z', change('z'), 6);
    expect(shown(waiting)).toEqual([
      ['a', 'a', 1],
      ['b', 'b', 1],
      ['c', 'c', 1],
    ]);
  });
});

describe('a full buffer', () => {
  test('lets the oldest go early, by count', async () => {
    const node = await open({ waitMs: 1000, recordsMax: 2 });
    for (const [at, key] of ['a', 'b', 'c'].entries()) node.process(key, change(key), at);
    expect(shown(node)).toEqual([['a', 'a', 0]]);
  });

  test('lets the oldest go early, by bytes, and counts what a newer value adds', async () => {
    const node = await open({ waitMs: 1000, bytesMax: 100 });
    node.process('a', change('x'), 0);
    node.process('b', change('x'), 1);
    expect(shown(node)).toEqual([]);
    node.process('b', change('x'.repeat(80), 'x'), 2);
    expect(shown(node)).toEqual([
      ['a', 'x', 0],
      ['b', 'x'.repeat(80), 2],
    ]);
  });

  test('fails where nothing may go early, and says by how much', async () => {
    const node = await open({ waitMs: 1000, recordsMax: 1, onFull: 'fail' });
    node.process('a', change('x'), 0);
    expect(() => node.process('b', change('x'), 1)).toThrow(
      expect.objectContaining({ code: 'ERR_BUFFER_FULL', message: expect.stringMatching(/holds 2 records, recordsMax is 1/) }),
    );
  });
});

describe('the bytes of a buffered row', () => {
  const row: BufferedRow = {
    prior: '',
    old: '',
    value: '+1',
    bufferTime: 10,
    timestamp: 1,
    headers: createHeaders([['h', Buffer.from('1')]]),
    source: { topic: 'in', partition: 0, offset: 0 },
  };
  // Recorded from Kafka Streams.
  const recorded = '0000000000000001000000000000000000000002696e00000000000000010000000168000000013100000000fffffffe000000022b31000000000000000a';

  test('are those of Kafka Streams, both ways', () => {
    expect(Buffer.from(rows.serialize(row as never, info) as Uint8Array).toString('hex')).toBe(recorded);
    const read = rows.deserialize(Buffer.from(recorded, 'hex'), info) as BufferedRow;
    expect({ ...read, headers: [...read.headers].map(([name, value]) => [name, String(value)]) }).toEqual({ ...row, headers: [['h', '1']] });
  });

  test.each([
    ['a delete below a timer', { ...row, value: null, old: 'o', source: undefined, headers: noHeaders }],
    ['nothing before', { ...row, prior: null, old: null, headers: noHeaders }],
  ])('survive the way there and back: %s', (_what, given) => {
    expect(rows.deserialize(rows.serialize(given as never, info) as Uint8Array, info)).toEqual(given);
  });

  test('that end too early name the store to rebuild', () => {
    expect(() => rows.deserialize(Buffer.from(recorded, 'hex').subarray(0, 30), info)).toThrow(expect.objectContaining({ code: 'ERR_STORE_CORRUPT' }));
  });
});

test('bytes that wait are the buffer’s own, keys and values: the batch they came in is used again meanwhile', async () => {
  const bytes = serde.bytes() as never;
  const node = await LoneNode.open(
    suppressOperator({
      store: 'buffer',
      key: bytes,
      value: bytes,
      until: 'time',
      waitMs: 10,
      recordsMax: Number.POSITIVE_INFINITY,
      bytesMax: Number.POSITIVE_INFINITY,
      onFull: 'emit',
    }),
    { ...spec, key: bytes, value: bufferedRowSerde(bytes) },
  );
  const frame = Buffer.from('ab');
  node.process(frame.subarray(0, 1), new ChangeCell().withPrior(frame.subarray(1), null), 0);
  frame.fill('?');
  node.process(Buffer.from('z'), new ChangeCell().withPrior(Buffer.from('y'), null), 10);
  expect(node.take().map(({ key, value }) => [String(key), String((value as { value: unknown }).value)])).toEqual([['a', 'b']]);
});
