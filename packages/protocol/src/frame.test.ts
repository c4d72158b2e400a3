import { MillraceError } from '@millrace/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { APIS, api } from './apis.ts';
import { structCodec } from './codec.ts';
import {
  correlationIdOf,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeRequestPieces,
  encodeResponse,
  encodeResponsePieces,
} from './frame.ts';
import { Reader } from './reader.ts';
import type { Api, Field, Fields } from './schema.ts';
import { Writer } from './writer.ts';

const EVERY_API: readonly Api[] = Object.values(APIS);

function everyVersion(known: Api): number[] {
  return Array.from({ length: known.versions.max - known.versions.min + 1 }, (_, index) => known.versions.min + index);
}

/** Values that a version can carry, defaults where it carries nothing: what goes in must come out. */
function structValues(fields: Fields, version: number, flexible: boolean): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, fieldValues(field, version, flexible)])));
}

function fieldValues(field: Field, version: number, flexible: boolean): fc.Arbitrary<unknown> {
  const lives = version >= field.since && version <= field.until && (field.tag === undefined || flexible);
  if (!lives) return fc.constant(field.default);
  const values = presentValues(field, version, flexible);
  return version >= field.nullable ? fc.option(values, { nil: null, freq: 4 }) : values;
}

function presentValues(field: Field, version: number, flexible: boolean): fc.Arbitrary<unknown> {
  const text = fc.string({ maxLength: 20, unit: 'grapheme' });
  const bytes = fc.uint8Array({ maxLength: 20 }).map((value) => Buffer.from(value));
  switch (field.type) {
    case 'bool':
      return fc.boolean();
    case 'int8':
      return fc.integer({ min: -0x80, max: 0x7f });
    case 'int16':
      return fc.integer({ min: -0x8000, max: 0x7fff });
    case 'uint16':
      return fc.integer({ min: 0, max: 0xffff });
    case 'int32':
      return fc.integer();
    case 'int64':
      return fc.maxSafeInteger();
    case 'float64':
      return fc.double({ noNaN: true });
    case 'uuid':
      return fc.uint8Array({ minLength: 16, maxLength: 16 }).map((value) => Buffer.from(value).toString('base64url'));
    case 'string':
      return text;
    case 'bytes':
    case 'records':
      return bytes;
    case 'array':
      return fc.array(fieldValues(field.element as Field, version, flexible), { maxLength: 3 });
    case 'struct':
      return structValues(field.fields as Fields, version, flexible);
  }
}

const identities = fc.record({ correlationId: fc.integer(), clientId: fc.option(fc.string({ maxLength: 12 }), { nil: null }) });

describe.each(EVERY_API.map((known) => [known.name, known] as const))('%s', (_name, known) => {
  test.each(everyVersion(known))('a request of version %i decodes to what was encoded', (version) => {
    fc.assert(
      fc.property(identities, structValues(known.request, version, version >= known.flexibleFrom), (identity, body) => {
        const frame = encodeRequest(known, version, identity, body);
        expect(frame.readInt32BE(0)).toBe(frame.length - 4);
        const decoded = decodeRequest(frame.subarray(4));
        expect(decoded.key).toBe(known.key);
        expect(decoded.version).toBe(version);
        expect({ correlationId: decoded.correlationId, clientId: decoded.clientId }).toEqual(identity);
        expect(decoded.body).toEqual(body);
        expect(Buffer.concat(encodeRequestPieces(known, version, identity, body))).toEqual(frame);
      }),
      { numRuns: 25 },
    );
  });

  test.each(everyVersion(known))('a response of version %i decodes to what was encoded', (version) => {
    fc.assert(
      fc.property(fc.integer(), structValues(known.response, version, version >= known.flexibleFrom), (correlationId, body) => {
        const frame = encodeResponse(known, version, correlationId, body);
        expect(frame.readInt32BE(0)).toBe(frame.length - 4);
        expect(correlationIdOf(frame.subarray(4))).toBe(correlationId);
        const decoded = decodeResponse(known, version, frame.subarray(4));
        expect(decoded.correlationId).toBe(correlationId);
        expect(decoded.body).toEqual(body);
        expect(Buffer.concat(encodeResponsePieces(known, version, correlationId, body))).toEqual(frame);
      }),
      { numRuns: 25 },
    );
  });

  test.each(everyVersion(known))('a response of version %i cut at any byte is refused with a typed error', (version) => {
    const [body] = fc.sample(structValues(known.response, version, version >= known.flexibleFrom), { numRuns: 1, seed: 7 });
    const frame = encodeResponse(known, version, 1, body as Record<string, unknown>).subarray(4);
    for (let length = 0; length < frame.length; length++) expectProtocolError(() => decodeResponse(known, version, frame.subarray(0, length)));
    expectProtocolError(() => decodeResponse(known, version, Buffer.concat([frame, Buffer.from([0])])));
  });

  test.each(everyVersion(known).filter((version) => version >= known.flexibleFrom))(
    'unknown tags anywhere in version %i are skipped exactly (H11)',
    (version) => {
      for (const fields of [known.request, known.response]) {
        const samples = fc.sample(structValues(fields, version, true), { numRuns: 5, seed: 11 });
        for (const value of samples) {
          const strange = strangeTags(fields, version);
          const writer = new Writer();
          structCodec(strange.fields, version, true).encode(writer, strange.fill(value));
          const bytes = writer.finish(false);
          const reader = new Reader(bytes);
          expect(structCodec(fields, version, true).decode(reader)).toEqual(value);
          expect(reader.remaining).toBe(0);
        }
      }
    },
  );
});

