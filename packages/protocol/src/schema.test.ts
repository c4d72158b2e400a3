import { describe, expect, expectTypeOf, test } from 'vitest';
import { APIS, api } from './apis.ts';
import { structCodec } from './codec.ts';
import { decodeRequest, encodeRequest, encodeResponse } from './frame.ts';
import { Reader } from './reader.ts';
import { array, type Decoded, type Encodable, int32, int64, type RequestBody, type ResponseInput, string, struct } from './schema.ts';
import { Writer } from './writer.ts';

const fields = {
  name: string(),
  rack: string({ nullable: 1 }),
  epoch: int64({ since: 2, default: -1 }),
  parts: array({ index: int32(), later: int32({ since: 2 }) }),
  hint: struct({ node: int32() }, { since: 2, tag: 0 }),
};

function roundTrip(version: number, flexible: boolean, value: Encodable<typeof fields>): unknown {
  const writer = new Writer();
  const codec = structCodec(fields, version, flexible);
  codec.encode(writer, value);
  return codec.decode(new Reader(writer.finish(false)));
}

describe('types read off a schema', () => {
  test('decoding gives every field, encoding may leave out what has a default or a first version', () => {
    expectTypeOf<Decoded<typeof fields>['rack']>().toEqualTypeOf<string | null>();
    expectTypeOf<Decoded<typeof fields>['epoch']>().toEqualTypeOf<number>();
    expectTypeOf<Decoded<typeof fields>['parts']>().toEqualTypeOf<readonly { readonly index: number; readonly later: number }[]>();
    const least: Encodable<typeof fields> = { name: 'a', rack: null, parts: [{ index: 1 }] };
    // @ts-expect-error -- a field without a default is not optional
    const missing: Encodable<typeof fields> = { name: 'a', rack: null };
    expect([least, missing]).toHaveLength(2);
  });

  test('an API by key has the types of that API', () => {
    expectTypeOf(api(12)).toEqualTypeOf<typeof APIS.heartbeat>();
    expectTypeOf<RequestBody<typeof APIS.heartbeat>['memberId']>().toEqualTypeOf<string>();
    // @ts-expect-error -- the error code of a response must be said
    const silent: ResponseInput<typeof APIS.heartbeat> = {};
    expect(silent).toEqual({});
    const decoded = decodeRequest(
      encodeRequest(APIS.heartbeat, 4, { correlationId: 1, clientId: null }, { groupId: 'g', generationId: 1, memberId: 'm' }).subarray(4),
    );
    if (decoded.key === 12) expectTypeOf(decoded.body.generationId).toEqualTypeOf<number>();
    expect(decoded.key).toBe(12);
  });

  test('what was decoded can be encoded again', () => {
    expectTypeOf<Decoded<typeof fields>>().toExtend<Encodable<typeof fields>>();
  });
});

describe('versions', () => {
  const value = { name: 'a', rack: 'r', epoch: 7, parts: [{ index: 1, later: 2 }], hint: { node: 3 } };

  test('fields of later versions are left out and read back as their defaults', () => {
    expect(roundTrip(1, false, value)).toEqual({ name: 'a', rack: 'r', epoch: -1, parts: [{ index: 1, later: 0 }], hint: undefined });
    expect(roundTrip(2, true, value)).toEqual(value);
  });

  test('null before the version that allows it is our own mistake', () => {
    expect(() => roundTrip(0, false, { ...value, rack: null })).toThrow(/null in a field/);
    expect(roundTrip(1, false, { ...value, rack: null })).toMatchObject({ rack: null });
  });

  test('a version we do not speak is our own mistake when encoding', () => {
    expect(() => encodeResponse(APIS.heartbeat, 5, 1, { errorCode: 0 })).toThrow(/we speak 0-4/);
  });

  test('the codec of a version is compiled once', () => {
    expect(structCodec(fields, 1, false)).toBe(structCodec(fields, 1, false));
    expect(structCodec(fields, 1, false)).not.toBe(structCodec(fields, 1, true));
  });
});
