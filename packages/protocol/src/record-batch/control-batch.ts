// Transaction markers: batches of one record that say how a producer's transaction ended in this partition.
// Owns: their layout.  Never: decides who may write one (the broker's transaction coordinator does).
// Key: int16 version 0, int16 type (0 abort, 1 commit). Value: int16 version 0, int32 coordinator epoch. Source: KIP-98.

import { noHeaders } from '@millrace/core';
import { crc32c } from '../crc32c.ts';
import { batchError } from '../wire-error.ts';
import { writeInt64 } from '../writer.ts';
import { BatchPool } from './batch-pool.ts';
import { AT_ATTRIBUTES, AT_BASE_OFFSET, AT_CRC, AT_LEADER_EPOCH, CONTROL_BIT } from './layout.ts';
import { RecordReader } from './record-reader.ts';
import type { RecordBatchView } from './view.ts';

export interface ControlMarker {
  readonly type: 'abort' | 'commit';
  readonly coordinatorEpoch: number;
}

export interface ControlBatch extends ControlMarker {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly timestamp: number;
  /** Offset in the log (0: set later with patchBaseOffset). */
  readonly baseOffset?: number;
  readonly leaderEpoch?: number;
}

const KEY_BYTES = 4;
const VALUE_BYTES = 6;
const pool = new BatchPool({ initialBytes: 256, idleBytesMax: 4096 });

/** A whole control batch in a buffer of its own. */
export function encodeControlBatch(batch: ControlBatch): Buffer {
  const marker = Buffer.alloc(KEY_BYTES + VALUE_BYTES);
  marker.writeInt16BE(batch.type === 'commit' ? 1 : 0, 2);
  marker.writeInt32BE(batch.coordinatorEpoch, KEY_BYTES + 2);
  const builder = pool.take();
  builder.append(batch.timestamp, marker, 0, KEY_BYTES, marker, KEY_BYTES, KEY_BYTES + VALUE_BYTES, noHeaders);
  const sealed = builder.seal({ producerId: batch.producerId, producerEpoch: batch.producerEpoch, baseSequence: -1, transactional: true });
  const bytes = Buffer.from(sealed);
  builder.release();
  bytes.writeInt16BE(bytes.readInt16BE(AT_ATTRIBUTES) | CONTROL_BIT, AT_ATTRIBUTES);
  bytes.writeUInt32BE(crc32c(bytes, AT_ATTRIBUTES, bytes.length), AT_CRC);
  patchBaseOffset(bytes, 0, batch.baseOffset ?? 0, batch.leaderEpoch ?? -1);
  return bytes;
}

/**
 * The marker in a control batch; undefined for a kind of control record that is newer than us and says nothing about transactions.
 * Throws ERR_RECORD_BATCH_CORRUPT unless it is one record with a key of version 0 or later and, for a marker, a value that holds an epoch.
 */
export function readControlMarker(view: RecordBatchView): ControlMarker | undefined {
  const reader = new RecordReader().reset(view);
  if (view.count !== 1 || !reader.next()) throw batchError(`control batch with ${view.count} records; it must hold one`, { offset: view.baseOffset });
  if (reader.keyLength < KEY_BYTES) throw batchError(`control record with a key of ${reader.keyLength} bytes`, { offset: reader.offset });
  const keyVersion = reader.buffer.readInt16BE(reader.keyStart);
  if (keyVersion < 0) throw batchError(`control record with key version ${keyVersion}`, { offset: reader.offset });
  const type = reader.buffer.readInt16BE(reader.keyStart + 2);
  if (type !== 0 && type !== 1) return undefined;
  if (reader.valueLength < VALUE_BYTES) throw batchError(`transaction marker with a value of ${reader.valueLength} bytes`, { offset: reader.offset });
  return { type: type === 1 ? 'commit' : 'abort', coordinatorEpoch: reader.buffer.readInt32BE(reader.valueStart + 2) };
}

/** Sets base offset and leader epoch of the batch at `start` in place; both lie outside the checksum. */
export function patchBaseOffset(buffer: Buffer, start: number, baseOffset: number, leaderEpoch: number): void {
  writeInt64(buffer, start + AT_BASE_OFFSET, baseOffset);
  buffer.writeInt32BE(leaderEpoch, start + AT_LEADER_EPOCH);
}