/** The same schema with two tags more in every struct, and values for them. */
function strangeTags(fields: Fields, version: number): { fields: Fields; fill(value: Record<string, unknown>): Record<string, unknown> } {
  const tag = (number: number, type: 'string' | 'bytes'): Field => ({
    type,
    since: 0,
    until: 99,
    nullable: 99,
    tag: number,
    default: undefined,
    element: undefined,
    fields: undefined,
  });
  const inner = new Map<string, ReturnType<typeof strangeTags>>();
  const wider: Record<string, Field> = {};
  for (const [name, field] of Object.entries(fields)) {
    const nested = field.type === 'struct' ? field : field.element?.type === 'struct' ? field.element : undefined;
    if (nested === undefined) wider[name] = field;
    else {
      const strange = strangeTags(nested.fields as Fields, version);
      inner.set(name, strange);
      const widened: Field = { ...nested, fields: strange.fields };
      wider[name] = field.type === 'struct' ? widened : { ...field, element: widened };
    }
  }
  wider.strangeText = tag(90, 'string');
  wider.strangeBytes = tag(5000, 'bytes');
  const fill = (value: Record<string, unknown>): Record<string, unknown> => {
    const filled: Record<string, unknown> = { ...value, strangeText: 'from the future', strangeBytes: Buffer.alloc(300, 1) };
    for (const [name, strange] of inner) {
      const given = value[name];
      if (Array.isArray(given)) filled[name] = given.map((item) => strange.fill(item as Record<string, unknown>));
      else if (given !== null && given !== undefined) filled[name] = strange.fill(given as Record<string, unknown>);
    }
    return filled;
  };
  return { fields: wider, fill };
}

function expectProtocolError(run: () => unknown): void {
  let thrown: unknown;
  try {
    run();
  } catch (error) {
    thrown = error;
  }
  expect(MillraceError.is(thrown) && thrown.code, String(thrown)).toBe('ERR_PROTOCOL');
}

