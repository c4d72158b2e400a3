import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { crc32c, crc32cPlain, useCrc32c } from './crc32c.ts';

afterEach(() => useCrc32c(undefined));

/** Bit by bit, as the polynomial says. */
function slowCrc(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

test('the check values of RFC 3720 come out', () => {
  const of = (bytes: Buffer): number => crc32c(bytes, 0, bytes.length);
  expect(of(Buffer.from('123456789'))).toBe(0xe306_9283);
  expect(of(Buffer.alloc(32))).toBe(0x8a91_36aa);
  expect(of(Buffer.alloc(32, 0xff))).toBe(0x62a8_ab43);
  expect(of(Buffer.from(Array.from({ length: 32 }, (_, index) => index)))).toBe(0x46dd_794e);
  expect(of(Buffer.alloc(0))).toBe(0);
});

test('any slice of any length agrees with the bitwise definition', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (bytes, start) => {
      const from = Math.min(start, bytes.length);
      expect(crc32cPlain(Buffer.from(bytes), from, bytes.length)).toBe(slowCrc(bytes.subarray(from)));
    }),
  );
});

test('long slices at every alignment agree with the bitwise definition', () => {
  const bytes = Buffer.from(Array.from({ length: 1400 }, (_, index) => (index * 131) >> 3));
  for (let start = 0; start < 9; start++) {
    for (let end = 1380; end < 1400; end++) expect(crc32cPlain(bytes, start, end)).toBe(slowCrc(bytes.subarray(start, end)));
    expect(crc32cPlain(bytes, start, start + 512)).toBe(slowCrc(bytes.subarray(start, start + 512)));
  }
});

test('a replacement that computes something else is refused, a right one is used', () => {
  expect(() => useCrc32c(() => 0)).toThrow(/CRC-32C/);
  let calls = 0;
  useCrc32c((buffer, start, end) => {
    calls++;
    return slowCrc(buffer.subarray(start, end));
  });
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe306_9283);
  expect(calls).toBe(2);
});
