// Conformance of every serde: bytes as pinned, values come back, and the direct form equals the plain form.
import { describe, expect, test } from 'vitest';
import { noHeaders } from '../headers.ts';
import { serde } from './index.ts';
import { decodeWith, type ErasedSerde, encodeWith, type Serde, type SerdeInfo } from './serde.ts';

const info = (role: 'key' | 'value'): SerdeInfo => ({ topic: 't', role, headers: noHeaders });
const hex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString('hex'));
const erase = (given: unknown): ErasedSerde => given as ErasedSerde;

interface Case {
  readonly name: string;
  readonly serde: ErasedSerde;
  /** value, bytes as hex; bytes of the key role where they differ */
  readonly goldens: readonly (readonly [value: unknown, hex: string | null, keyHex?: string])[];
  /** Values it refuses to write, each with the code. */
  readonly refuses?: readonly (readonly [value: unknown, code: string])[];
  /** Bytes it refuses to read. */
  readonly unreadable?: readonly string[];
}

const windowed = serde.windowed(serde.string(), { size: '5m' });
const session = serde.sessionWindowed(serde.string());
const cases: readonly Case[] = [
  {
    name: 'string',
    serde: erase(serde.string()),
    goldens: [
      ['', ''],
      ['alice', '616c696365'],
      ['é 日 😀', 'c3a920e697a520f09f9880'],
    ],
    refuses: [
      [1, 'ERR_RECORD_UNENCODABLE'],
      [null, 'ERR_RECORD_UNENCODABLE'],
    ],
  },
  {
    name: 'uuid',
    serde: erase(serde.uuid()),
    goldens: [['123e4567-e89b-12d3-a456-426614174000', Buffer.from('123e4567-e89b-12d3-a456-426614174000').toString('hex')]],
    refuses: [['no uuid', 'ERR_RECORD_UNENCODABLE']],
  },
  {
    name: 'int16',
    serde: erase(serde.int16()),
    goldens: [
      [0, '0000'],
      [-1, 'ffff'],
      [32767, '7fff'],
      [-32768, '8000'],
    ],
    refuses: [
      [32768, 'ERR_RECORD_UNENCODABLE'],
      [1.5, 'ERR_RECORD_UNENCODABLE'],
    ],
    unreadable: ['00', '000000'],
  },
  {
    name: 'int32',
    serde: erase(serde.int32()),
    goldens: [
      [7, '00000007'],
      [-1, 'ffffffff'],
      [2147483647, '7fffffff'],
      [-2147483648, '80000000'],
    ],
    refuses: [
      [2147483648, 'ERR_RECORD_UNENCODABLE'],
      ['7', 'ERR_RECORD_UNENCODABLE'],
    ],
    unreadable: ['', '0000000000'],
  },
  {
    name: 'int64',
    serde: erase(serde.int64()),
    goldens: [
      [0n, '0000000000000000'],
      [-1n, 'ffffffffffffffff'],
      [0x7fffffffffffffffn, '7fffffffffffffff'],
      [-0x8000000000000000n, '8000000000000000'],
    ],
    refuses: [
      [0x8000000000000000n, 'ERR_RECORD_UNENCODABLE'],
      [1, 'ERR_RECORD_UNENCODABLE'],
    ],
    unreadable: ['00'],
  },
  {
    name: 'safeInt',
    serde: erase(serde.safeInt()),
    goldens: [
      [42, '000000000000002a'],
      [-1, 'ffffffffffffffff'],
      [Number.MAX_SAFE_INTEGER, '001fffffffffffff'],
      [Number.MIN_SAFE_INTEGER, 'ffe0000000000001'],
      [2 ** 32, '0000000100000000'],
      [-(2 ** 32) - 1, 'fffffffeffffffff'],
    ],
    refuses: [
      [2 ** 53, 'ERR_UNSAFE_INTEGER'],
      [0.5, 'ERR_UNSAFE_INTEGER'],
      [1n, 'ERR_UNSAFE_INTEGER'],
    ],
    unreadable: ['0020000000000000', '8000000000000000'],
  },
  {
    name: 'float32',
    serde: erase(serde.float32()),
    goldens: [
      [1.5, '3fc00000'],
      [-0, '80000000'],
      [Number.POSITIVE_INFINITY, '7f800000'],
    ],
    refuses: [['1', 'ERR_RECORD_UNENCODABLE']],
    unreadable: ['0000'],
  },
  {
    name: 'float64',
    serde: erase(serde.float64()),
    goldens: [
      [1.5, '3ff8000000000000'],
      [Number.NaN, '7ff8000000000000'],
      [-0, '8000000000000000'],
    ],
    refuses: [[1n, 'ERR_RECORD_UNENCODABLE']],
    unreadable: ['00'],
  },
  {
    name: 'boolean',
    serde: erase(serde.boolean()),
    goldens: [
      [true, '01'],
      [false, '00'],
    ],
    refuses: [[1, 'ERR_RECORD_UNENCODABLE']],
    unreadable: [''],
  },
  {
    name: 'json',
    serde: erase(serde.json<unknown>()),
    goldens: [
      [{ b: 1, a: [true, null, 'é'] }, hex(Buffer.from('{"b":1,"a":[true,null,"é"]}')), hex(Buffer.from('{"a":[true,null,"é"],"b":1}')) as string],
      [null, '6e756c6c'],
      ['x', '227822'],
      [{ 10: 'b', 9: 'a' }, hex(Buffer.from('{"9":"a","10":"b"}'))],
    ],
    refuses: [
      [new Date(0), 'ERR_VALUE_NOT_JSON'],
      [{ a: { b: new Map() } }, 'ERR_VALUE_NOT_JSON'],
      [[1, Number.NaN], 'ERR_VALUE_NOT_JSON'],
      [{ a: 1n }, 'ERR_VALUE_NOT_JSON'],
      [undefined, 'ERR_VALUE_NOT_JSON'],
      [() => 1, 'ERR_VALUE_NOT_JSON'],
    ],
    unreadable: ['', '7b'],
  },
  { name: 'none', serde: erase(serde.none()), goldens: [[null, null]] },
  {
    name: 'nullable(string)',
    serde: erase(serde.nullable(serde.string())),
    goldens: [
      [null, null],
      ['x', '78'],
    ],
  },
  {
    name: 'windowed(string)',
    serde: erase(windowed),
    goldens: [[{ key: 'k', window: { start: 600_000, end: 900_000 } }, '6b00000000000927c0']],
    refuses: [[{ key: 1, window: { start: 0, end: 1 } }, 'ERR_RECORD_UNENCODABLE']],
    unreadable: ['00'],
  },
  {
    name: 'sessionWindowed(string)',
    serde: erase(session),
    goldens: [[{ key: 'k', window: { start: 1, end: 2 } }, '6b00000000000000020000000000000001']],
    unreadable: ['0000000000000000'],
  },
];

