import { createHeaders, type MillraceError, noHeaders, type RecordHeaders } from '@millrace/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COMPRESSIONS } from '../compression/registry.ts';
import { crc32c } from '../crc32c.ts';
import { writeInt64 } from '../writer.ts';
import type { BatchBuilder, SealOptions } from './batch-builder.ts';
import { BatchPool } from './batch-pool.ts';
import { patchBaseOffset } from './control-batch.ts';
import { EncodedHeaders } from './encoded-headers.ts';
import {
  AT_ATTRIBUTES,
  AT_BASE_OFFSET,
  AT_BASE_TIMESTAMP,
  AT_COUNT,
  AT_CRC,
  AT_LAST_OFFSET_DELTA,
  AT_LENGTH,
  AT_MAX_TIMESTAMP,
  BATCH_HEADER_BYTES,
} from './layout.ts';
import { readBatches } from './read-batches.ts';
import { RecordReader } from './record-reader.ts';
import { type RecordBatchView, sequenceAfter } from './view.ts';

interface Entry {
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | string | null;
  readonly headers: RecordHeaders;
}
interface Seen {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly (readonly [string, string | null])[];
}

const PLAIN: SealOptions = { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false };
const pool = new BatchPool({ initialBytes: 256, idleBytesMax: 1 << 20 });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function append(builder: BatchBuilder, entry: Entry): void {
  const { timestamp, key, value, headers } = entry;
  const keyEnd = key?.length ?? 0;
  if (typeof value === 'string') builder.appendText(timestamp, key, 0, keyEnd, value, headers);
  else builder.append(timestamp, key, 0, keyEnd, value, 0, value?.length ?? 0, headers);
}

function build(entries: readonly Entry[], seal: SealOptions = PLAIN): Buffer {
  const builder = pool.take();
  for (const entry of entries) append(builder, entry);
  const bytes = Buffer.from(builder.seal(seal));
  builder.release();
  return bytes;
}

function read(view: RecordBatchView, reader = new RecordReader()): Seen[] {
  const seen: Seen[] = [];
  for (reader.reset(view); reader.next(); ) {
    const { buffer, keyStart, keyLength, valueStart, valueLength } = reader;
    seen.push({
      offset: reader.offset,
      timestamp: reader.timestamp,
      key: keyLength < 0 ? null : hex(buffer.subarray(keyStart, keyStart + keyLength)),
      value: valueLength < 0 ? null : hex(buffer.subarray(valueStart, valueStart + valueLength)),
      headers: [...reader.headers()].map(([name, value]) => [name, value === null ? null : hex(value)]),
    });
  }
  return seen;
}

const expected = (entries: readonly Entry[], baseOffset = 0): Seen[] =>
  entries.map((entry, index) => ({
    offset: baseOffset + index,
    timestamp: entry.timestamp,
    key: entry.key === null ? null : hex(entry.key),
    value: entry.value === null ? null : hex(Buffer.from(entry.value as string)),
    headers: [...entry.headers].map(([name, value]) => [name, value === null ? null : hex(value)]),
  }));

function one(bytes: Buffer): RecordBatchView {
  const views = readBatches(bytes, 0, bytes.length, { checkCrc: true });
  expect(views).toHaveLength(1);
  return views[0] as RecordBatchView;
}

/** Makes the checksum right again after a test has changed bytes on purpose. */
function reseal(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(crc32c(bytes, AT_ATTRIBUTES, bytes.length), AT_CRC);
  return bytes;
}

function expectCorrupt(run: () => unknown): void {
  expect(run).toThrow(expect.objectContaining({ code: 'ERR_RECORD_BATCH_CORRUPT' }) as MillraceError);
}

const text = fc.string({ maxLength: 80, unit: 'binary' });
const someBytes = fc.oneof(
  fc.uint8Array({ maxLength: 90 }).map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: 60, max: 70 }).map((length) => Buffer.alloc(length, 5)),
  fc.integer({ min: 8180, max: 8200 }).map((length) => Buffer.alloc(length, 6)),
);
const headerLists = fc
  .array(fc.tuple(fc.string({ maxLength: 8 }), fc.option(fc.uint8Array({ maxLength: 8 }), { nil: null })), { maxLength: 4 })
  .map((list) => createHeaders(list));
const timestamps = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
  fc.integer({ min: -1, max: 200 }),
  fc.integer({ min: 0, max: 2 ** 52 }),
);
const entries = fc.record({
  timestamp: timestamps,
  key: fc.option(someBytes, { nil: null }),
  value: fc.option(fc.oneof(someBytes, text), { nil: null }),
  headers: fc.oneof(fc.constant(noHeaders), headerLists),
});

