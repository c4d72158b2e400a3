// Big-endian numbers, the bytes of Java's DataOutput: int16, int32, int64, safeInt, float32, float64, boolean.
import { asBuffer } from '../bytes.ts';
import { MillraceError } from '../errors.ts';
import type { DirectForm, Serde } from './serde.ts';
import { describe } from './text.ts';

function fixed<T>(format: string, size: number, write: (value: T, target: Buffer, at: number) => void, read: (source: Buffer, at: number) => T): Serde<T> {
  const direct: DirectForm = { kind: 'fixed', size, write: (value, target, at) => write(value as T, target, at), read };
  return {
    format,
    serialize(value) {
      const bytes = Buffer.allocUnsafe(size);
      write(value, bytes, 0);
      return bytes;
    },
    deserialize(bytes) {
      if (bytes.length !== size) throw new MillraceError('ERR_RECORD_UNDECODABLE', `${format} wants ${size} bytes, got ${bytes.length}`);
      return read(asBuffer(bytes), 0);
    },
    '~direct': direct,
  };
}

function integer(
  format: string,
  size: number,
  min: number,
  max: number,
  write: (target: Buffer, value: number, at: number) => void,
  read: (source: Buffer, at: number) => number,
): Serde<number> {
  return fixed<number>(
    format,
    size,
    (value, target, at) => {
      if (!Number.isInteger(value) || value < min || value > max)
        throw new MillraceError('ERR_RECORD_UNENCODABLE', `serde.${format}() holds whole numbers from ${min} to ${max}, not ${describe(value)}.`);
      write(target, value, at);
    },
    read,
  );
}

const shortSerde = integer(
  'int16',
  2,
  -0x8000,
  0x7fff,
  (t, v, at) => t.writeInt16BE(v, at),
  (s, at) => s.readInt16BE(at),
);
const intSerde = integer(
  'int32',
  4,
  -0x80000000,
  0x7fffffff,
  (t, v, at) => t.writeInt32BE(v, at),
  (s, at) => s.readInt32BE(at),
);
const floatSerde = fixed<number>(
  'float32',
  4,
  (v, t, at) => void t.writeFloatBE(number('float32', v), at),
  (s, at) => s.readFloatBE(at),
);
const doubleSerde = fixed<number>(
  'float64',
  8,
  (v, t, at) => void t.writeDoubleBE(number('float64', v), at),
  (s, at) => s.readDoubleBE(at),
);
const longSerde = fixed<bigint>(
  'int64',
  8,
  (v, t, at) => void t.writeBigInt64BE(bigInteger(v), at),
  (s, at) => s.readBigInt64BE(at),
);
const booleanSerde = fixed<boolean>(
  'boolean',
  1,
  (v, t, at) => void t.writeUInt8(truth(v) ? 1 : 0, at),
  (s, at) => s.readUInt8(at) !== 0,
);

// Same 8 bytes as int64 (and the same format name, so that the two may meet in a join), as a safe number.
const safeSerde = fixed<number>('int64', 8, writeSafeInteger, readSafeInteger);

/** Writes a safe integer as 8 bytes, big-endian two's complement. Throws ERR_UNSAFE_INTEGER for anything else. */
export function writeSafeInteger(value: number, target: Buffer, at: number): void {
  if (!Number.isSafeInteger(value))
    throw new MillraceError(
      'ERR_UNSAFE_INTEGER',
      `serde.safeInt() holds whole numbers up to ±(2^53-1), not ${describe(value)}. Use serde.int64() for larger ones.`,
    );
  const high = Math.floor(value / 0x100000000);
  target.writeInt32BE(high, at);
  target.writeUInt32BE(value - high * 0x100000000, at + 4);
}

/** Reads 8 bytes as a number. Throws ERR_UNSAFE_INTEGER beyond ±(2^53-1) rather than rounding. */
export function readSafeInteger(source: Buffer, at: number): number {
  const high = source.readInt32BE(at);
  const value = high * 0x100000000 + source.readUInt32BE(at + 4);
  if (!Number.isSafeInteger(value))
    throw new MillraceError(
      'ERR_UNSAFE_INTEGER',
      `a 64-bit integer of about ${value} does not fit a number exactly; declare serde.int64() to read it as a bigint`,
    );
  return value;
}

function number(format: string, value: unknown): number {
  if (typeof value !== 'number') throw new MillraceError('ERR_RECORD_UNENCODABLE', `serde.${format}() holds numbers, not ${describe(value)}.`);
  return value;
}
function bigInteger(value: unknown): bigint {
  if (typeof value !== 'bigint' || value > 0x7fffffffffffffffn || value < -0x8000000000000000n)
    throw new MillraceError(
      'ERR_RECORD_UNENCODABLE',
      `serde.int64() holds a bigint of 64 bits, not ${describe(value)}. For plain numbers use serde.safeInt().`,
    );
  return value;
}
function truth(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new MillraceError('ERR_RECORD_UNENCODABLE', `serde.boolean() holds true or false, not ${describe(value)}.`);
  return value;
}

export const int16 = (): Serde<number> => shortSerde;
export const int32 = (): Serde<number> => intSerde;
export const float32 = (): Serde<number> => floatSerde;
export const float64 = (): Serde<number> => doubleSerde;
/** 64-bit integer as a bigint. */
export const int64 = (): Serde<bigint> => longSerde;
/** 64-bit integer as a number; throws ERR_UNSAFE_INTEGER beyond ±(2^53-1), in both directions. */
export const safeInt = (): Serde<number> => safeSerde;
export const boolean = (): Serde<boolean> => booleanSerde;
