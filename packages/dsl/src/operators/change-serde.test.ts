import { noHeaders, type SerdeInfo, serde } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { ChangeCell } from '../change.ts';
import { changeSerde } from './change-serde.ts';

const info: SerdeInfo = { topic: 'groups-repartition', role: 'value', headers: noHeaders };
const changes = changeSerde(serde.string());
const write = (change: ChangeCell): string => Buffer.from(changes.serialize(change as never, info) ?? []).toString('latin1');
const read = (text: string): unknown => ({ ...(changes.deserialize(Buffer.from(text, 'latin1'), info) as ChangeCell) });
const code = (act: () => unknown): unknown => {
  try {
    return act();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
};

describe('a change as bytes', () => {
  test('holds what there is, and says so in its last byte', () => {
    expect(write(new ChangeCell().withoutPrior('new'))).toBe('new\x01');
    expect(write(new ChangeCell().withPrior('new', null))).toBe('new\x01');
    expect(write(new ChangeCell().withPrior(null, 'old'))).toBe('old\x00');
    expect(write(new ChangeCell().withPrior('new', 'old'))).toBe('\x06newold\x02');
  });

  test('comes back as it was, with lengths that take several bytes', () => {
    for (const length of [0, 63, 64, 127, 128, 8191, 8192, 100_000]) {
      const value = 'n'.repeat(length);
      expect(read(write(new ChangeCell().withPrior(value, 'o')))).toEqual({ kind: 'put', value, priorKind: 'present', prior: 'o', isLatest: true });
    }
    expect(read('new\x01')).toEqual({ kind: 'put', value: 'new', priorKind: 'notRead', prior: null, isLatest: true });
    expect(read('old\x00')).toEqual({ kind: 'delete', value: null, priorKind: 'present', prior: 'old', isLatest: true });
  });

  test('is read with the byte that newer writers put before the flag', () => {
    expect(read('old\x01\x03')).toEqual({ kind: 'delete', value: null, priorKind: 'present', prior: 'old', isLatest: true });
    expect(read('new\x00\x04')).toEqual({ kind: 'put', value: 'new', priorKind: 'notRead', prior: null, isLatest: true });
    expect(read('\x06newold\x01\x05')).toEqual({ kind: 'put', value: 'new', priorKind: 'present', prior: 'old', isLatest: true });
  });

  test.each(['', 'x\x06', '\x04', '\x05', '\x05ab\x02', '\x7fab\x02', '\x80\x80\x80\x80\x80\x80\x02'])('of foreign bytes %j is refused', (text) => {
    expect(code(() => read(text))).toBe('ERR_RECORD_UNDECODABLE');
  });

  test('with nothing in it cannot be written', () => {
    expect(code(() => write(new ChangeCell().withPrior(null, null)))).toBe('ERR_RECORD_UNENCODABLE');
  });
});
