// Records as processors see them: immutable, with their time and headers. One object per record that reaches a processor.
import { MillraceError, type RecordHeaders } from '@millrace/core';
import type { FixedKeyRecord, StreamRecord } from '../processor.ts';

export class DataRecord<K, V> implements StreamRecord<K, V> {
  readonly key: K;
  readonly value: V;
  readonly timestamp: number;
  readonly headers: RecordHeaders;

  constructor(key: K, value: V, timestamp: number, headers: RecordHeaders) {
    this.key = key;
    this.value = value;
    this.timestamp = timestamp;
    this.headers = headers;
  }

  withKey<K2>(key: K2): DataRecord<K2, V> {
    return new DataRecord(key, this.value, this.timestamp, this.headers);
  }
  withValue<V2>(value: V2): DataRecord<K, V2> {
    return new DataRecord(this.key, value, this.timestamp, this.headers);
  }
  withTimestamp(timestamp: number): DataRecord<K, V> {
    return new DataRecord(this.key, this.value, eventTime(timestamp), this.headers);
  }
  withHeaders(headers: RecordHeaders): DataRecord<K, V> {
    return new DataRecord(this.key, this.value, this.timestamp, headers);
  }
}

/** Made by the operator and by itself only, so its key is always one that came in. */
export class KeptKeyRecord<K, V> implements FixedKeyRecord<K, V> {
  readonly '~fixedKey' = true;
  readonly key: K;
  readonly value: V;
  readonly timestamp: number;
  readonly headers: RecordHeaders;

  constructor(key: K, value: V, timestamp: number, headers: RecordHeaders) {
    this.key = key;
    this.value = value;
    this.timestamp = timestamp;
    this.headers = headers;
  }

  withValue<V2>(value: V2): KeptKeyRecord<K, V2> {
    return new KeptKeyRecord(this.key, value, this.timestamp, this.headers);
  }
  withTimestamp(timestamp: number): KeptKeyRecord<K, V> {
    return new KeptKeyRecord(this.key, this.value, eventTime(timestamp), this.headers);
  }
  withHeaders(headers: RecordHeaders): KeptKeyRecord<K, V> {
    return new KeptKeyRecord(this.key, this.value, this.timestamp, headers);
  }
}

/** Throws ERR_INVALID_TIMESTAMP for what is no time of a record. */
export function eventTime(timestamp: number): number {
  if (Number.isSafeInteger(timestamp) && timestamp >= 0) return timestamp;
  throw new MillraceError('ERR_INVALID_TIMESTAMP', `A record cannot have the timestamp ${timestamp}. It is a whole number of milliseconds since 1970, from 0.`);
}
