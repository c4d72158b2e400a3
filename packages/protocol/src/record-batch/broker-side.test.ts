// Control batches, append checks and the broker's own changes to a batch.
import { createHeaders, noHeaders } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { COMPRESSIONS } from '../compression/registry.ts';
import { crc32c } from '../crc32c.ts';
import { ERROR_CODES } from '../errors-table.ts';
import { setMaxTimestamp, stampLogAppendTime } from './append-time.ts';
import type { SealOptions } from './batch-builder.ts';
import { BatchPool } from './batch-pool.ts';
import { type AppendRules, type AppendVerdict, checkBatchForAppend } from './check-append.ts';
import { encodeControlBatch, patchBaseOffset, readControlMarker } from './control-batch.ts';
import { AT_ATTRIBUTES, AT_BASE_SEQUENCE, AT_COUNT, AT_CRC, AT_LAST_OFFSET_DELTA, AT_MAGIC, AT_MAX_TIMESTAMP } from './layout.ts';
import { readBatches } from './read-batches.ts';
import { RecordReader } from './record-reader.ts';
import type { RecordBatchView } from './view.ts';

const pool = new BatchPool();
const PLAIN: SealOptions = { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false };
const RULES: AppendRules = { batchBytesMax: 1_048_588, keysRequired: false, timestampMin: 0, timestampMax: 10_000, logAppendTime: false };

function build(records: readonly { readonly key: string | null; readonly at?: number; readonly header?: string }[], seal: SealOptions = PLAIN): Buffer {
  const builder = pool.take();
  for (const record of records) {
    const key = record.key === null ? null : Buffer.from(record.key);
    builder.appendText(record.at ?? 5, key, 0, key?.length ?? 0, 'value', record.header === undefined ? noHeaders : createHeaders([[record.header, 'x']]));
  }
  const bytes = Buffer.from(builder.seal(seal));
  builder.release();
  return bytes;
}
const reseal = (bytes: Buffer): Buffer => {
  bytes.writeUInt32BE(crc32c(bytes, AT_ATTRIBUTES, bytes.length), AT_CRC);
  return bytes;
};
const check = (bytes: Buffer, rules: Partial<AppendRules> = {}): AppendVerdict => checkBatchForAppend(bytes, 0, bytes.length, { ...RULES, ...rules });
const one = (bytes: Buffer): RecordBatchView => readBatches(bytes, 0, bytes.length, { checkCrc: true })[0] as RecordBatchView;

function expectRefused(verdict: AppendVerdict, name: keyof typeof ERROR_CODES, recordIndex?: number): void {
  expect(verdict).toMatchObject({ kind: 'refused', errorCode: ERROR_CODES[name], recordIndex });
}

describe('transaction markers', () => {
  test.each(['abort', 'commit'] as const)('%s: one record in a control batch with the producer’s id and epoch and no sequence', (type) => {
    const bytes = encodeControlBatch({ type, producerId: 11, producerEpoch: 3, coordinatorEpoch: 42, timestamp: 99, baseOffset: 1000, leaderEpoch: 2 });
    const view = one(bytes);
    expect(view).toMatchObject({
      control: true,
      transactional: true,
      producerId: 11,
      producerEpoch: 3,
      baseSequence: -1,
      count: 1,
      baseOffset: 1000,
      leaderEpoch: 2,
    });
    expect(view.attributes).toBe(0x30);
    expect(readControlMarker(view)).toEqual({ type, coordinatorEpoch: 42 });
    expect(view.maxTimestamp).toBe(99);
  });

  test('the bytes are Kafka’s: key 0000 0001, value 0000 0000002a', () => {
    const reader = new RecordReader().reset(one(encodeControlBatch({ type: 'commit', producerId: 1, producerEpoch: 0, coordinatorEpoch: 42, timestamp: 0 })));
    reader.next();
    expect(reader.buffer.toString('hex', reader.keyStart, reader.keyStart + reader.keyLength)).toBe('00000001');
    expect(reader.buffer.toString('hex', reader.valueStart, reader.valueStart + reader.valueLength)).toBe('00000000002a');
  });

  test('a marker of a kind we do not know is not mistaken for an end', () => {
    const bytes = encodeControlBatch({ type: 'commit', producerId: 1, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 0 });
    const reader = new RecordReader().reset(one(bytes));
    reader.next();
    bytes.writeInt16BE(5, reader.keyStart + 2);
    expect(readControlMarker(one(reseal(bytes)))).toBeUndefined();
  });

  test('a control batch of another shape is damage (H32)', () => {
    const asControl = (bytes: Buffer): RecordBatchView => {
      bytes.writeInt16BE(0x30, AT_ATTRIBUTES);
      return one(reseal(bytes));
    };
    for (const bytes of [build([{ key: 'abcd' }, { key: 'abcd' }]), build([{ key: null }]), build([{ key: 'abc' }]), build([{ key: '\xff\xff' }])])
      expect(() => readControlMarker(asControl(bytes))).toThrow(expect.objectContaining({ code: 'ERR_RECORD_BATCH_CORRUPT' }));
    const shortValue = build([{ key: '\0\0\0\x01' }]);
    expect(() => readControlMarker(asControl(shortValue))).toThrow(/value of 5 bytes/);
  });
});

