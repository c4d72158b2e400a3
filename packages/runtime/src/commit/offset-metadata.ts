// The text committed beside an input offset, as Kafka Streams writes it: base64 of version 2, partition time, processor metadata.
// So a Java application can take over where we stopped, and the other way round.
// Layout: version (1) | partition time (8) | if there are entries: count (4), then per entry name length (4), UTF-8 name, value (8). Big-endian.
import { readSafeInteger, writeSafeInteger } from '@millrace/core';

export interface OffsetMetadata {
  /** Largest event time of the partition; -1 unknown. */
  readonly partitionTime: number;
  /** By name, merged by maximum over a task's partitions (last emit times). */
  readonly processors: ReadonlyMap<string, number>;
  /** Records that this offset has passed and whose calls have not been answered: they are not done with. None unless given. */
  readonly pendingOutside?: number;
}

/** An entry beside those of operators: records of the task that wait for an answer from outside. No operator can have the name. */
const PENDING_OUTSIDE = '$pending';

const VERSION = 2;
const NOTHING: OffsetMetadata = { partitionTime: -1, processors: new Map() };

export function encodeOffsetMetadata(metadata: OffsetMetadata): string {
  const pending = metadata.pendingOutside ?? 0;
  const entries = pending === 0 ? metadata.processors : [...metadata.processors, [PENDING_OUTSIDE, pending] as const];
  const names = [...entries].map(([name, value]) => ({ bytes: Buffer.from(name, 'utf8'), value }));
  const mapBytes = names.length === 0 ? 0 : names.reduce((sum, { bytes }) => sum + 12 + bytes.length, 4);
  const buffer = Buffer.alloc(9 + mapBytes);
  buffer.writeUInt8(VERSION, 0);
  writeSafeInteger(metadata.partitionTime, buffer, 1);
  let at = 9;
  if (names.length > 0) at = buffer.writeInt32BE(names.length, at);
  for (const { bytes, value } of names) {
    at = buffer.writeInt32BE(bytes.length, at);
    buffer.set(bytes, at);
    writeSafeInteger(value, buffer, at + bytes.length);
    at += bytes.length + 8;
  }
  return buffer.toString('base64');
}

/** Versions 1 and 2. What cannot be read means an unknown time, never an error: another program may have written it. */
export function decodeOffsetMetadata(text: string): OffsetMetadata {
  const buffer = Buffer.from(text, 'base64');
  try {
    const version = buffer.length < 9 ? 0 : buffer.readUInt8(0);
    if (version !== 1 && version !== VERSION) return NOTHING;
    const processors = new Map<string, number>();
    let at = 9;
    const count = version === VERSION && buffer.length > at ? buffer.readInt32BE(at) : 0;
    at += 4;
    for (let index = 0; index < count; index++) {
      const end = at + 4 + buffer.readInt32BE(at);
      processors.set(buffer.toString('utf8', at + 4, end), readSafeInteger(buffer, end));
      at = end + 8;
    }
    const pendingOutside = processors.get(PENDING_OUTSIDE);
    processors.delete(PENDING_OUTSIDE);
    const partitionTime = readSafeInteger(buffer, 1);
    return pendingOutside === undefined ? { partitionTime, processors } : { partitionTime, processors, pendingOutside };
  } catch {
    return NOTHING;
  }
}
