// What a broker checks before it appends what a producer sent: pure, from bytes to a verdict.
// Owns: the rules about one batch.  Never: looks at producer state, topic existence or quotas; changes the bytes.
// Order matters to clients: size, checksum, shape, then records. Codes are Kafka's (errors-table.ts).
import { MillraceError } from '@millrace/core';
import { COMPRESSIONS, hasCodec } from '../compression/registry.ts';
import { crc32c } from '../crc32c.ts';
import { ERROR_CODES } from '../errors-table.ts';
import { AT_ATTRIBUTES, AT_COUNT, AT_CRC, AT_LAST_OFFSET_DELTA, AT_MAGIC, BATCH_HEADER_BYTES, MAGIC, RECORD_BYTES_MIN } from './layout.ts';
import { batchEndAt, readBatches } from './read-batches.ts';
import { DECOMPRESSED_BYTES_MAX, RecordReader } from './record-reader.ts';
import type { RecordBatchView } from './view.ts';

/** Deflate's most; lz4 makes 255 bytes of one, snappy about 21. */
const EXPANSION_MAX = 1_032;

export interface AppendRules {
  /** `max.message.bytes` of the topic. */
  readonly batchBytesMax: number;
  /** The topic is compacted: every record needs a key. */
  readonly keysRequired: boolean;
  /** Inclusive bounds of event time; records outside are refused. Not applied to -1 (no timestamp) nor with log append time. */
  readonly timestampMin: number;
  readonly timestampMax: number;
  /** The broker sets the time itself: bounds do not apply. */
  readonly logAppendTime: boolean;
  /** Take compressed batches as they are where no keys are required: a broker that stores them opaquely pays nothing for them. */
  readonly compressedOpaque?: boolean;
}

export type AppendVerdict =
  /** `maxTimestamp` is the true one; some clients write another into the header, which the log would then find records by (setMaxTimestamp). */
  | { readonly kind: 'accepted'; readonly view: RecordBatchView; readonly maxTimestamp: number }
  /** `recordIndex`: which record was at fault, where it is one (Produce v8 tells the client). */
  | { readonly kind: 'refused'; readonly errorCode: number; readonly message: string; readonly recordIndex: number | undefined };

/** Checks the records field of one partition of a Produce request: exactly one whole, undamaged batch that obeys `rules`. */
export function checkBatchForAppend(buffer: Buffer, start: number, end: number, rules: AppendRules): AppendVerdict {
  try {
    if (end - start > AT_MAGIC && buffer[start + AT_MAGIC] !== MAGIC)
      return refuse('INVALID_RECORD', `record batch with magic ${buffer[start + AT_MAGIC]}; only 2 is accepted`);
    const batchEnd = batchEndAt(buffer, start, end);
    if (batchEnd === undefined) return refuse('CORRUPT_MESSAGE', `record batch of more than the ${end - start} bytes that were sent`);
    if (batchEnd !== end) return refuse('INVALID_RECORD', 'more than one record batch for a partition');
    if (end - start > rules.batchBytesMax) return refuse('MESSAGE_TOO_LARGE', `record batch of ${end - start} bytes; the topic takes ${rules.batchBytesMax}`);
    const count = buffer.readInt32BE(start + AT_COUNT);
    const lastOffsetDelta = buffer.readInt32BE(start + AT_LAST_OFFSET_DELTA);
    // A reader takes this for damage; of a producer with a sound checksum it is a wrong batch.
    if (count - 1 !== lastOffsetDelta && crc32c(buffer, start + AT_ATTRIBUTES, end) === buffer.readUInt32BE(start + AT_CRC))
      return refuse('INVALID_RECORD', `record batch with count ${count} and last offset delta ${lastOffsetDelta}`);
    const view = readBatches(buffer, start, end, { checkCrc: true })[0] as RecordBatchView;
    return checkHeader(view) ?? checkRecords(view, rules);
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    return refuse('CORRUPT_MESSAGE', error.message);
  }
}