describe('what may be appended', () => {
  test('a whole batch of a producer', () => {
    const verdict = check(build([{ key: 'a', header: 'h' }, { key: null }], { producerId: 4, producerEpoch: 0, baseSequence: 0, transactional: true }));
    expect(verdict).toMatchObject({ kind: 'accepted', maxTimestamp: 5, view: { count: 2, producerId: 4 } });
  });

  test('a gzip batch, looked into', () => {
    expect(check(build([{ key: 'a' }], { ...PLAIN, compression: COMPRESSIONS.gzip }))).toMatchObject({ kind: 'accepted' });
    expectRefused(check(build([{ key: 'a' }, { key: null }], { ...PLAIN, compression: COMPRESSIONS.gzip }), { keysRequired: true }), 'INVALID_RECORD', 1);
  });

  test('a batch in a codec that is missing here is stored unopened, unless its records matter', () => {
    const bytes = build([{ key: 'a' }]);
    bytes.writeInt16BE(COMPRESSIONS.zstd, AT_ATTRIBUTES);
    reseal(bytes);
    expect(check(bytes)).toMatchObject({ kind: 'accepted' });
    expectRefused(check(bytes, { keysRequired: true }), 'UNSUPPORTED_COMPRESSION_TYPE');
    bytes.writeInt16BE(7, AT_ATTRIBUTES);
    expectRefused(check(reseal(bytes)), 'INVALID_RECORD');
  });

  test('not: two batches, none, a cut one, a spoiled one, an old one, a large one', () => {
    const good = build([{ key: 'a' }]);
    expectRefused(check(Buffer.concat([good, good])), 'INVALID_RECORD');
    expectRefused(check(Buffer.alloc(0)), 'CORRUPT_MESSAGE');
    expectRefused(check(good.subarray(0, -1)), 'CORRUPT_MESSAGE');
    const spoiled = Buffer.from(good);
    spoiled[good.length - 1] = 9;
    expectRefused(check(spoiled), 'CORRUPT_MESSAGE');
    const old = Buffer.from(good);
    old[AT_MAGIC] = 1;
    expectRefused(check(old), 'INVALID_RECORD');
    expectRefused(check(good, { batchBytesMax: good.length - 1 }), 'MESSAGE_TOO_LARGE');
  });

  test('not: counts that disagree with offset deltas, a base offset, control, a producer without a sequence', () => {
    const spoil = (change: (bytes: Buffer) => void): AppendVerdict => {
      const bytes = build([{ key: 'a' }, { key: 'b' }], { producerId: 4, producerEpoch: 0, baseSequence: 0, transactional: false });
      change(bytes);
      return check(reseal(bytes));
    };
    expectRefused(
      spoil((bytes) => bytes.writeInt32BE(5, AT_LAST_OFFSET_DELTA)),
      'INVALID_RECORD',
    );
    expectRefused(
      spoil((bytes) => bytes.writeInt32BE(0, AT_COUNT)),
      'INVALID_RECORD',
    );
    expectRefused(
      spoil((bytes) => patchBaseOffset(bytes, 0, 5, 0)),
      'INVALID_RECORD',
    );
    expectRefused(
      spoil((bytes) => bytes.writeInt16BE(0x20, AT_ATTRIBUTES)),
      'INVALID_RECORD',
    );
    expectRefused(
      spoil((bytes) => bytes.writeInt32BE(-1, AT_BASE_SEQUENCE)),
      'INVALID_RECORD',
    );
    expectRefused(
      spoil((bytes) => {
        bytes.writeInt32BE(2, AT_COUNT);
        bytes.writeInt32BE(3, AT_COUNT);
        bytes.writeInt32BE(2, AT_LAST_OFFSET_DELTA);
      }),
      'CORRUPT_MESSAGE',
    );
  });

  test('not: a record without a key in a compacted topic; the verdict says which', () => {
    expectRefused(check(build([{ key: 'a' }, { key: null }]), { keysRequired: true }), 'INVALID_RECORD', 1);
  });

  test('not: a timestamp outside the bounds, unless there is none or the broker sets it', () => {
    expectRefused(check(build([{ key: 'a' }, { key: 'a', at: 10_001 }])), 'INVALID_TIMESTAMP', 1);
    expect(check(build([{ key: 'a', at: -1 }]))).toMatchObject({ kind: 'accepted', maxTimestamp: -1 });
    expect(check(build([{ key: 'a', at: 10_001 }]), { logAppendTime: true })).toMatchObject({ kind: 'accepted' });
  });
});

describe('what the broker changes in a batch', () => {
  test('append time: bit, max timestamp and a right checksum; every record carries it', () => {
    const bytes = build([{ key: 'a', at: 5 }]);
    stampLogAppendTime(one(bytes), 777);
    const view = one(bytes);
    expect([view.logAppendTime, view.maxTimestamp]).toEqual([true, 777]);
    const reader = new RecordReader().reset(view);
    reader.next();
    expect(reader.timestamp).toBe(777);
  });

  test('a max timestamp that a client got wrong is found and put right', () => {
    const bytes = build([
      { key: 'a', at: 9 },
      { key: 'a', at: 100 },
    ]);
    bytes.writeBigInt64BE(9n, AT_MAX_TIMESTAMP);
    const verdict = check(reseal(bytes));
    expect(verdict).toMatchObject({ kind: 'accepted', maxTimestamp: 100 });
    if (verdict.kind === 'accepted') setMaxTimestamp(verdict.view, verdict.maxTimestamp);
    expect(one(bytes).maxTimestamp).toBe(100);
  });
});
