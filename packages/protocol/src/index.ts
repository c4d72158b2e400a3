// The public names of @millrace/protocol.
export { APIS, type ApiByKey, type ApiKey, api } from './apis.ts';
export type { CompressionCodec } from './compression/codec.ts';
export {
  COMPRESSIONS,
  type CompressionId,
  type CompressionName,
  compress,
  compressionName,
  decompress,
  hasCodec,
  registerCodec,
} from './compression/registry.ts';
export { type Crc32c, crc32c, crc32cPlain, useCrc32c } from './crc32c.ts';
export {
  consumerGroupCurrentKey,
  consumerGroupCurrentValue,
  consumerGroupEpochKey,
  consumerGroupEpochValue,
  consumerGroupMemberKey,
  consumerGroupMemberValue,
  consumerGroupTargetEpochKey,
  consumerGroupTargetEpochValue,
  consumerGroupTargetKey,
  consumerGroupTargetValue,
} from './embedded/consumer-group-records.ts';
export { consumerProtocolAssignment, consumerProtocolSubscription } from './embedded/consumer-protocol.ts';
export { type DecodedEmbedded, decodeEmbedded, type EmbeddedSchema, embeddedVersion, encodeEmbedded } from './embedded/embedded.ts';
export { groupMetadataKey, groupMetadataValue, offsetCommitKey, offsetCommitValue } from './embedded/group-records.ts';
export { TRANSACTION_STATUS, transactionLogKey, transactionLogValue } from './embedded/transaction-records.ts';
export { ERROR_CODES, isRetriableError, type KafkaError, type KafkaErrorName, kafkaError, kafkaErrorName } from './errors-table.ts';
export {
  correlationIdOf,
  type DecodedRequest,
  type DecodedResponse,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeRequestPieces,
  encodeResponse,
  encodeResponsePieces,
  type RequestHeader,
  type RequestIdentity,
} from './frame.ts';
export { NO_UUID, Reader } from './reader.ts';
export { setMaxTimestamp, stampLogAppendTime } from './record-batch/append-time.ts';
export { BatchBuilder, type SealOptions } from './record-batch/batch-builder.ts';
export { BatchPool, type BatchPoolOptions } from './record-batch/batch-pool.ts';
export { type AppendRules, type AppendVerdict, checkBatchForAppend } from './record-batch/check-append.ts';
export { type ControlBatch, type ControlMarker, encodeControlBatch, patchBaseOffset, readControlMarker } from './record-batch/control-batch.ts';
export { EncodedHeaders } from './record-batch/encoded-headers.ts';
export { BATCH_HEADER_BYTES } from './record-batch/layout.ts';
export { batchEndAt, type ReadBatchesOptions, readBatches } from './record-batch/read-batches.ts';
export { RecordReader } from './record-batch/record-reader.ts';
export { RecordBatchView, sequenceAfter } from './record-batch/view.ts';
export type { Api, Decoded, Encodable, Field, Fields, RecordsInput, RequestBody, RequestInput, ResponseBody, ResponseInput, VersionRange } from './schema.ts';
export { unsignedVarintSize, varintSize, varlongSize } from './varint.ts';
export { Writer } from './writer.ts';