describe.each(cases)('serde $name', ({ serde: subject, goldens: pinned, refuses = [], unreadable = [] }) => {
  const goldens = pinned.map(([value, bytes, keyBytes]) => ({ value, bytes, keyBytes: keyBytes ?? bytes }));
  test.each(goldens)('$value has its pinned bytes and comes back', ({ value, bytes, keyBytes }) => {
    expect(hex(encodeWith(subject, value, info('value')))).toBe(bytes);
    expect(hex(encodeWith(subject, value, info('key')))).toBe(keyBytes);
    expect(decodeWith(subject, bytes === null ? null : Buffer.from(bytes, 'hex'), info('value'))).toEqual(value);
  });

  test.each(goldens)('$value is the same through the direct form', ({ value, bytes, keyBytes }) => {
    const direct = subject['~direct'];
    if (direct === undefined || value === null) return;
    for (const role of ['value', 'key'] as const) {
      const expected = role === 'key' ? keyBytes : bytes;
      if (direct.kind === 'text') expect(Buffer.from(direct.toText(value, role)).toString('hex')).toBe(expected);
      if (direct.kind === 'fixed') {
        const target = Buffer.alloc(direct.size + 4, 0xaa);
        direct.write(value, target, 2);
        expect(target.toString('hex')).toBe(`aaaa${expected}aaaa`);
        expect(direct.read(target, 2)).toEqual(value);
      }
      if (direct.kind === 'text') expect(direct.fromText(Buffer.from(expected as string, 'hex').toString())).toEqual(value);
    }
  });

  test('what it cannot hold is refused with a code, in both forms', () => {
    for (const [value, code] of refuses) {
      expect(() => encodeWith(subject, value, info('value'))).toThrow(expect.objectContaining({ code }));
      const direct = subject['~direct'];
      if (direct?.kind === 'text') expect(() => direct.toText(value, 'value')).toThrow(expect.objectContaining({ code }));
      if (direct?.kind === 'fixed') expect(() => direct.write(value, Buffer.alloc(8), 0)).toThrow(expect.objectContaining({ code }));
    }
    for (const bytes of unreadable)
      expect(() => decodeWith(subject, Buffer.from(bytes, 'hex'), info('value'))).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^ERR_(RECORD_UNDECODABLE|UNSAFE_INTEGER)$/) }),
      );
  });

  test('null bytes read as null only where the serde holds null', () => {
    if (subject['~null'] === true) expect(decodeWith(subject, null, info('key'))).toBeNull();
    else expect(() => decodeWith(subject, null, info('key'))).toThrow('serde.nullable');
  });
});

