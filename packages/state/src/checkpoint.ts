// The checkpoint of each store: how much of its changelog it holds. Written in the same batch as the data, into the
// database's own store `$meta`, so that both are there or neither.
// Record: format (1) | checksum of the rest (4) | changelog offset (8) | leader epoch (4) | observed time (8) | duplicates (4) |
// level at (8) | topic id length (2) and text | input positions: length (4, -1 none) and text. Big-endian.
import { asBuffer, readSafeInteger, writeSafeInteger } from '@millrace/core';
import type { Database, WriteBatch } from './byte-store.ts';
import { checksum32 } from './checksum.ts';

/** Our own store in every database. List it among `OpenOptions.stores`. */
export const META_STORE = '$meta';

export interface Checkpoint {
  /** The offset after the last changelog record this store holds. */
  readonly changelogOffset: number;
  /** Id of the changelog topic, text form. Another id: the topic was made again, the store is not to be trusted. */
  readonly topicId: string;
  /** Leader epoch of the last record applied; -1 unknown. */
  readonly leaderEpoch: number;
  /** Largest event time the store has seen; -1 before any. */
  readonly observedTime: number;
  /** Counter behind duplicate keys of a window store. */
  readonly duplicates: number;
  /** Wall clock, ms, when the store was last level with its changelog. */
  readonly levelAtMs: number;
  /** Input positions the settled state has seen, JSON text. */
  readonly inputPositions?: string | undefined;
}

const FORMAT = 1;
const HEAD = 5;
const FIXED = 8 + 4 + 8 + 4 + 8;

export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  const topicId = Buffer.from(checkpoint.topicId, 'utf8');
  const positions = checkpoint.inputPositions === undefined ? undefined : Buffer.from(checkpoint.inputPositions, 'utf8');
  const bytes = Buffer.alloc(HEAD + FIXED + 2 + topicId.length + 4 + (positions?.length ?? 0));
  bytes.writeUInt8(FORMAT, 0);
  let at = HEAD;
  writeSafeInteger(checkpoint.changelogOffset, bytes, at);
  bytes.writeInt32BE(checkpoint.leaderEpoch, at + 8);
  writeSafeInteger(checkpoint.observedTime, bytes, at + 12);
  bytes.writeInt32BE(checkpoint.duplicates, at + 20);
  writeSafeInteger(checkpoint.levelAtMs, bytes, at + 24);
  at += FIXED;
  bytes.writeUInt16BE(topicId.length, at);
  bytes.set(topicId, at + 2);
  at += 2 + topicId.length;
  bytes.writeInt32BE(positions?.length ?? -1, at);
  if (positions !== undefined) bytes.set(positions, at + 4);
  bytes.writeUInt32BE(checksum32(bytes.subarray(HEAD)), 1);
  return bytes;
}

/** The checkpoint behind bytes; 'corrupt' for another format, a wrong checksum or a wrong length. */
export function decodeCheckpoint(raw: Uint8Array): Checkpoint | 'corrupt' {
  const bytes = asBuffer(raw);
  if (bytes.length < HEAD + FIXED + 6 || bytes.readUInt8(0) !== FORMAT || bytes.readUInt32BE(1) !== checksum32(bytes.subarray(HEAD))) return 'corrupt';
  const topicAt = HEAD + FIXED;
  const positionsAt = topicAt + 2 + bytes.readUInt16BE(topicAt);
  if (positionsAt + 4 > bytes.length) return 'corrupt';
  const positions = bytes.readInt32BE(positionsAt);
  if (positionsAt + 4 + Math.max(0, positions) !== bytes.length) return 'corrupt';
  return {
    changelogOffset: readSafeInteger(bytes, HEAD),
    leaderEpoch: bytes.readInt32BE(HEAD + 8),
    observedTime: readSafeInteger(bytes, HEAD + 12),
    duplicates: bytes.readInt32BE(HEAD + 20),
    levelAtMs: readSafeInteger(bytes, HEAD + 24),
    topicId: bytes.toString('utf8', topicAt + 2, positionsAt),
    ...(positions < 0 ? {} : { inputPositions: bytes.toString('utf8', positionsAt + 4) }),
  };
}

function checkpointKey(store: string): Buffer {
  return Buffer.from(`checkpoint/${store}`, 'utf8');
}

/** Into the batch that also carries the data it speaks of. */
export function putCheckpoint(batch: WriteBatch, store: string, checkpoint: Checkpoint): void {
  batch.put(META_STORE, checkpointKey(store), encodeCheckpoint(checkpoint));
}

/** As if the store had never been settled. */
export function forgetCheckpoint(batch: WriteBatch, store: string): void {
  batch.delete(META_STORE, checkpointKey(store));
}

/** Undefined: the store has never been settled. */
export function readCheckpoint(database: Database, store: string): Checkpoint | 'corrupt' | undefined {
  const bytes = database.store(META_STORE).get(checkpointKey(store));
  return bytes === undefined ? undefined : decodeCheckpoint(bytes);
}
