// Turns one bit of a record batch on its way, somewhere behind the checksum: what a checksum is for.
// Never: touches bytes that no checksum covers; what a network card lets through there nobody could notice.
import type { Chance } from '@millrace/core';
import { BATCH_HEADER_BYTES, crc32c } from '@millrace/protocol';

const LENGTH_AT = 8;
const MAGIC_AT = 16;
const MAGIC = 2;
const CRC_AT = 17;
const COVERED_FROM = 21;

/** False: no whole batch lies in these bytes. */
export function flipBatch(bytes: Buffer, chance: Chance): boolean {
  for (let at = 0; at + BATCH_HEADER_BYTES <= bytes.length; at++) {
    if (bytes[at + MAGIC_AT] !== MAGIC) continue;
    const end = at + LENGTH_AT + 4 + bytes.readInt32BE(at + LENGTH_AT);
    if (end < at + BATCH_HEADER_BYTES || end > bytes.length) continue;
    if (crc32c(bytes, at + COVERED_FROM, end) !== bytes.readUInt32BE(at + CRC_AT)) continue;
    const struck = at + COVERED_FROM + chance.integer(end - at - COVERED_FROM);
    bytes.writeUInt8(bytes.readUInt8(struck) ^ (1 << chance.integer(8)), struck);
    return true;
  }
  return false;
}
