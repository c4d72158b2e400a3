// What a client's batch must be before it may be appended, as this topic is configured, and the header fields the broker puts right.
// Owns: how topic settings become append rules.  Never: appends, knows producers. The rules about bytes are the protocol package's.
// V1 uncompressed batches are walked record by record without allocating; compressed ones stay opaque except where keys are demanded or the
// topic's `compression.type` is another one.
import { MillraceError } from '@millrace/core';
import { type AppendRules, checkBatchForAppend, ERROR_CODES, hasCodec, RecordBatchView, setMaxTimestamp, stampLogAppendTime } from '@millrace/protocol';
import type { TopicConfig } from '../topics/topic-config.ts';
import { clearLogAppendTime } from './batch-header.ts';
import { recompress } from './recompress.ts';

const ZSTD = 4;

export interface BatchRefusal {
  readonly code: number;
  readonly message: string;
  /** Index of the record in the batch that is to blame; undefined: the batch. */
  readonly record: number | undefined;
}
export type Validation = { readonly kind: 'sound'; readonly batch: RecordBatchView } | { readonly kind: 'refused'; readonly refusal: BatchRefusal };

/** Checks the records field of one partition of a Produce request; the batch may be changed in place. `zstdAllowed`: the request's version knows zstd. */
export function validateBatch(records: Buffer | null, config: TopicConfig, nowMs: number, zstdAllowed: boolean): Validation {
  if (records === null || records.length === 0) return refused(ERROR_CODES.INVALID_RECORD, 'the request holds no record batch for this partition');
  let verdict = checkBatchForAppend(records, 0, records.length, rulesOf(config, nowMs));
  if (verdict.kind === 'accepted' && verdict.view.logAppendTime && !config.logAppendTime) {
    clearLogAppendTime(verdict.view); // the broker did not set these times: read them as the client's, and check them as such
    verdict = checkBatchForAppend(records, 0, records.length, rulesOf(config, nowMs));
  }
  if (verdict.kind === 'refused') return refused(verdict.errorCode, verdict.message, verdict.recordIndex);
  const { view, maxTimestamp } = verdict;
  if (view.sizeBytes > config.segmentBytes)
    return refused(ERROR_CODES.RECORD_LIST_TOO_LARGE, `a batch of ${view.sizeBytes} bytes is larger than segment.bytes ${config.segmentBytes}`);
  if (view.compression === ZSTD && !zstdAllowed) return refused(ERROR_CODES.UNSUPPORTED_COMPRESSION_TYPE, 'zstd needs Produce version 7');
  if (config.logAppendTime) stampLogAppendTime(view, nowMs);
  else if (maxTimestamp !== view.maxTimestamp) setMaxTimestamp(view, maxTimestamp);
  else return stored(view, config);
  return stored(new RecordBatchView(view.buffer, view.start, view.end), config);
}

/** The batch under the topic's codec. */
function stored(batch: RecordBatchView, config: TopicConfig): Validation {
  if (config.compression === undefined || config.compression === batch.compression) return { kind: 'sound', batch };
  if (!hasCodec(batch.compression))
    return refused(
      ERROR_CODES.UNSUPPORTED_COMPRESSION_TYPE,
      `the topic's compression.type asks for another codec, and this broker cannot unpack compression ${batch.compression}`,
    );
  try {
    const repacked = recompress(batch, config.compression);
    if (repacked.sizeBytes <= config.maxMessageBytes) return { kind: 'sound', batch: repacked };
    return refused(
      ERROR_CODES.MESSAGE_TOO_LARGE,
      `record batch of ${repacked.sizeBytes} bytes under compression.type; the topic takes ${config.maxMessageBytes}`,
    );
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    return refused(ERROR_CODES.CORRUPT_MESSAGE, error.message);
  }
}

function rulesOf(config: TopicConfig, nowMs: number): AppendRules {
  return {
    batchBytesMax: config.maxMessageBytes,
    keysRequired: config.compact,
    timestampMin: nowMs - config.timestampBeforeMaxMs,
    timestampMax: nowMs + config.timestampAfterMaxMs,
    logAppendTime: config.logAppendTime,
    compressedOpaque: config.compression === undefined,
  };
}

function refused(code: number, message: string, record?: number): Validation {
  return { kind: 'refused', refusal: { code, message, record } };
}
