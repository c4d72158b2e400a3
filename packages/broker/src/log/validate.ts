// What a client's batch must look like before it may be appended, and the two header fields the broker puts right.
// Owns: the rules of protocol.md section 5.  Never: appends, knows producers.
// V1 uncompressed batches are walked record by record without allocating; compressed ones stay opaque except where a key is demanded.
import { MillraceError } from '@millrace/core';
import { crc32c, RecordBatchView, RecordReader, readBatches } from '@millrace/protocol';
import type { TopicConfig } from '../topics/topic-config.ts';
import { BATCH_HEADER, batchSizeAt, CRC_FROM, clearLogAppendTime, putCrc, setLogAppendTime, setMaxTimestamp } from './batch-header.ts';

const CORRUPT_MESSAGE = 2;
const MESSAGE_TOO_LARGE = 10;
const RECORD_LIST_TOO_LARGE = 18;
const INVALID_TIMESTAMP = 32;
const UNSUPPORTED_COMPRESSION_TYPE = 76;
const INVALID_RECORD = 87;
const COMPRESSION_LAST = 4;
const ZSTD = 4;

export interface BatchRefusal {
  readonly code: number;
  readonly message: string;
  /** Index of the record in the batch that is to blame; undefined: the batch. */
  readonly record?: number;
}
export type Validation = { readonly kind: 'sound'; readonly batch: RecordBatchView } | { readonly kind: 'refused'; readonly refusal: BatchRefusal };

const reader = new RecordReader();

/** Checks the records field of one partition of a Produce request. `zstdAllowed`: the request's version knows zstd. The batch may be changed in place. */
export function validateBatch(records: Buffer | null, config: TopicConfig, nowMs: number, zstdAllowed: boolean): Validation {
  if (records === null || records.length < BATCH_HEADER) return refused(INVALID_RECORD, 'the request holds no record batch for this partition');
  const magic = records[16] as number;
  if (magic !== 2) return refused(INVALID_RECORD, `the record batch has magic ${magic}; 2 is wanted`);
  const size = batchSizeAt(records, 0);
  if (size < records.length && size >= BATCH_HEADER) return refused(INVALID_RECORD, 'exactly one record batch per partition is wanted');
  if (size !== records.length) return refused(CORRUPT_MESSAGE, `the batch says ${size} bytes, ${records.length} were sent`);
  if (size > config.maxMessageBytes) return refused(MESSAGE_TOO_LARGE, `a batch of ${size} bytes is larger than max.message.bytes ${config.maxMessageBytes}`);
  if (size > config.segmentBytes) return refused(RECORD_LIST_TOO_LARGE, `a batch of ${size} bytes is larger than segment.bytes ${config.segmentBytes}`);
  try {
    const batch = readBatches(records, 0, records.length, { checkCrc: true })[0] as RecordBatchView;
    const refusal = headerRefusal(batch, zstdAllowed) ?? timeRefusal(batch, config, nowMs) ?? recordsRefusal(batch, config);
    return refusal !== undefined ? { kind: 'refused', refusal } : { kind: 'sound', batch: putRight(batch, config, nowMs) };
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    const code = error.where['kafkaCode'] === UNSUPPORTED_COMPRESSION_TYPE ? UNSUPPORTED_COMPRESSION_TYPE : CORRUPT_MESSAGE;
    return refused(code, error.message);
  }
}

function headerRefusal(batch: RecordBatchView, zstdAllowed: boolean): BatchRefusal | undefined {
  if (batch.baseOffset !== 0) return { code: INVALID_RECORD, message: `the base offset of a client is 0, not ${batch.baseOffset}` };
  if (batch.count < 1 || batch.count !== batch.lastOffset - batch.baseOffset + 1)
    return { code: INVALID_RECORD, message: `the batch counts ${batch.count} records, its last offset delta is ${batch.lastOffset - batch.baseOffset}` };
  if (batch.control) return { code: INVALID_RECORD, message: 'clients may not write control batches' };
  if (batch.producerId >= 0 && (batch.baseSequence < 0 || batch.producerEpoch < 0)) return { code: INVALID_RECORD, message: 'a producer id needs an epoch and a sequence' };
  if (batch.transactional && batch.producerId < 0) return { code: INVALID_RECORD, message: 'a transactional batch needs a producer id' };
  if (batch.compression > COMPRESSION_LAST) return { code: UNSUPPORTED_COMPRESSION_TYPE, message: `compression ${batch.compression} is unknown` };
  if (batch.compression === ZSTD && !zstdAllowed) return { code: UNSUPPORTED_COMPRESSION_TYPE, message: 'zstd needs Produce version 7' };
  return undefined;
}

function timeRefusal(batch: RecordBatchView, config: TopicConfig, nowMs: number): BatchRefusal | undefined {
  if (config.logAppendTime) return undefined;
  const latest = Math.max(batch.maxTimestamp, batch.baseTimestamp);
  if (latest > nowMs + config.timestampAfterMaxMs)
    return { code: INVALID_TIMESTAMP, message: `timestamp ${latest} is more than message.timestamp.after.max.ms (${config.timestampAfterMaxMs}) in the future` };
  if (batch.baseTimestamp >= 0 && batch.baseTimestamp < nowMs - config.timestampBeforeMaxMs)
    return { code: INVALID_TIMESTAMP, message: `timestamp ${batch.baseTimestamp} is more than message.timestamp.before.max.ms (${config.timestampBeforeMaxMs}) in the past` };
  return undefined;
}

/** Largest timestamp seen by the last walk; -1 when the batch was not walked. Saves a result object per batch. */
let walkedMaxTimestamp = -1;

function recordsRefusal(batch: RecordBatchView, config: TopicConfig): BatchRefusal | undefined {
  walkedMaxTimestamp = -1;
  if (batch.compression !== 0 && !config.compact) return undefined;
  reader.reset(batch);
  let index = 0;
  let latest = -1;
  while (reader.next()) {
    if (reader.offset !== index) return { code: INVALID_RECORD, message: `record ${index} has offset delta ${reader.offset}`, record: index };
    if (config.compact && reader.keyLength < 0) return { code: INVALID_RECORD, message: 'Compacted topic cannot accept message without key', record: index };
    if (reader.timestamp > latest) latest = reader.timestamp;
    index += 1;
  }
  walkedMaxTimestamp = latest;
  return undefined;
}

/** Stamps the batch for LogAppendTime, else puts a wrong largest timestamp or a forged append-time bit right; the CRC follows. */
function putRight(batch: RecordBatchView, config: TopicConfig, nowMs: number): RecordBatchView {
  const { buffer, start, end } = batch;
  if (config.logAppendTime) setLogAppendTime(buffer, start, nowMs);
  else {
    const wrongMax = walkedMaxTimestamp >= 0 && !batch.logAppendTime && walkedMaxTimestamp !== batch.maxTimestamp;
    if (!batch.logAppendTime && !wrongMax) return batch;
    if (batch.logAppendTime) clearLogAppendTime(buffer, start);
    if (wrongMax) setMaxTimestamp(buffer, start, walkedMaxTimestamp);
  }
  putCrc(buffer, start, crc32c(buffer, start + CRC_FROM, end));
  return new RecordBatchView(buffer, start, end);
}

function refused(code: number, message: string): Validation {
  return { kind: 'refused', refusal: { code, message } };
}