function checkHeader(view: RecordBatchView): AppendVerdict | undefined {
  const lastOffsetDelta = view.lastOffset - view.baseOffset;
  if (view.baseOffset !== 0) return refuse('INVALID_RECORD', `base offset ${view.baseOffset}; a producer sends 0`);
  if (view.count === 0 || view.count !== lastOffsetDelta + 1)
    return refuse('INVALID_RECORD', `record batch with count ${view.count} and last offset delta ${lastOffsetDelta}`);
  if (view.control) return refuse('INVALID_RECORD', 'control batches come from the broker alone');
  if (view.hasDeleteHorizon) return refuse('INVALID_RECORD', 'delete horizons come from the broker alone');
  if (view.producerId >= 0 && (view.baseSequence < 0 || view.producerEpoch < 0))
    return refuse('INVALID_RECORD', `producer ${view.producerId} with epoch ${view.producerEpoch} and base sequence ${view.baseSequence}`);
  if (view.producerId < 0 && view.transactional) return refuse('INVALID_RECORD', 'transactional batch without a producer id');
  if (view.compression !== COMPRESSIONS.none && view.count > recordsMax(view))
    return refuse('INVALID_RECORD', `${view.count} records cannot come out of ${view.sizeBytes - BATCH_HEADER_BYTES} compressed bytes`);
  if (!hasCodec(view.compression) && view.compression > 4) return refuse('INVALID_RECORD', `unknown compression ${view.compression}`);
  return undefined;
}

/** What a batch that nobody unpacks may claim: no codec but zstd makes more than `EXPANSION_MAX` bytes of one, and no reader of ours unpacks more than so many. */
function recordsMax(view: RecordBatchView): number {
  const packed = view.sizeBytes - BATCH_HEADER_BYTES;
  const unpackedMax = view.compression === COMPRESSIONS.zstd ? DECOMPRESSED_BYTES_MAX : Math.min(DECOMPRESSED_BYTES_MAX, packed * EXPANSION_MAX);
  return unpackedMax / RECORD_BYTES_MIN;
}

/** Records are walked even where the topic asks nothing of them: what is stored once is served forever. A codec we lack is stored opaquely. */
function checkRecords(view: RecordBatchView, rules: AppendRules): AppendVerdict {
  if (!hasCodec(view.compression) || (rules.compressedOpaque === true && view.compression !== 0 && !rules.keysRequired)) {
    if (rules.keysRequired) return refuse('UNSUPPORTED_COMPRESSION_TYPE', `keys of a batch with compression ${view.compression} cannot be checked here`);
    return outsideTime(view.maxTimestamp, rules)
      ? refuse('INVALID_TIMESTAMP', describeTime(view.maxTimestamp, rules))
      : { kind: 'accepted', view, maxTimestamp: view.maxTimestamp };
  }
  const reader = new RecordReader().reset(view);
  let maxTimestamp = -1;
  for (let index = 0; reader.next(); index++) {
    if (reader.offset !== index) return refuse('INVALID_RECORD', `record ${index} has offset delta ${reader.offset}`, index);
    if (reader.keyLength < 0 && rules.keysRequired) return refuse('INVALID_RECORD', 'the topic is compacted: a record without a key is refused', index);
    if (!view.logAppendTime && outsideTime(reader.timestamp, rules)) return refuse('INVALID_TIMESTAMP', describeTime(reader.timestamp, rules), index);
    if (reader.headerCount > 0) reader.checkHeaders();
    if (index === 0 || reader.timestamp > maxTimestamp) maxTimestamp = reader.timestamp;
  }
  return { kind: 'accepted', view, maxTimestamp: view.logAppendTime ? view.maxTimestamp : maxTimestamp };
}

function outsideTime(timestamp: number, rules: AppendRules): boolean {
  return !rules.logAppendTime && timestamp !== -1 && (timestamp < rules.timestampMin || timestamp > rules.timestampMax);
}
function describeTime(timestamp: number, rules: AppendRules): string {
  return `timestamp ${timestamp} is outside ${rules.timestampMin} … ${rules.timestampMax} (message.timestamp.before.max.ms, message.timestamp.after.max.ms)`;
}

function refuse(name: keyof typeof ERROR_CODES, message: string, recordIndex?: number): AppendVerdict {
  return { kind: 'refused', errorCode: ERROR_CODES[name], message, recordIndex };
}
