// The producers and leader epochs of a partition as of an offset, as bytes: what a start needs besides the batches after that offset.
// Owns: the format (JSON behind a CRC, versioned).  Never: decides when to take one.
// N1 a snapshot that does not check out is as good as none: the log before it is scanned instead.
import { crc32c } from '@millrace/protocol';
import type { EpochStart } from './leader-epochs.ts';
import { ProducerState } from './producer-state.ts';

const VERSION = 1;

export interface Snapshot {
  /** Everything below this offset is folded in. */
  readonly offset: number;
  readonly producers: ProducerState;
  readonly epochs: readonly EpochStart[];
}

type KeptRow = readonly [firstSequence: number, lastSequence: number, firstOffset: number, lastOffset: number, timestampMs: number];
interface Body {
  readonly version: number;
  readonly offset: number;
  readonly epochs: readonly (readonly [epoch: number, startOffset: number])[];
  readonly producers: readonly {
    readonly id: number;
    readonly epoch: number;
    readonly lastTimestampMs: number;
    readonly coordinatorEpoch: number;
    readonly transactionStart: number;
    readonly batches: readonly KeptRow[];
  }[];
}

export function encodeSnapshot(offset: number, producers: ProducerState, epochs: readonly EpochStart[]): Buffer {
  const body: Body = {
    version: VERSION,
    offset,
    epochs: epochs.map((entry) => [entry.epoch, entry.startOffset]),
    producers: [...producers.entries]
      .sort((left, right) => left[1].transactionStart - right[1].transactionStart) // restore() wants open transactions in this order
      .map(([id, entry]) => ({
        id,
        epoch: entry.epoch,
        lastTimestampMs: entry.lastTimestampMs,
        coordinatorEpoch: entry.coordinatorEpoch,
        transactionStart: entry.transactionStart,
        batches: entry.batches.map((kept): KeptRow => [kept.firstSequence, kept.lastSequence, kept.firstOffset, kept.lastOffset, kept.timestampMs]),
      })),
  };
  const text = Buffer.from(JSON.stringify(body));
  const bytes = Buffer.allocUnsafe(text.length + 4);
  bytes.writeUInt32BE(crc32c(text, 0, text.length), 0);
  text.copy(bytes, 4);
  return bytes;
}

/** Undefined when the bytes are torn, damaged, or of another version. */
export function decodeSnapshot(source: Uint8Array): Snapshot | undefined {
  try {
    return decodeBody(source);
  } catch {
    return undefined; // a checksum that fits by chance, or by intent
  }
}

function decodeBody(source: Uint8Array): Snapshot | undefined {
  const bytes = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
  if (bytes.length < 4 || crc32c(bytes, 4, bytes.length) !== bytes.readUInt32BE(0)) return undefined;
  const body = JSON.parse(bytes.toString('utf8', 4)) as Body;
  if (body.version !== VERSION) return undefined;
  const producers = new ProducerState();
  for (const row of body.producers)
    producers.restore(row.id, {
      epoch: row.epoch,
      lastTimestampMs: row.lastTimestampMs,
      coordinatorEpoch: row.coordinatorEpoch,
      transactionStart: row.transactionStart,
      batches: row.batches.map(([firstSequence, lastSequence, firstOffset, lastOffset, timestampMs]) => ({
        firstSequence,
        lastSequence,
        firstOffset,
        lastOffset,
        timestampMs,
      })),
    });
  return { offset: body.offset, producers, epochs: body.epochs.map(([epoch, startOffset]) => ({ epoch, startOffset })) };
}