describe('golden bytes', () => {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

  test('ApiVersions v3 request: header v2 with a 16-bit client id, compact strings in the body', () => {
    const frame = encodeRequest(APIS.apiVersions, 3, { correlationId: 1, clientId: 'me' }, { clientSoftwareName: 'ab', clientSoftwareVersion: '1' });
    expect(hex(frame)).toBe('00000013' + '0012' + '0003' + '00000001' + '00026d65' + '00' + '036162' + '0231' + '00');
  });

  test('ApiVersions v3 response: header v0 before a flexible body', () => {
    const frame = encodeResponse(APIS.apiVersions, 3, 7, { errorCode: 0, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] });
    expect(hex(frame)).toBe('00000013' + '00000007' + '0000' + '02' + '0012' + '0000' + '0004' + '00' + '00000000' + '00');
  });

  test('ApiVersions v0 error body: what a client of any age can read', () => {
    const frame = encodeResponse(APIS.apiVersions, 0, 7, { errorCode: 35, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] });
    expect(hex(frame)).toBe('00000010' + '00000007' + '0023' + '00000001' + '001200000004');
  });

  test('Metadata v1 request for all topics: null array, null client id', () => {
    expect(hex(encodeRequest(APIS.metadata, 1, { correlationId: 2, clientId: null }, { topics: null }))).toBe(
      '0000000e' + '0003' + '0001' + '00000002' + 'ffff' + 'ffffffff',
    );
  });

  test('FindCoordinator v4 response: header v1 has a tag buffer', () => {
    const frame = encodeResponse(APIS.findCoordinator, 4, 3, {
      coordinators: [{ key: 'g', nodeId: 1, host: 'h', port: 9092, errorCode: 0, errorMessage: null }],
    });
    expect(hex(frame)).toBe('0000001b' + '00000003' + '00' + '00000000' + '02' + '0267' + '00000001' + '0268' + '00002384' + '0000' + '00' + '00' + '00');
  });

  test('Produce v3 response: throttle time comes last', () => {
    const frame = encodeResponse(APIS.produce, 3, 1, {
      responses: [{ name: 't', partitionResponses: [{ index: 0, errorCode: 0, baseOffset: 5, logAppendTimeMs: -1 }] }],
    });
    expect(hex(frame)).toBe(
      '00000029' + '00000001' + '00000001' + '000174' + '00000001' + '00000000' + '0000' + '0000000000000005' + 'ffffffffffffffff' + '00000000',
    );
  });

  test('Heartbeat v4 request', () => {
    const frame = encodeRequest(
      APIS.heartbeat,
      4,
      { correlationId: 9, clientId: 'c' },
      { groupId: 'g', generationId: 3, memberId: 'm', groupInstanceId: null },
    );
    expect(hex(frame)).toBe('00000016' + '000c' + '0004' + '00000009' + '000163' + '00' + '0267' + '00000003' + '026d' + '00' + '00');
  });
});

describe('requests that are not what they should be', () => {
  const frameOf = (apiKey: number, version: number): Buffer => {
    const frame = Buffer.alloc(11);
    frame.writeInt16BE(apiKey, 0);
    frame.writeInt16BE(version, 2);
    frame.writeInt32BE(77, 4);
    frame.writeInt16BE(-1, 8);
    return frame;
  };

  test('bytes after the body are let pass: librdkafka leaves three behind the null list of Metadata 12', () => {
    const header = encodeRequest(APIS.metadata, 12, { correlationId: 2, clientId: 'rdkafka' }, { topics: null });
    const { body } = decodeRequest(Buffer.concat([header.subarray(4), Buffer.from([0, 0, 0])]));
    expect(body).toMatchObject({ topics: null });
  });
  test('an unknown API key is an error that names it', () => {
    expect(decodeRequestHeader(frameOf(999, 0))).toMatchObject({ apiKey: 999, api: undefined, supported: false, correlationId: 77 });
    expect(() => decodeRequest(frameOf(999, 0))).toThrow(/999/);
  });

  test('the header of an ApiVersions request of the future is readable, so it can be answered', () => {
    expect(decodeRequestHeader(frameOf(18, 9))).toMatchObject({ supported: false, version: 9, correlationId: 77, clientId: null });
    expect(() => decodeRequest(frameOf(18, 9))).toThrow(/ApiVersions v9/);
  });

  test('a version below what we speak is refused', () => {
    expect(() => decodeRequest(frameOf(0, 2))).toThrow(/Produce v2/);
  });

  test('every key in the registry finds itself', () => {
    for (const known of EVERY_API) expect(api(known.key)).toBe(known);
    expect(api(1234)).toBeUndefined();
  });

  test('ranges are consistent: client and advertised maximum within what is implemented', () => {
    for (const known of EVERY_API) {
      expect(known.advertised.max, known.name).toBeLessThanOrEqual(known.versions.max);
      if (known.client !== undefined) {
        expect(known.client.min, known.name).toBeGreaterThanOrEqual(known.versions.min);
        expect(known.client.max, known.name).toBeLessThanOrEqual(known.versions.max);
      }
    }
  });
});

