import { MillraceError } from '@millrace/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Reader } from './reader.ts';
import { unsignedVarintSize, varintSize, varlongSize } from './varint.ts';
import { Writer } from './writer.ts';

const written = (write: (writer: Writer) => void): Buffer => {
  const writer = new Writer(1);
  write(writer);
  return writer.finish(false);
};
const refused = (run: () => unknown): void => {
  expect(run).toThrow(expect.objectContaining({ code: 'ERR_PROTOCOL' }));
};

describe('varints (H29)', () => {
  test('unsigned ones come back, in the size that was foretold', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (value) => {
        const bytes = written((writer) => writer.unsignedVarint(value));
        expect(bytes.length).toBe(unsignedVarintSize(value));
        const reader = new Reader(bytes);
        expect(reader.unsignedVarint()).toBe(value);
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  test('zigzag ones come back, extremes included', () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer(), fc.constantFrom(-0x8000_0000, 0x7fff_ffff, -1, 0, 1, 63, 64, -64, -65)), (value) => {
        const bytes = written((writer) => writer.varint(value));
        expect(bytes.length).toBe(varintSize(value));
        expect(new Reader(bytes).varint()).toBe(value);
      }),
    );
  });

  test('zigzag 64-bit ones agree with BigInt arithmetic over the whole safe range', () => {
    const edges = [0, 1, -1, 2 ** 31, -(2 ** 31), 2 ** 34, 2 ** 34 - 1, -(2 ** 34) - 1, 2 ** 48, 2 ** 52, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), fc.constantFrom(...edges)), (value) => {
        const bytes = written((writer) => writer.varlong(value));
        expect([...bytes]).toEqual(zigzagBytes(value));
        expect(bytes.length).toBe(varlongSize(value));
        expect(new Reader(bytes).varlong()).toBe(value);
      }),
      { numRuns: 1000 },
    );
  });

  test('six bytes are not a varint, eleven are not a varlong', () => {
    refused(() => new Reader(Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x00])).unsignedVarint());
    refused(() => new Reader(Buffer.from([...Array(10).fill(0x80), 0x00])).varlong());
  });

  test('a fifth byte that carries more than 32 bits is refused, not wrapped', () => {
    refused(() => new Reader(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x1f])).unsignedVarint());
    expect(new Reader(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f])).unsignedVarint()).toBe(0xffff_ffff);
  });

  test('a varlong beyond 2^53-1 is refused, not rounded', () => {
    refused(() => new Reader(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])).varlong());
    refused(() => new Reader(Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x20])).varlong());
  });

  test('padded forms are read as the number they stand for', () => {
    expect(new Reader(Buffer.from([0x81, 0x80, 0x00])).unsignedVarint()).toBe(1);
    expect(new Reader(Buffer.from([0x82, 0x80, 0x80, 0x00])).varlong()).toBe(1);
  });

  test('a varint cut short is refused', () => {
    refused(() => new Reader(Buffer.from([0x80])).unsignedVarint());
    refused(() => new Reader(Buffer.alloc(0)).varlong());
  });
});

function zigzagBytes(value: number): number[] {
  let raw = value < 0 ? BigInt(value) * -2n - 1n : BigInt(value) * 2n;
  const bytes: number[] = [];
  for (; raw >= 0x80n; raw >>= 7n) bytes.push(Number(raw & 0x7fn) | 0x80);
  bytes.push(Number(raw));
  return bytes;
}

describe('fixed-size numbers', () => {
  test('int64 round trips over the safe range and refuses what lies beyond', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const bytes = written((writer) => writer.int64(value));
        expect(bytes.readBigInt64BE(0)).toBe(BigInt(value));
        expect(new Reader(bytes).int64()).toBe(value);
      }),
    );
    const beyond = Buffer.alloc(8);
    for (const raw of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)]) {
      beyond.writeBigInt64BE(raw);
      refused(() => new Reader(beyond).int64());
    }
    expect(() => new Writer().int64(2 ** 53)).toThrow(/safe integer/);
  });

  test('reading past the end names the place', () => {
    try {
      new Reader(Buffer.alloc(3), 1).int32();
      expect.unreachable();
    } catch (error) {
      expect(MillraceError.is(error) && error.where).toEqual({ at: 1 });
    }
  });

  test('a uuid is 22 characters of base64url or nothing', () => {
    const uuid = 'ByteArrayOfSixteenABCg';
    expect(new Reader(written((writer) => writer.uuid(uuid))).uuid()).toBe(uuid);
    expect(() => new Writer().uuid('short')).toThrow(/not a uuid/);
  });
});

describe('the writer', () => {
  test('is empty again after finish and hands out memory of its own', () => {
    const writer = new Writer(2);
    writer.string('hello');
    const first = writer.finish(false);
    writer.string('world');
    expect(writer.finish(false).toString('utf8', 2)).toBe('world');
    expect(first.toString('utf8', 2)).toBe('hello');
    expect(writer.size).toBe(0);
  });

  test('refuses a string too long for its length field', () => {
    expect(() => new Writer().string('é'.repeat(0x4000))).toThrow(/too long/);
  });
});

test('a compact string is no longer than one with a 16-bit length, as with Kafka', () => {
  const text = 'x'.repeat(0x7fff);
  expect(new Reader(written((writer) => writer.compactString(text))).compactString()).toBe(text);
  refused(() => new Reader(written((writer) => writer.compactString(`${text}x`))).compactString());
});