test('bytes are passed on as they are, and anything else is refused', () => {
  const bytes = Buffer.from([1, 2, 3]);
  expect(serde.bytes().serialize(bytes, info('value'))).toBe(bytes);
  expect(serde.bytes().deserialize(bytes, info('value'))).toBe(bytes);
  expect(() => serde.bytes().serialize('x' as never, info('value'))).toThrow(expect.objectContaining({ code: 'ERR_RECORD_UNENCODABLE' }));
});

test('none ignores what a topic carries', () => {
  expect(serde.none().deserialize(Buffer.from('anything'), info('key'))).toBeNull();
});

test('int64 and safeInt have one format, so that they may meet in a join', () => {
  expect(serde.safeInt().format).toBe(serde.int64().format);
});

test('json names the path of what it would not bring back', () => {
  const subject: Serde<unknown> = serde.json<{ a: unknown }>() as unknown as Serde<unknown>;
  expect(() => subject.serialize({ a: [{ when: new Date(0) }] }, info('value'))).toThrow('property a[0].when of the value is a Date, which JSON cannot hold');
  expect(() => subject.serialize(Number.NaN, info('value'))).toThrow('the value is NaN, which JSON cannot hold');
});

test('json checks the first thousand values and then every 256th, so a late mistake still shows', () => {
  const subject = serde.json<unknown>() as unknown as Serde<unknown>;
  const bad = { when: new Date(0) };
  for (let written = 0; written < 1000; written++) subject.serialize({ written }, info('value'));
  let passed = 0;
  expect(() => {
    for (; passed < 1000; passed++) subject.serialize(bad, info('value'));
  }).toThrow(expect.objectContaining({ code: 'ERR_VALUE_NOT_JSON' }));
  expect(passed).toBeLessThan(256);
});

test('a schema validates what is written and what is read, and readers get its output', () => {
  const schema = {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: unknown) =>
        typeof value === 'object' && value !== null && 'n' in value
          ? { value: { n: Number(value.n) } }
          : { issues: [{ message: 'is missing', path: [{ key: 'n' }] }] },
    },
  };
  const subject = serde.json(schema) as unknown as Serde<unknown>;
  expect(Buffer.from(subject.serialize({ n: '5' }, info('value')) as Uint8Array).toString()).toBe('{"n":"5"}');
  expect(subject.deserialize(Buffer.from('{"n":"5"}'), info('value'))).toEqual({ n: 5 });
  expect(() => subject.serialize({}, info('value'))).toThrow('the value written does not match its schema (n: is missing)');
  expect(() => subject.deserialize(Buffer.from('{}'), info('value'))).toThrow(expect.objectContaining({ code: 'ERR_SCHEMA' }));
});

