// Reads segment files by the published record batch format and nothing else: no code of the broker, its own checksum.
// Owns: the format as Kafka documents it.  Throws a sentence that names file and byte where a file breaks it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function crc32c(bytes, start, end) {
  let crc = -1;
  for (let at = start; at < end; at++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ bytes[at]) & 0xff];
  return (crc ^ -1) >>> 0;
}

/** Topics that exist: name → { folder, partitions }. */
export function topicsIn(dataDir) {
  const topics = new Map();
  const root = join(dataDir, 'topics');
  for (const uuid of readdirSync(root)) {
    const file = join(root, uuid, 'topic.json');
    if (!existsSync(file)) continue;
    const { name, partitions } = JSON.parse(readFileSync(file, 'utf8'));
    if (topics.has(name)) throw new Error(`topic ${name} exists twice`);
    topics.set(name, { folder: join(root, uuid), partitions });
  }
  return topics;
}

/** Every batch of a partition in order of its segments. */
export function* batchesOf(folder) {
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.log'))
        .sort()
    : [];
  for (const name of names) {
    const bytes = readFileSync(join(folder, name));
    const segmentBase = Number(name.slice(0, 20));
    for (let at = 0; at < bytes.length; ) {
      const where = `${folder}/${name} at byte ${at}`;
      if (bytes.length - at < 61) throw new Error(`${where}: ${bytes.length - at} bytes are no batch`);
      const end = at + 12 + bytes.readInt32BE(at + 8);
      if (end > bytes.length || end < at + 61) throw new Error(`${where}: the batch ends at ${end}, the file at ${bytes.length}`);
      if (bytes[at + 16] !== 2) throw new Error(`${where}: magic ${bytes[at + 16]}`);
      if (crc32c(bytes, at + 21, end) !== bytes.readUInt32BE(at + 17)) throw new Error(`${where}: the checksum is wrong`);
      const batch = header(bytes, at, end);
      if (batch.baseOffset < segmentBase) throw new Error(`${where}: offset ${batch.baseOffset} below the segment's name`);
      yield batch;
      at = end;
    }
  }
}

function header(bytes, at, end) {
  const attributes = bytes.readInt16BE(at + 21);
  const baseOffset = Number(bytes.readBigInt64BE(at));
  if ((attributes & 7) !== 0) throw new Error('the sweep sends no compressed batches');
  const batch = {
    baseOffset,
    lastOffset: baseOffset + bytes.readInt32BE(at + 23),
    leaderEpoch: bytes.readInt32BE(at + 12),
    transactional: (attributes & 0x10) !== 0,
    control: (attributes & 0x20) !== 0,
    producerId: Number(bytes.readBigInt64BE(at + 43)),
    producerEpoch: bytes.readInt16BE(at + 51),
    baseSequence: bytes.readInt32BE(at + 53),
    count: bytes.readInt32BE(at + 57),
  };
  batch.records = records(bytes, at + 61, end, batch);
  return batch;
}

/** `{ offset, key, value }` with texts; a marker has `commit` instead. */
function records(bytes, start, end, { baseOffset, count, control }) {
  let at = start;
  const varint = () => {
    let raw = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      raw |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number((raw >> 1n) ^ -(raw & 1n));
    }
  };
  const field = () => {
    const length = varint();
    if (length < 0) return null;
    at += length;
    return bytes.subarray(at - length, at);
  };
  const found = [];
  for (let index = 0; index < count; index++) {
    const recordEnd = varint() + at;
    at += 1;
    varint(); // timestamp
    const offset = baseOffset + varint();
    const key = field();
    const value = field();
    const headers = varint();
    if (headers !== 0 || at !== recordEnd) throw new Error(`record ${offset} does not end where it says`);
    found.push(control ? { offset, commit: key.readInt16BE(2) === 1 } : { offset, key: key?.toString() ?? null, value: value?.toString() ?? null });
  }
  if (at !== end) throw new Error(`batch ${baseOffset}: bytes are left over after its records`);
  return found;
}
