import { gzipSync } from 'node:zlib';
import { MillraceError } from '@millrace/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lz4Codec } from './lz4.ts';
import { COMPRESSIONS, compress, compressionName, decompress, hasCodec, registerCodec } from './registry.ts';
import { snappyCodec } from './snappy.ts';
import { xxhash32 } from './xxhash32.ts';
import { createZstdCodec } from './zstd.ts';

const damaged = expect.objectContaining({ code: 'ERR_RECORD_BATCH_CORRUPT' });

describe('gzip', () => {
  test('comes back whole', () => {
    const bytes = Buffer.from('some text '.repeat(100));
    expect(decompress(COMPRESSIONS.gzip, compress(COMPRESSIONS.gzip, bytes), 1000)).toEqual(bytes);
  });

  test('concatenated members are one stream (H31)', () => {
    const two = Buffer.concat([gzipSync(Buffer.from('ab')), gzipSync(Buffer.from('cd'))]);
    expect(decompress(COMPRESSIONS.gzip, two, 100).toString()).toBe('abcd');
  });

  test('a bomb is refused at the bound, not unpacked (H31)', () => {
    const bomb = gzipSync(Buffer.alloc(64 << 20));
    expect(bomb.length).toBeLessThan(100_000);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => decompress(COMPRESSIONS.gzip, bomb, 1 << 20)).toThrow(damaged);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 << 20);
  });

  test('damaged and cut input is refused', () => {
    const good = gzipSync(Buffer.from('x'.repeat(500)));
    expect(() => decompress(COMPRESSIONS.gzip, good.subarray(0, -4), 1000)).toThrow(damaged);
    expect(() => decompress(COMPRESSIONS.gzip, Buffer.from('not gzip'), 1000)).toThrow(damaged);
  });
});

/** What other implementations (lz4 and snappy in C) made of this text. */
const TEXT = 'the log is the truth; '.repeat(8);
const FOREIGN: readonly (readonly [string, number, string])[] = [
  ['lz4 without content size', COMPRESSIONS.lz4, '04224d1860408221000000b0746865206c6f67206973200b006174727574683b0b000f16007e507574683b2000000000'],
  [
    'lz4 with content size, block and content checksums',
    COMPRESSIONS.lz4,
    '04224d187c40b0000000000000002a21000000b0746865206c6f67206973200b006174727574683b0b000f16007e507574683b2009e418b20000000077c6a2e2',
  ],
  ['bare snappy', COMPRESSIONS.snappy, 'b00128746865206c6f6720697320010b1474727574683b050bfe1600fe1600561600'],
  ['xerial snappy', COMPRESSIONS.snappy, '82534e4150505900000000010000000100000022b00128746865206c6f6720697320010b1474727574683b050bfe1600fe1600561600'],
];

