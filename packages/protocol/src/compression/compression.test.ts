import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { COMPRESSIONS, compress, compressionName, decompress, hasCodec, registerCodec } from './registry.ts';

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

describe('the registry', () => {
  test('a missing codec is named with a fix', () => {
    expect(hasCodec(COMPRESSIONS.zstd)).toBe(false);
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