describe('declared lengths and counts that lie (H28)', () => {
  const LIES = [-2, -1, 0, 0x7fff_ffff, 0xffff_ffff];

  test('a non-flexible array count is refused before anything is allocated', () => {
    const good = encodeResponse(APIS.metadata, 0, 1, { brokers: [], topics: [] }).subarray(4);
    for (const lie of [...LIES, 1]) {
      if (lie === 0) continue;
      const bytes = Buffer.from(good);
      bytes.writeInt32BE(lie | 0, 4);
      expectProtocolError(() => decodeResponse(APIS.metadata, 0, bytes));
    }
  });

  test('a compact array count is refused before anything is allocated', () => {
    for (const lie of [0x7fff_ffff, 0xffff_ffff, 2]) {
      const writer = new Writer();
      writer.int32(1); // correlation id
      writer.unsignedVarint(0); // header tags
      writer.int32(0); // throttle time
      writer.unsignedVarint(lie);
      expectProtocolError(() => decodeResponse(APIS.findCoordinator, 4, writer.finish(false)));
    }
  });

  test('string and bytes lengths past the end are refused', () => {
    for (const lie of [-2, 0x7fff, 3]) {
      const frame = Buffer.from(encodeRequest(APIS.saslHandshake, 1, { correlationId: 1, clientId: null }, { mechanism: 'ab' }).subarray(4));
      frame.writeInt16BE(lie, 10);
      expectProtocolError(() => decodeRequest(frame));
    }
    for (const lie of [-2, 0x7fff_ffff, 3]) {
      const frame = Buffer.from(encodeRequest(APIS.saslAuthenticate, 0, { correlationId: 1, clientId: null }, { authBytes: Buffer.from('ab') }).subarray(4));
      frame.writeInt32BE(lie, 10);
      expectProtocolError(() => decodeRequest(frame));
    }
  });

  test('a tag count and a tag size past the end are refused, tags out of order too', () => {
    const bytes = (...tail: number[]): Buffer => Buffer.from([0, 0, 0, 1, ...tail]);
    expectProtocolError(() => decodeResponse(APIS.heartbeat, 4, bytes(0xff, 0xff, 0xff, 0xff, 0x0f)));
    expectProtocolError(() => decodeResponse(APIS.heartbeat, 4, bytes(1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f)));
    const twice = Buffer.concat([encodeResponse(APIS.apiVersions, 3, 1, { errorCode: 0, apiKeys: [] }).subarray(4, -1), Buffer.from([2, 9, 0, 1, 0])]);
    expectProtocolError(() => decodeResponse(APIS.apiVersions, 3, twice));
  });

  test('a known tag must use exactly its declared size', () => {
    const head = encodeResponse(APIS.apiVersions, 3, 1, { errorCode: 0, apiKeys: [] }).subarray(4, -1);
    expectProtocolError(() => decodeResponse(APIS.apiVersions, 3, Buffer.concat([head, Buffer.from([1, 3, 2, 1, 1])])));
    expect(decodeResponse(APIS.apiVersions, 3, Buffer.concat([head, Buffer.from([1, 3, 1, 1])])).body.zkMigrationReady).toBe(true);
  });

  test('null where a version forbids it is refused', () => {
    const frame = encodeRequest(APIS.metadata, 1, { correlationId: 1, clientId: null }, { topics: null }).subarray(4);
    const asVersionZero = Buffer.from(frame);
    asVersionZero.writeInt16BE(0, 2);
    expectProtocolError(() => decodeRequest(asVersionZero));
  });

  test('random bytes never crash a decoder with anything but a typed error', () => {
    fc.assert(
      fc.property(fc.constantFrom(...EVERY_API), fc.nat(), fc.uint8Array({ maxLength: 120 }), (known, pick, tail) => {
        const version = known.versions.min + (pick % (known.versions.max - known.versions.min + 1));
        try {
          decodeResponse(known, version, Buffer.from(tail));
        } catch (error) {
          expect(MillraceError.is(error) && error.code, String(error)).toBe('ERR_PROTOCOL');
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('large record data', () => {
  test('goes out as pieces that are the caller’s own buffers', () => {
    const records = Buffer.alloc(100_000, 3);
    const body = {
      responses: [{ topic: 't', partitions: [{ partitionIndex: 0, errorCode: 0, highWatermark: 1, abortedTransactions: null, records: [records, records] }] }],
    };
    const pieces = encodeResponsePieces(APIS.fetch, 12, 4, body);
    expect(pieces.filter((piece) => piece.buffer === records.buffer)).toHaveLength(2);
    const whole = Buffer.concat(pieces);
    expect(whole.readInt32BE(0)).toBe(whole.length - 4);
    expect(decodeResponse(APIS.fetch, 12, whole.subarray(4)).body.responses[0]?.partitions[0]?.records).toEqual(Buffer.concat([records, records]));
    expect(whole).toEqual(encodeResponse(APIS.fetch, 12, 4, body));
  });
});
