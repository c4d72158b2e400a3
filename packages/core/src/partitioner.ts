// Kafka's default partitioner: murmur2 of the key bytes. Equal to the Java client's, so that keys written by either meet in one partition.

/** 32-bit murmur2 with Kafka's seed over buf[start, end), as a signed 32-bit integer. */
export function murmur2(buf: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let h = 0x9747b28c ^ length;
  let at = start;
  for (const last = end - 3; at < last; at += 4) {
    let k = (buf[at] as number) | ((buf[at + 1] as number) << 8) | ((buf[at + 2] as number) << 16) | ((buf[at + 3] as number) << 24);
    k = Math.imul(k, 0x5bd1e995);
    k ^= k >>> 24;
    k = Math.imul(k, 0x5bd1e995);
    h = Math.imul(h, 0x5bd1e995) ^ k;
  }
  const rest = length & 3;
  if (rest === 3) h ^= (buf[at + 2] as number) << 16;
  if (rest >= 2) h ^= (buf[at + 1] as number) << 8;
  if (rest >= 1) {
    h ^= buf[at] as number;
    h = Math.imul(h, 0x5bd1e995);
  }
  h ^= h >>> 13;
  h = Math.imul(h, 0x5bd1e995);
  return h ^ (h >>> 15);
}

/** The partition in [0, partitions) that Kafka's default partitioner picks for a key. */
export function partitionForKey(buf: Uint8Array, start: number, end: number, partitions: number): number {
  return (murmur2(buf, start, end) & 0x7fffffff) % partitions;
}