describe('what a builder wrote, a reader reads', () => {
  test('any records, in any number of batches behind one another, plain and compressed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(entries, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 3 }),
        fc.constantFrom(COMPRESSIONS.none, COMPRESSIONS.gzip, COMPRESSIONS.snappy, COMPRESSIONS.lz4),
        fc.nat(1_000_000),
        (batches, compression, firstOffset) => {
          let offset = firstOffset;
          const parts = batches.map((batch) => {
            const bytes = build(batch, { ...PLAIN, compression });
            patchBaseOffset(bytes, 0, offset, 4);
            offset += batch.length;
            return bytes;
          });
          const whole = Buffer.concat([Buffer.alloc(3), ...parts]);
          const views = readBatches(whole, 3, whole.length, { checkCrc: true });
          expect(views.map((view) => view.count)).toEqual(batches.map((batch) => batch.length));
          const reader = new RecordReader();
          let at = firstOffset;
          for (const [index, view] of views.entries()) {
            const batch = batches[index] as readonly Entry[];
            expect(view.baseOffset).toBe(at);
            expect(view.leaderEpoch).toBe(4);
            expect(view.compression).toBe(compression);
            expect(view.maxTimestamp).toBe(Math.max(...batch.map((entry) => entry.timestamp)));
            expect(read(view, reader)).toEqual(expected(batch, at));
            at = view.lastOffset + 1;
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test('more than 64 and more than 8,192 records: offset deltas of two and three bytes', () => {
    const many = Array.from(
      { length: 9000 },
      (_, index): Entry => ({ timestamp: index * 7, key: null, value: Buffer.from([index & 0xff]), headers: noHeaders }),
    );
    expect(read(one(build(many)))).toEqual(expected(many));
  });

  test('text whose length in bytes was guessed wrong, across every change of prefix size', () => {
    for (const length of [0, 1, 10, 30, 31, 32, 55, 60, 61, 62, 63, 64, 4085, 4090, 8170, 8180, 8190]) {
      for (const unit of ['a', 'é', '€', '😀', 'aé']) {
        const value = unit.repeat(length);
        const batch: Entry[] = [
          { timestamp: 5, key: Buffer.from('k'), value, headers: noHeaders },
          { timestamp: 6, key: null, value, headers: createHeaders([['h', 'v']]) },
        ];
        expect(read(one(build(batch)))).toEqual(expected(batch));
      }
    }
  });

  test('a lone surrogate becomes the replacement character, as everywhere in UTF-8', () => {
    const [record] = read(one(build([{ timestamp: 1, key: null, value: 'a\ud800b', headers: noHeaders }])));
    expect(Buffer.from(record?.value as string, 'hex').toString('utf8')).toBe('a\ufffdb');
  });

  test('a record goes over into another batch as one block', () => {
    const batch: Entry[] = [
      { timestamp: 5, key: Buffer.from('k'), value: 'text', headers: createHeaders([['h', 'v']]) },
      { timestamp: 6, key: null, value: null, headers: noHeaders },
    ];
    const reader = new RecordReader().reset(one(build(batch)));
    const builder = pool.take();
    while (reader.next()) builder.appendRecord(reader.timestamp + 100, reader);
    const copied = read(one(Buffer.from(builder.seal(PLAIN))));
    builder.release();
    expect(copied).toEqual(expected(batch.map((entry) => ({ ...entry, timestamp: entry.timestamp + 100 }))));
  });

  test('sizeBytes is the size of the batch', () => {
    const builder = pool.take();
    append(builder, { timestamp: 1, key: null, value: 'abc', headers: noHeaders });
    expect(builder.seal(PLAIN).length).toBe(builder.sizeBytes);
    expect(builder.count).toBe(1);
    builder.release();
  });
});

describe('producer state is set when the batch is sent', () => {
  test('sealing again with another epoch and sequence gives a valid batch of the same records', () => {
    const builder = pool.take();
    append(builder, { timestamp: 1, key: null, value: 'a', headers: noHeaders });
    builder.seal({ producerId: 9, producerEpoch: 1, baseSequence: 40, transactional: true });
    const view = one(Buffer.from(builder.seal({ producerId: 9, producerEpoch: 2, baseSequence: 0, transactional: true })));
    builder.release();
    expect(view).toMatchObject({ producerId: 9, producerEpoch: 2, baseSequence: 0, transactional: true, control: false, count: 1 });
    expect(read(view)).toHaveLength(1);
  });

  test('sequences wrap to 0 after 2^31-1, inside a batch too (H8)', () => {
    const four = Array.from({ length: 4 }, (): Entry => ({ timestamp: 1, key: null, value: 'a', headers: noHeaders }));
    const view = one(build(four, { producerId: 1, producerEpoch: 0, baseSequence: 2 ** 31 - 2, transactional: false }));
    expect(view.lastSequence).toBe(1);
    expect(sequenceAfter(2 ** 31 - 1, 1)).toBe(0);
  });

  test('an empty builder is not sealed', () => {
    const builder = pool.take();
    expect(() => builder.seal(PLAIN)).toThrow(/empty batch/);
    builder.release();
  });
});

describe('timestamps (H9)', () => {
  const batchOf = (...times: number[]): RecordBatchView => one(build(times.map((timestamp) => ({ timestamp, key: null, value: 'v', headers: noHeaders }))));

  test('the largest is found as a number, not as text', () => {
    expect(batchOf(0, 9, 10, 100).maxTimestamp).toBe(100);
    expect(batchOf(100, 10, 9, 0).maxTimestamp).toBe(100);
  });

  test('0 is 1970, not now', () => {
    const view = batchOf(0);
    expect([view.baseTimestamp, view.maxTimestamp]).toEqual([0, 0]);
    expect(read(view)[0]?.timestamp).toBe(0);
  });

  test('bigint, fractions, NaN and negative numbers are refused with an error that says so', () => {
    const builder = pool.take();
    for (const wrong of [5n, 1.5, Number.NaN, -2, 2 ** 53, '5', undefined]) {
      expect(() => builder.append(wrong as number, null, 0, 0, null, 0, 0, noHeaders)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_TIMESTAMP' }));
    }
    expect(builder.count).toBe(0);
    builder.release();
  });

  test('with log append time every record carries the broker’s time', () => {
    const bytes = build([{ timestamp: 5, key: null, value: 'v', headers: noHeaders }]);
    bytes.writeInt16BE(0x08, AT_ATTRIBUTES);
    writeInt64(bytes, AT_MAX_TIMESTAMP, 777);
    expect(read(one(reseal(bytes)))[0]?.timestamp).toBe(777);
  });

  test('one that leaves the safe range is damage (H32)', () => {
    const bytes = build([{ timestamp: 0, key: null, value: 'v', headers: noHeaders }]);
    bytes.writeBigInt64BE(2n ** 53n, AT_BASE_TIMESTAMP);
    expectCorrupt(() => one(reseal(bytes)));
    // A delta of 2^53-1 on a base of 2^52.
    const delta = build([{ timestamp: 0, key: null, value: Buffer.alloc(20), headers: noHeaders }]);
    writeInt64(delta, AT_BASE_TIMESTAMP, 2 ** 52);
    Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0x00, 0x01, 0x01, 0x00]).copy(delta, BATCH_HEADER_BYTES + 2);
    expectCorrupt(() => read(one(reseal(delta))));
  });
});

describe('compaction leaves its marks', () => {
  test('an empty batch says where to go on (H5)', () => {
    const bytes = build([{ timestamp: 5, key: null, value: 'v', headers: noHeaders }]).subarray(0, BATCH_HEADER_BYTES);
    bytes.writeInt32BE(BATCH_HEADER_BYTES - 12, AT_LENGTH);
    bytes.writeInt32BE(0, AT_COUNT);
    bytes.writeInt32BE(999, AT_LAST_OFFSET_DELTA);
    patchBaseOffset(bytes, 0, 5000, 0);
    const view = one(reseal(bytes));
    expect([view.count, view.lastOffset]).toEqual([0, 5999]);
    expect(read(view)).toEqual([]);
  });

  test('a gap of a million offsets inside and behind a batch is crossed (H6)', () => {
    const bytes = build([{ timestamp: 5, key: null, value: Buffer.alloc(10), headers: noHeaders }]);
    bytes.writeInt32BE(1_000_000, AT_LAST_OFFSET_DELTA);
    const view = one(reseal(bytes));
    expect(view.lastOffset).toBe(1_000_000);
    expect(read(view).map((record) => record.offset)).toEqual([0]);
  });
});

describe('large answers', () => {
  test.each([200_000, 1_000_000])('%i records are read without recursion or spread (H7)', (count) => {
    const builder = new BatchPool({ initialBytes: 16 << 20 }).take();
    const value = Buffer.from('v');
    for (let index = 0; index < count; index++) builder.append(index, null, 0, 0, value, 0, 1, noHeaders);
    const bytes = builder.seal(PLAIN);
    const reader = new RecordReader();
    let records = 0;
    for (const view of readBatches(bytes, 0, bytes.length, { checkCrc: true })) for (reader.reset(view); reader.next(); ) records++;
    expect(records).toBe(count);
  });
});

describe('damage is found before a record is delivered', () => {
  const batch: Entry[] = [
    { timestamp: 5, key: Buffer.from('key'), value: 'value', headers: createHeaders([['h', 'v']]) },
    { timestamp: 6, key: null, value: null, headers: noHeaders },
  ];

  test('any flipped bit under the checksum, in the checksum or in the magic (H13)', () => {
    const good = build(batch);
    for (let at = AT_CRC - 1; at < good.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const bad = Buffer.from(good);
        bad[at] = (bad[at] as number) ^ (1 << bit);
        expectCorrupt(() => readBatches(bad, 0, bad.length, { checkCrc: true }));
      }
    }
  });

  test('a flipped bit in the length gives a bounds error, a checksum error or a cut tail, never a batch (H13)', () => {
    const good = build(batch);
    for (let at = AT_LENGTH; at < AT_LENGTH + 4; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const bad = Buffer.from(good);
        bad[at] = (bad[at] as number) ^ (1 << bit);
        let views: readonly RecordBatchView[] = [];
        try {
          views = readBatches(bad, 0, bad.length, { checkCrc: true });
        } catch (error) {
          expect((error as MillraceError).code).toBe('ERR_RECORD_BATCH_CORRUPT');
        }
        expect(views).toEqual([]);
      }
    }
  });

  test.each([1, 5, 30, 61, 120])('a last batch cut after %i bytes is left out, what stands before it is read (H14)', (kept) => {
    const whole = build([{ timestamp: 1, key: null, value: Buffer.alloc(100), headers: noHeaders }]);
    const cut = Buffer.concat([whole, whole.subarray(0, kept)]);
    const views = readBatches(cut, 0, cut.length, { checkCrc: true });
    expect(views).toHaveLength(1);
    expect(views[0]?.end).toBe(whole.length);
  });

  test('a cut first batch gives nothing, not an error', () => {
    const whole = build(batch);
    expect(readBatches(whole, 0, whole.length - 1, { checkCrc: true })).toEqual([]);
  });

  test('old formats are named', () => {
    const bytes = build(batch);
    bytes[16] = 1;
    expect(() => readBatches(bytes, 0, bytes.length, { checkCrc: true })).toThrow(/magic 1/);
  });

  test.each([-1, -0x8000_0000, 0x7fff_ffff, 3, 1])('a record count of %i is refused (H32)', (count) => {
    const bytes = build(batch);
    bytes.writeInt32BE(count, AT_COUNT);
    if (count > 0) bytes.writeInt32BE(count - 1, AT_LAST_OFFSET_DELTA);
    reseal(bytes);
    expectCorrupt(() => read(one(bytes)));
  });

  test('header numbers that cannot be are refused', () => {
    for (const spoil of [
      (bytes: Buffer) => bytes.writeInt32BE(-2, AT_LAST_OFFSET_DELTA),
      (bytes: Buffer) => bytes.writeInt32BE(0, AT_LAST_OFFSET_DELTA),
      (bytes: Buffer) => bytes.writeBigInt64BE(-5n, AT_BASE_OFFSET),
      (bytes: Buffer) => bytes.writeBigInt64BE(2n ** 53n - 1n, AT_BASE_OFFSET),
      (bytes: Buffer) => bytes.writeBigInt64BE(2n ** 62n, AT_MAX_TIMESTAMP),
      (bytes: Buffer) => bytes.writeBigInt64BE(2n ** 62n, 43),
    ]) {
      const bytes = build(batch);
      spoil(bytes);
      expectCorrupt(() => one(reseal(bytes)));
    }
  });

  // A record by hand: [length, attributes, timestamp delta, offset delta, key length, value length, header count, …].
  const byHand = (count: number, ...body: number[]): Buffer => {
    const bytes = Buffer.concat([build(batch).subarray(0, BATCH_HEADER_BYTES), Buffer.from(body)]);
    bytes.writeInt32BE(bytes.length - 12, AT_LENGTH);
    bytes.writeInt32BE(count, AT_COUNT);
    bytes.writeInt32BE(count - 1, AT_LAST_OFFSET_DELTA);
    return reseal(bytes);
  };

  test('the smallest record is read', () => {
    expect(read(one(byHand(1, 12, 0, 0, 0, 1, 1, 0)))).toMatchObject([{ key: null, value: null, offset: 0 }]);
  });

  test.each<[string, number[]]>([
    ['a record length past the batch', [14, 0, 0, 0, 1, 1, 0]],
    ['a record length below the smallest', [10, 0, 0, 0, 1, 1]],
    ['a negative record length', [13, 0, 0, 0, 1, 1, 0]],
    ['a record length of 2^31-1', [0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 1, 1, 0]],
    ['a key length past the record', [12, 0, 0, 0, 4, 1, 0]],
    ['a key length of -2', [12, 0, 0, 0, 3, 1, 0]],
    ['a key length of 2^31-1', [20, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1, 0]],
    ['a value length past the record', [12, 0, 0, 0, 1, 4, 0]],
    ['a value length of -2', [12, 0, 0, 0, 1, 3, 0]],
    ['a header count that cannot fit', [14, 0, 0, 0, 1, 1, 2, 0]],
    ['a header count of 10^9', [22, 0, 0, 0, 1, 1, 0x80, 0xa8, 0xd6, 0xb9, 0x07, 0]],
    ['a negative header count', [12, 0, 0, 0, 1, 1, 1]],
    ['a byte too many in a record', [14, 0, 0, 0, 1, 1, 0, 0]],
    ['an offset delta below the first', [12, 0, 0, 1, 1, 1, 0]],
    ['an offset delta past the last', [12, 0, 0, 2, 1, 1, 0]],
    ['an offset delta of more than 32 bits', [22, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 1, 0, 0]],
    ['a varint of six bytes', [24, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 1, 1, 0, 0]],
    ['a timestamp delta of eleven bytes', [34, 0, ...Array(10).fill(0x80), 0, 0, 1, 1, 0, 0, 0]],
    ['bytes behind the last record', [12, 0, 0, 0, 1, 1, 0, 0]],
  ])('%s is refused (H28, H32)', (_what, body) => {
    expectCorrupt(() => read(one(byHand(1, ...body))));
  });

  test('the same offset delta twice is refused (H32)', () => {
    expectCorrupt(() => read(one(byHand(2, 12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 0, 1, 1, 0))));
  });

  test('headers that do not parse are refused when asked for, and by the check', () => {
    const view = one(byHand(1, 16, 0, 0, 0, 1, 1, 2, 9, 9));
    expectCorrupt(() => {
      const reader = new RecordReader().reset(view);
      reader.next();
      reader.headers();
    });
    expectCorrupt(() => {
      const reader = new RecordReader().reset(view);
      reader.next();
      reader.checkHeaders();
    });
  });

  test('random bytes behind a valid header never give anything but a typed error or whole records', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (body, count) => {
        try {
          read(one(byHand(count, ...body)));
        } catch (error) {
          expect((error as MillraceError).code, String(error)).toBe('ERR_RECORD_BATCH_CORRUPT');
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('headers', () => {
  test('stay encoded until somebody looks, and outlive the frame they came in', () => {
    const bytes = build([
      {
        timestamp: 1,
        key: null,
        value: null,
        headers: createHeaders([
          ['a', 'x'],
          ['a', 'y'],
          ['b', null],
        ]),
      },
    ]);
    const reader = new RecordReader().reset(one(bytes));
    reader.next();
    const headers = reader.headers();
    expect(headers).toBeInstanceOf(EncodedHeaders);
    bytes.fill(0);
    expect(headers.size).toBe(3);
    expect(headers.text('a')).toBe('y');
    expect(headers.get('b')).toBeUndefined();
    expect([...headers.with('c', 'z')].map(([name]) => name)).toEqual(['a', 'a', 'b', 'c']);
    expect([...headers.without('a')].map(([name]) => name)).toEqual(['b']);
  });

  test('a record without headers gives the one empty value', () => {
    const reader = new RecordReader().reset(one(build([{ timestamp: 1, key: null, value: null, headers: noHeaders }])));
    reader.next();
    expect(reader.headers()).toBe(noHeaders);
  });
});

describe('the pool', () => {
  test('gives a released buffer out again and keeps no more than its bound', () => {
    const small = new BatchPool({ initialBytes: 1024, idleBytesMax: 2048 });
    const builders = [small.take(), small.take(), small.take()];
    for (const builder of builders) builder.release();
    expect(small.idleBytes).toBe(2048);
    small.take();
    expect(small.idleBytes).toBe(1024);
  });

  test('a released builder holds nothing, releasing twice changes nothing, and appending to it is refused', () => {
    const small = new BatchPool({ initialBytes: 1024 });
    const builder = small.take();
    builder.release();
    builder.release();
    expect(small.idleBytes).toBe(1024);
    expect(builder.capacityBytes).toBe(0);
    expect(() => builder.append(1, null, 0, 0, null, 0, 0, noHeaders)).toThrow(/after release/);
  });
});
