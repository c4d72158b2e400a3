import { COMPRESSIONS, crc32c, ERROR_CODES, RecordReader, readBatches, stampLogAppendTime } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { type BatchSpec, clientBatch, viewOf } from '../testing/log-fixture.ts';
import { parseTopicConfig } from '../topics/topic-config.ts';
import { type Validation, validateBatch } from './validate.ts';

const NOW = 1_000_000;
const three: BatchSpec = {
  records: [
    ['a', '1'],
    ['b', '2'],
    ['c', null],
  ],
  timestamps: [NOW - 1, NOW - 9, NOW - 5],
  producerId: 7,
  sequence: 3,
};
const validate = (bytes: Buffer, config: Record<string, string> = {}, nowMs = NOW): Validation => validateBatch(bytes, parseTopicConfig(config), nowMs, true);
const codeOf = (validation: Validation): number => (validation.kind === 'refused' ? validation.refusal.code : ERROR_CODES.NONE);

/** Records as the reader sees them; the checksum is checked. */
function records(validation: Validation): string[] {
  if (validation.kind === 'refused') return [`refused ${validation.refusal.message}`];
  const { buffer, start, end } = validation.batch;
  const reader = new RecordReader().reset(readBatches(buffer, start, end, { checkCrc: true })[0] as (typeof validation)['batch']);
  const found: string[] = [];
  while (reader.next())
    found.push(
      `${reader.offset}@${reader.timestamp}=${reader.valueLength < 0 ? null : reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength)}`,
    );
  return found;
}
const asSent = [`0@${NOW - 1}=1`, `1@${NOW - 9}=2`, `2@${NOW - 5}=null`];

describe('compression.type', () => {
  const codecs = ['gzip', 'snappy', 'lz4'] as const;
  test('producer keeps the very bytes, whatever the codec', () => {
    for (const name of ['none', ...codecs] as const) {
      const bytes = clientBatch({ ...three, compression: COMPRESSIONS[name] });
      const before = Buffer.from(bytes);
      const validation = validate(bytes);
      expect(validation.kind === 'sound' && validation.batch.buffer === bytes && bytes.equals(before), name).toBe(true);
    }
  });

  test('every other one stores the same records under its codec, from each codec, producer fields untouched', () => {
    for (const from of ['none', ...codecs] as const)
      for (const type of ['uncompressed', ...codecs] as const) {
        const validation = validate(clientBatch({ ...three, compression: COMPRESSIONS[from] }), { 'compression.type': type });
        expect(records(validation), `${from} to ${type}`).toEqual(asSent);
        const wanted = type === 'uncompressed' ? 0 : COMPRESSIONS[type];
        if (validation.kind === 'sound')
          expect(validation.batch, `${from} to ${type}`).toMatchObject({
            compression: wanted,
            producerId: 7,
            baseSequence: 3,
            maxTimestamp: NOW - 1,
            count: 3,
          });
      }
  });

  test('a batch that is too large once it is unpacked is refused', () => {
    const batch = clientBatch({ records: [['k', 'x'.repeat(5_000)]], timestamp: NOW, compression: COMPRESSIONS.gzip });
    const config = { 'compression.type': 'uncompressed', 'max.message.bytes': '1000' };
    expect(codeOf(validate(batch, config))).toBe(ERROR_CODES.MESSAGE_TOO_LARGE);
  });
});

describe('times', () => {
  test.each([
    ['before message.timestamp.before.max.ms', { 'message.timestamp.before.max.ms': '8' }, ERROR_CODES.INVALID_TIMESTAMP],
    ['within it', { 'message.timestamp.before.max.ms': '9' }, ERROR_CODES.NONE],
    ['with LogAppendTime whatever they are', { 'message.timestamp.before.max.ms': '8', 'message.timestamp.type': 'LogAppendTime' }, ERROR_CODES.NONE],
  ])('%s', (_, config: Record<string, string>, code) => {
    expect(codeOf(validate(clientBatch(three), config))).toBe(code);
  });

  test('after message.timestamp.after.max.ms are refused, the record named', () => {
    const validation = validate(clientBatch(three), { 'message.timestamp.after.max.ms': '100' }, NOW - 105);
    expect(validation).toMatchObject({ kind: 'refused', refusal: { code: ERROR_CODES.INVALID_TIMESTAMP, record: 0 } });
  });

  test('are the append time with LogAppendTime, compressed or not', () => {
    for (const compression of [0, COMPRESSIONS.lz4]) {
      const validation = validate(clientBatch({ ...three, compression }), { 'message.timestamp.type': 'LogAppendTime' });
      expect(records(validation).map((line) => line.slice(0, line.indexOf('=')))).toEqual([`0@${NOW}`, `1@${NOW}`, `2@${NOW}`]);
    }
  });

  test("marked as the broker's own by a client are checked and kept as the client's", () => {
    const bytes = clientBatch(three);
    stampLogAppendTime(viewOf(bytes), NOW + 10_000_000);
    expect(records(validate(bytes))).toEqual(asSent);
    const again = clientBatch(three);
    stampLogAppendTime(viewOf(again), NOW);
    expect(codeOf(validate(again, { 'message.timestamp.before.max.ms': '8' }))).toBe(ERROR_CODES.INVALID_TIMESTAMP);
  });
});

describe('sizes', () => {
  test('a batch above max.message.bytes, or above segment.bytes, is refused with the code that says which', () => {
    const batch = (): Buffer => clientBatch({ records: [['k', 'x'.repeat(2_000)]], timestamp: NOW });
    expect(codeOf(validate(batch(), { 'max.message.bytes': '2000' }))).toBe(ERROR_CODES.MESSAGE_TOO_LARGE);
    expect(codeOf(validate(batch(), { 'segment.bytes': '1024' }))).toBe(ERROR_CODES.RECORD_LIST_TOO_LARGE);
    expect(codeOf(validate(batch(), { 'max.message.bytes': String(batch().length) }))).toBe(ERROR_CODES.NONE);
  });
});

describe('a compressed batch, which is stored as it came', () => {
  /** Says so many records in its header; the checksum is right. */
  function claiming(count: number, compression = 1): Buffer {
    const batch = clientBatch({ records: [['k', 'v']], compression });
    batch.writeInt32BE(count - 1, 23);
    batch.writeInt32BE(count, 57);
    batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17);
    return batch;
  }

  test.each([1, 2, 3])(
    'of codec %i cannot claim more records than its bytes could hold: each would fill a segment and use up two thousand million offsets',
    (codec) => {
      const verdict = validateBatch(claiming(0x7fff_ffff, codec), parseTopicConfig({}), 1_000, true);
      expect(verdict).toMatchObject({ kind: 'refused', refusal: { code: 87 } });
    },
  );

  test('with very many small records is taken', () => {
    const records = Array.from({ length: 50_000 }, () => [null, null] as const);
    for (const compression of [1, 2, 3]) expect(validateBatch(clientBatch({ records, compression }), parseTopicConfig({}), 1_000, true).kind).toBe('sound');
  });
});