test('a schema with asynchronous checks is refused by name of its vendor', () => {
  const subject = serde.json({ '~standard': { version: 1, vendor: 'slowly', validate: async (value: unknown) => ({ value }) } });
  expect(() => subject.serialize({}, info('value'))).toThrow('vendor slowly');
});

test('a codec of your own needs all three members', () => {
  expect(() => serde.of({ format: 'x' } as never)).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }));
  const own = serde.of<number>({
    format: 'digits',
    serialize: (value) => Buffer.from(String(value)),
    deserialize: (bytes) => Number(Buffer.from(bytes).toString()),
  });
  expect(own.deserialize(own.serialize(12, info('key')) as Uint8Array, info('key'))).toBe(12);
});

/** Recorded from the Java serializers: kind, key, start, end, bytes as hex. */
const JAVA_WINDOWED: readonly (readonly ['time' | 'session', string, number, number, string])[] = [
  ['time', 'a', 1396040907809, 1396040922365, '61000001450a85bc21'],
  ['session', 'b', 1069627898415, 1069627975581, '62000000f90acba79d000000f90aca7a2f'],
  ['time', 'user-1', 607526460367, 607526509830, '757365722d310000008d73661bcf'],
  ['session', '\u65e5\u672c', 1475773974610, 1475774000916, 'e697a5e69cac000001579afc2f14000001579afbc852'],
  ['time', '', 1429993775768, 1429993805025, '0000014cf2456298'],
  ['session', 'k83675', 1108230248888, 1108230337704, '6b38333637350000010207acf4a80000010207ab99b8'],
  ['time', 'a', 738279829053, 738279904475, '61000000abe4e82e3d'],
  ['session', 'b', 1987600845164, 1987600862244, '62000001cec63e4c24000001cec63e096c'],
  ['time', 'user-1', 1152228352441, 1152228400789, '757365722d310000010c462961b9'],
  ['session', '\u65e5\u672c', 748249317669, 748249398204, 'e697a5e69cac000000ae3723bbbc000000ae37228125'],
  ['time', '', 11188865643, 11188904654, '000000029ae88a6b'],
  ['session', 'k20789', 1553327786506, 1553327812011, '6b323037383900000169a98d6dab00000169a98d0a0a'],
  ['time', 'a', 1294407942587, 1294408027017, '610000012d60b9c1bb'],
  ['session', 'b', 1380696820658, 1380696886967, '620000014177f28eb70000014177f18bb2'],
  ['time', 'user-1', 817526879536, 817526969314, '757365722d31000000be58663530'],
  ['session', '\u65e5\u672c', 1472165288585, 1472165308759, 'e697a5e69cac00000156c3e3e95700000156c3e39a89'],
  ['time', '', 647335781738, 647335871590, '00000096b838256a'],
  ['session', 'k81759', 501640255752, 501640330246, '6b383137353900000074cc17fc0600000074cc16d908'],
  ['time', 'a', 298196020284, 298196069041, '61000000456dde2c3c'],
  ['session', 'b', 824591383551, 824591437330, '62000000bffd7ace12000000bffd79fbff'],
  ['time', 'user-1', 1964136749644, 1964136844490, '757365722d31000001c94fac5a4c'],
  ['session', '\u65e5\u672c', 1349436110756, 1349436129000, 'e697a5e69cac0000013a30a93ee80000013a30a8f7a4'],
  ['time', '', 1970847863754, 1970847888928, '000001cadfafd3ca'],
  ['session', 'k84387', 1927743584400, 1927743616210, '6b3834333837000001c0d67934d2000001c0d678b890'],
];

test.each(JAVA_WINDOWED)('a %s window of key %s at %d is written and read as Java does', (kind, key, start, end, bytes) => {
  const subject = kind === 'time' ? serde.windowed(serde.string(), { size: end - start }) : session;
  const value = { key, window: { start, end } };
  expect(hex(subject.serialize(value, info('key')))).toBe(bytes);
  expect(subject.deserialize(Buffer.from(bytes, 'hex'), info('key'))).toEqual(value);
});
