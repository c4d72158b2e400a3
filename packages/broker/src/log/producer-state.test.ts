import { describe, expect, test } from 'vitest';
import { appendSpec, clientBatch, marker, openLog, viewOf } from '../testing/log-fixture.ts';
import type { AppendOutcome } from './partition-log.ts';

const one = (value: string) => [['k', value]] as const;
const send = (log: Parameters<typeof appendSpec>[0], sequence: number, extra: object = {}): AppendOutcome =>
  appendSpec(log, { records: one('v'), producerId: 1, sequence, ...extra });

describe('sequences', () => {
  test('each of the last five batches sent again is answered with its first offset; an older one is out of order', () => {
    const { log } = openLog();
    for (let sequence = 0; sequence < 7; sequence++) send(log, sequence);
    for (let sequence = 2; sequence < 7; sequence++) expect(send(log, sequence)).toMatchObject({ kind: 'duplicate', baseOffset: sequence });
    expect(send(log, 1)).toMatchObject({ kind: 'refused', code: 45 });
    expect(log.logEnd).toBe(7);
  });

  test('a gap is refused and nothing is appended', () => {
    const { log } = openLog();
    send(log, 0);
    expect(send(log, 2)).toMatchObject({ kind: 'refused', code: 45 });
    expect(send(log, 1)).toMatchObject({ kind: 'appended', baseOffset: 1 });
  });

  test('a batch that begins like a known one but ends elsewhere is no duplicate', () => {
    const { log } = openLog();
    appendSpec(log, {
      records: [
        ['k', 'a'],
        ['k', 'b'],
      ],
      producerId: 1,
    });
    expect(send(log, 0)).toMatchObject({ kind: 'refused', code: 45 });
  });

  test('an unknown producer may begin anywhere', () => {
    const { log } = openLog();
    expect(send(log, 41)).toMatchObject({ kind: 'appended' });
    expect(send(log, 42)).toMatchObject({ kind: 'appended' });
  });

  test('where every transaction has its own epoch, a producer that is new here begins at 0, also after a marker', () => {
    const { log } = openLog();
    const at = (baseSequence: number, epoch: number) => {
      const batch = { records: one('v'), producerId: 1, epoch, sequence: baseSequence, transactional: true } as const;
      return log.append(viewOf(clientBatch(batch)), 0, true, true);
    };
    expect(at(3, 0)).toMatchObject({ kind: 'refused', code: 45 });
    expect(at(0, 0)).toMatchObject({ kind: 'appended' });
    log.appendMarker(marker(1, true, 1), 0);
    expect(at(1, 1)).toMatchObject({ kind: 'refused', code: 45 });
    expect(at(1, 0)).toMatchObject({ kind: 'refused', code: 47 });
    expect(at(0, 1)).toMatchObject({ kind: 'appended' });
  });

  test('sequences wrap to 0 after 2^31-1, between batches and inside one', () => {
    const { log } = openLog();
    appendSpec(log, { records: Array.from({ length: 4 }, () => ['k', 'v'] as const), producerId: 1, sequence: 0x7fff_fffe });
    expect(send(log, 2)).toMatchObject({ kind: 'appended', baseOffset: 4 });
    const other = openLog().log;
    send(other, 0x7fff_ffff);
    expect(send(other, 0)).toMatchObject({ kind: 'appended', baseOffset: 1 });
  });
});

describe('epochs', () => {
  test('an older epoch is refused with INVALID_PRODUCER_EPOCH', () => {
    const { log } = openLog();
    send(log, 0, { epoch: 3 });
    expect(send(log, 1, { epoch: 2 })).toMatchObject({ kind: 'refused', code: 47 });
  });

  test('a newer epoch begins at sequence 0 and clears the window', () => {
    const { log } = openLog();
    send(log, 0);
    send(log, 1);
    expect(send(log, 2, { epoch: 1 })).toMatchObject({ kind: 'refused', code: 45 });
    expect(send(log, 0, { epoch: 1 })).toMatchObject({ kind: 'appended', baseOffset: 2 });
    expect(send(log, 1)).toMatchObject({ kind: 'refused', code: 47 });
  });

  test('a marker with a newer epoch fences the old one', () => {
    const { log } = openLog();
    send(log, 0, { transactional: true });
    log.appendMarker(marker(1, false, 1), 1000);
    expect(send(log, 1, { transactional: true })).toMatchObject({ kind: 'refused', code: 47 });
    expect(send(log, 0, { transactional: true, epoch: 1 })).toMatchObject({ kind: 'appended' });
  });

  test('after a marker of the same epoch the sequence goes on', () => {
    const { log } = openLog();
    send(log, 0, { transactional: true });
    log.appendMarker(marker(1, true), 1000);
    expect(send(log, 1, { transactional: true })).toMatchObject({ kind: 'appended', baseOffset: 2 });
  });
});

test('a plain batch while the producer has a transaction open here is refused', () => {
  const { log } = openLog();
  send(log, 0, { transactional: true });
  expect(send(log, 1)).toMatchObject({ kind: 'refused', code: 48 });
});

test('an idle producer is forgotten, one with an open transaction is not', () => {
  const { log } = openLog();
  appendSpec(log, { records: one('v'), producerId: 1 }, 1000);
  appendSpec(log, { records: one('v'), producerId: 2, transactional: true }, 1000);
  log.expireProducers(2000);
  expect(log.producers.map(({ producerId }) => producerId)).toEqual([2]);
  expect(appendSpec(log, { records: one('v'), producerId: 1, sequence: 9 })).toMatchObject({ kind: 'appended' });
});
