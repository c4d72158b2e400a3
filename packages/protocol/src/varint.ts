// Sizes of Kafka's variable-length integers, for code that lays out bytes itself.
// Owns: the arithmetic.  Never: reads or writes a buffer (reader.ts and writer.ts do).
// V1 nothing wraps: what does not fit 32 bits goes through `varlongSize`, which works on safe integers.

/** Bytes (1-5) of an unsigned 32-bit integer as a varint. */
export function unsignedVarintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

/** Bytes (1-5) of a signed 32-bit integer as a zigzag varint. */
export function varintSize(value: number): number {
  return unsignedVarintSize(((value << 1) ^ (value >> 31)) >>> 0);
}

/** Bytes (1-8) of a safe integer as a zigzag varlong. */
export function varlongSize(value: number): number {
  if (value >= -0x4000_0000 && value < 0x4000_0000) return varintSize(value);
  // |zigzag| < 2^54: the magnitude in steps of 7 bits; exact, because only powers of two are compared.
  const magnitude = value < 0 ? -(value + 1) : value;
  let size = 5;
  for (let bound = 2 ** 34; size < 8 && magnitude >= bound; bound *= 128) size++;
  return size;
}
