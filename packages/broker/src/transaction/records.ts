// What the transaction coordinator writes to __transaction_state, as values and as bytes.
// Owns: the translation both ways.  Never: decides or changes state.
// Transactions are Kafka's own bytes (value version 1). The producer ids that are taken are a record of ours: Kafka keeps that
// number in its metadata log, which this broker has not; Kafka's readers skip keys of a version they do not know.
import { MillraceError, readSafeInteger, writeSafeInteger } from '@millrace/core';
import { decodeEmbedded, embeddedVersion, encodeEmbedded, TRANSACTION_STATUS, transactionLogKey, transactionLogValue } from '@millrace/protocol';
import type { InternalRecord } from '../internal-log.ts';
import type { TransactionState, TransactionStatus } from './state.ts';

export type TransactionRecord =
  | { readonly kind: 'transaction'; readonly transactionalId: string /** null: the id is forgotten. */; readonly value: TransactionState | null }
  | { readonly kind: 'producer-ids' /** The ids below are taken. */; readonly end: number };

const VALUE_VERSION = 1;
const PRODUCER_IDS_KEY = Buffer.from('MR', 'ascii');
const PRODUCER_IDS_BYTES = 8;
const PRODUCER_IDS_KEY_VERSION = embeddedVersion(PRODUCER_IDS_KEY);
const STATUS_NAMES: ReadonlyMap<number, TransactionStatus> = new Map(
  (Object.entries(TRANSACTION_STATUS) as [TransactionStatus, number][]).map(([name, number]) => [number, name]),
);

export function encodeTransactionRecord(record: TransactionRecord): InternalRecord {
  if (record.kind === 'producer-ids') {
    const value = Buffer.alloc(PRODUCER_IDS_BYTES);
    writeSafeInteger(record.end, value, 0);
    return { key: PRODUCER_IDS_KEY, value };
  }
  return {
    key: encodeEmbedded(transactionLogKey, 0, { transactionalId: record.transactionalId }),
    value: record.value === null ? null : encodeState(record.value),
  };
}

/** Undefined for keys that are not ours. Throws ERR_PROTOCOL for damaged bytes. */
export function decodeTransactionRecord({ key, value }: InternalRecord): TransactionRecord | undefined {
  const version = embeddedVersion(key);
  if (version === PRODUCER_IDS_KEY_VERSION) {
    if (value === null) return undefined;
    if (value.length !== PRODUCER_IDS_BYTES) throw new MillraceError('ERR_PROTOCOL', `the record of taken producer ids has ${value.length} bytes, not 8`, {});
    return { kind: 'producer-ids', end: readSafeInteger(value, 0) };
  }
  if (version !== 0) return undefined;
  const { transactionalId } = decodeEmbedded(transactionLogKey, key).value;
  return { kind: 'transaction', transactionalId, value: value === null ? null : decodeState(transactionalId, value) };
}

function encodeState(state: TransactionState): Buffer {
  return encodeEmbedded(transactionLogValue, VALUE_VERSION, {
    producerId: state.producerId,
    previousProducerId: state.previousProducerId,
    nextProducerId: state.nextProducerId,
    producerEpoch: state.producerEpoch,
    previousProducerEpoch: state.previousEpoch,
    transactionTimeoutMs: state.timeoutMs,
    transactionStatus: TRANSACTION_STATUS[state.status],
    transactionPartitions: state.partitions.size === 0 ? null : [...state.partitions].map(([topic, ids]) => ({ topic, partitionIds: [...ids] })),
    transactionLastUpdateTimestampMs: state.updatedAtMs,
    transactionStartTimestampMs: state.startedAtMs,
  });
}

function decodeState(transactionalId: string, bytes: Buffer): TransactionState {
  const { value } = decodeEmbedded(transactionLogValue, bytes);
  const status = STATUS_NAMES.get(value.transactionStatus);
  if (status === undefined)
    throw new MillraceError('ERR_PROTOCOL', `${transactionalId} has the transaction status ${value.transactionStatus}, which stands for nothing`, {
      transactionalId,
    });
  return {
    transactionalId,
    producerId: value.producerId,
    producerEpoch: value.producerEpoch,
    previousProducerId: value.previousProducerId,
    previousEpoch: value.previousProducerEpoch,
    nextProducerId: value.nextProducerId,
    timeoutMs: value.transactionTimeoutMs,
    status,
    partitions: new Map((value.transactionPartitions ?? []).map(({ topic, partitionIds }) => [topic, new Set(partitionIds)])),
    startedAtMs: value.transactionStartTimestampMs,
    updatedAtMs: value.transactionLastUpdateTimestampMs,
  };
}