describe('snappy and lz4 (H12)', () => {
  test.each(FOREIGN)('%s is read', (_name, id, hex) => {
    expect(decompress(id, Buffer.from(hex, 'hex'), TEXT.length).toString()).toBe(TEXT);
  });

  test.each(FOREIGN)('%s is refused when it would exceed the bound', (_name, id, hex) => {
    expect(() => decompress(id, Buffer.from(hex, 'hex'), TEXT.length - 1)).toThrow(damaged);
  });

  test.each(FOREIGN)('%s cut at any byte is refused, or gives no more than the whole', (_name, id, hex) => {
    const whole = Buffer.from(hex, 'hex');
    for (let length = 1; length < whole.length; length++) {
      try {
        expect(TEXT.startsWith(decompress(id, whole.subarray(0, length), 1000).toString())).toBe(true);
      } catch (error) {
        expect(MillraceError.is(error) && error.code, String(error)).toBe('ERR_RECORD_BATCH_CORRUPT');
      }
    }
  });

  const codecs = [
    ['lz4', lz4Codec],
    ['snappy', snappyCodec],
  ] as const;
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.tuple(fc.string({ minLength: 1, maxLength: 12 }), fc.integer({ min: 0, max: 9000 })).map(([unit, count]) => Buffer.from(unit.repeat(count))),
    fc.array(fc.constantFrom('key', 'value', '{"n":', '1', '}', '\n', 'longer words'), { maxLength: 4000 }).map((words) => Buffer.from(words.join(''))),
  );

  test.each(codecs)('%s: whatever goes in comes out', (_name, codec) => {
    fc.assert(
      fc.property(anything, (bytes) => {
        expect(codec.decompress(codec.compress(bytes), bytes.length).equals(bytes)).toBe(true);
      }),
    );
  });

  test.each(codecs)('%s makes repetitive data smaller and random data hardly larger', (_name, codec) => {
    const words = Buffer.from('some words again '.repeat(10_000));
    expect(codec.compress(words).length).toBeLessThan(words.length / 10);
    let seed = 1;
    const noise = Buffer.from(Array.from({ length: 100_000 }, () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 24));
    expect(codec.compress(noise).length).toBeLessThan(noise.length + 1000);
    expect(codec.decompress(codec.compress(noise), noise.length).equals(noise)).toBe(true);
  });

  test.each(codecs)('%s: random and flipped bytes give a typed error or bounded data, never a crash', (_name, codec) => {
    const good = codec.compress(Buffer.from(TEXT));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          fc.tuple(fc.nat(), fc.nat(255)).map(([at, byte]) => Buffer.from(good).fill(byte, at % good.length, (at % good.length) + 1)),
        ),
        (bytes) => {
          try {
            expect(codec.decompress(Buffer.from(bytes), 500).length).toBeLessThanOrEqual(500);
          } catch (error) {
            expect(MillraceError.is(error) && error.code, String(error)).toBe('ERR_RECORD_BATCH_CORRUPT');
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('a lying content size and a lying block length are errors', () => {
    const sized = Buffer.from(FOREIGN[1]?.[2] as string, 'hex');
    sized[6] = 0xb1;
    sized[14] = (xxhash32(sized, 4, 14) >>> 8) & 0xff;
    expect(() => lz4Codec.decompress(sized, 1000)).toThrow(/claims 177 bytes and holds 176/);
    const bare = Buffer.from(FOREIGN[2]?.[2] as string, 'hex');
    bare[0] = 0xb1;
    expect(() => snappyCodec.decompress(bare, 1000)).toThrow(/holds 176 bytes and claims 177/);
    expect(() => snappyCodec.decompress(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]), 2 ** 31)).toThrow(/claims/);
  });

  test('several lz4 frames in a row are one stream', () => {
    expect(lz4Codec.decompress(Buffer.concat([lz4Codec.compress(Buffer.from('ab')), lz4Codec.compress(Buffer.from('cd'))]), 10).toString()).toBe('abcd');
  });

  test('xxHash32 gives the values of its specification', () => {
    const of = (text: string): number => xxhash32(Buffer.from(text), 0, text.length);
    expect(of('')).toBe(0x02cc_5d05);
    expect(of('a')).toBe(0x550d_7456);
    expect(of('abc')).toBe(0x32d1_53ff);
    expect(of('Nobody inspects the spammish repetition')).toBe(0xe229_3b2f);
  });
});

describe('zstd', () => {
  test('is there exactly where Node has it', () => {
    expect(createZstdCodec({})).toBeUndefined();
    expect(hasCodec(COMPRESSIONS.zstd)).toBe(createZstdCodec() !== undefined);
  });

  test('hands the bound to Node', () => {
    const seen: unknown[] = [];
    const codec = createZstdCodec({
      zstdCompressSync: (bytes) => bytes,
      zstdDecompressSync: (bytes, options) => {
        seen.push(options);
        return bytes;
      },
    });
    codec?.decompress(Buffer.from('x'), 7);
    expect(seen).toEqual([{ maxOutputLength: 7 }]);
  });
});

describe('the registry', () => {
  test('a missing codec is named with a fix', () => {
    if (!hasCodec(COMPRESSIONS.zstd))
      expect(() => decompress(COMPRESSIONS.zstd, Buffer.alloc(3), 100)).toThrow(/UNSUPPORTED_COMPRESSION_TYPE.*zstd.*registerCodec/);
    expect(() => compress(7, Buffer.alloc(3))).toThrow(/does not define/);
    expect(compressionName(7)).toBe('unknown');
  });

  test('no compression is the bytes themselves', () => {
    const bytes = Buffer.from('a');
    expect(compress(COMPRESSIONS.none, bytes)).toBe(bytes);
    expect(decompress(COMPRESSIONS.none, bytes, 0)).toBe(bytes);
  });

  test('a registered codec is used, and what it throws becomes a typed error', () => {
    registerCodec(COMPRESSIONS.zstd, {
      compress: (bytes) => Buffer.concat([Buffer.from('z'), bytes]),
      decompress: (bytes) => {
        if (bytes[0] !== 0x7a) throw new Error('bad magic');
        return bytes.subarray(1);
      },
    });
    expect(decompress(COMPRESSIONS.zstd, compress(COMPRESSIONS.zstd, Buffer.from('q')), 10).toString()).toBe('q');
    expect(() => decompress(COMPRESSIONS.zstd, Buffer.from('y'), 10)).toThrow(damaged);
  });
});
