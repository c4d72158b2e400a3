// Turns a schema and a version into two closures, once: one that writes a value, one that reads it.
// Owns: the cache of compiled closures.  Never: looks at version numbers while encoding or decoding.
// C1 a count is refused before allocation when its elements could not fit (smallest size of an element, known from the schema).
// C2 unknown tags are skipped by their declared size, exactly; known ones must use all of theirs.
import { assert } from '@millrace/core';
import { Reader } from './reader.ts';
import type { Field, Fields } from './schema.ts';
import { protocolError } from './wire-error.ts';
import { type Writer, withWriter } from './writer.ts';

export type Encode = (writer: Writer, value: unknown) => void;
export type Decode = (reader: Reader) => unknown;
export interface Codec {
  readonly encode: Encode;
  readonly decode: Decode;
  /** Least bytes a value can take. */
  readonly bytesMin: number;
}

const cache = new WeakMap<Fields, Map<number, Codec>>();

/** The codec of a struct at a version; compiled on first use. `flexible`: compact lengths and tag buffers. */
export function structCodec(fields: Fields, version: number, flexible: boolean): Codec {
  let byVersion = cache.get(fields);
  if (byVersion === undefined) cache.set(fields, (byVersion = new Map()));
  const key = version * 2 + (flexible ? 1 : 0);
  let codec = byVersion.get(key);
  if (codec === undefined) byVersion.set(key, (codec = compileStruct(fields, version, flexible)));
  return codec;
}

interface Member {
  readonly name: string;
  readonly codec: Codec;
  readonly field: Field;
  /** A fresh default for each decode of an absent field. */
  readonly fallback: () => unknown;
}

function compileStruct(fields: Fields, version: number, flexible: boolean): Codec {
  const inline: Member[] = [];
  const tagged: Member[] = [];
  const absent: Member[] = [];
  for (const [name, field] of Object.entries(fields)) {
    const lives = version >= field.since && version <= field.until;
    const member: Member = { name, field, codec: compileField(field, version, flexible), fallback: defaultOf(field, version) };
    if (!lives || (field.tag !== undefined && !flexible)) absent.push(member);
    else if (field.tag !== undefined) tagged.push(member);
    else inline.push(member);
  }
  tagged.sort((left, right) => (left.field.tag as number) - (right.field.tag as number));
  const byTag = new Map(tagged.map((member) => [member.field.tag as number, member]));
  const defaulted = [...absent, ...tagged];

  return {
    bytesMin: inline.reduce((sum, member) => sum + member.codec.bytesMin, flexible ? 1 : 0),
    encode(writer, value) {
      const struct = value as Readonly<Record<string, unknown>>;
      for (const member of inline) {
        const given = struct[member.name];
        const present = given === undefined ? member.fallback() : given;
        assert(present !== undefined, `field ${member.name} is missing`);
        member.codec.encode(writer, present);
      }
      if (flexible) encodeTags(writer, tagged, struct);
    },
    decode(reader) {
      const struct: Record<string, unknown> = {};
      for (const member of inline) struct[member.name] = member.codec.decode(reader);
      for (const member of defaulted) struct[member.name] = member.fallback();
      if (flexible) decodeTags(reader, byTag, struct);
      return struct;
    },
  };
}

/** Only what differs from its default is sent: some decoders choke on any tag they do not expect. */
function encodeTags(writer: Writer, tagged: readonly Member[], struct: Readonly<Record<string, unknown>>): void {
  const sent = tagged.filter((member) => {
    const value = struct[member.name];
    return value !== undefined && value !== member.field.default && !(Array.isArray(value) && value.length === 0 && member.field.default !== null);
  });
  writer.unsignedVarint(sent.length);
  for (const member of sent) {
    const content = withWriter((inner) => {
      member.codec.encode(inner, struct[member.name]);
      return inner.finish(false);
    });
    writer.unsignedVarint(member.field.tag as number);
    writer.unsignedVarint(content.length);
    writer.raw(content);
  }
}

function decodeTags(reader: Reader, byTag: ReadonlyMap<number, Member>, struct: Record<string, unknown>): void {
  if (byTag.size === 0) {
    reader.skipTags();
    return;
  }
  const count = reader.unsignedVarint();
  if (count * 2 > reader.remaining) throw protocolError(`${count} tagged fields cannot fit in ${reader.remaining} bytes`, { at: reader.position });
  let previous = -1;
  for (let index = 0; index < count; index++) {
    const tag = reader.unsignedVarint();
    if (tag <= previous) throw protocolError(`tag ${tag} after tag ${previous}: tags must ascend`, { at: reader.position });
    previous = tag;
    const size = reader.unsignedVarint();
    const member = byTag.get(tag);
    const at = reader.take(size);
    if (member === undefined) continue;
    const content = new Reader(reader.buffer, at, at + size);
    struct[member.name] = member.codec.decode(content);
    if (content.remaining !== 0) throw protocolError(`tagged field ${member.name} declares ${size} bytes but uses ${size - content.remaining}`, { at });
  }
}

function defaultOf(field: Field, version: number): () => unknown {
  if (field.default !== undefined) return () => field.default;
  const fields = field.fields;
  if (fields === undefined || field.tag !== undefined || version < field.since || version > field.until) return () => undefined;
  return () => Object.fromEntries(Object.entries(fields).map(([name, inner]) => [name, defaultOf(inner, version)()]));
}

function compileField(field: Field, version: number, flexible: boolean): Codec {
  const nullable = version >= field.nullable;
  switch (field.type) {
    case 'bool':
      return { bytesMin: 1, encode: (writer, value) => writer.bool(value as boolean), decode: (reader) => reader.bool() };
    case 'int8':
      return { bytesMin: 1, encode: (writer, value) => writer.int8(value as number), decode: (reader) => reader.int8() };
    case 'int16':
      return { bytesMin: 2, encode: (writer, value) => writer.int16(value as number), decode: (reader) => reader.int16() };
    case 'uint16':
      return { bytesMin: 2, encode: (writer, value) => writer.uint16(value as number), decode: (reader) => reader.uint16() };
    case 'int32':
      return { bytesMin: 4, encode: (writer, value) => writer.int32(value as number), decode: (reader) => reader.int32() };
    case 'int64':
      return { bytesMin: 8, encode: (writer, value) => writer.int64(value as number), decode: (reader) => reader.int64() };
    case 'float64':
      return { bytesMin: 8, encode: (writer, value) => writer.float64(value as number), decode: (reader) => reader.float64() };
    case 'uuid':
      return { bytesMin: 16, encode: (writer, value) => writer.uuid(value as string), decode: (reader) => reader.uuid() };
    case 'string':
      return refusingNull(nullable, {
        bytesMin: flexible ? 1 : 2,
        encode: flexible ? (writer, value) => writer.compactString(value as string) : (writer, value) => writer.string(value as string),
        decode: flexible ? (reader) => reader.compactString() : (reader) => reader.string(),
      });
    case 'bytes':
      return refusingNull(nullable, {
        bytesMin: flexible ? 1 : 4,
        encode: flexible ? (writer, value) => writer.compactBytes(value as Uint8Array) : (writer, value) => writer.bytes(value as Uint8Array),
        decode: flexible ? (reader) => reader.compactBytes() : (reader) => reader.bytes(),
      });
    case 'records':
      return {
        bytesMin: flexible ? 1 : 4,
        encode: (writer, value) => encodeRecords(writer, value as Uint8Array | readonly Uint8Array[] | null, flexible),
        decode: flexible ? (reader) => reader.compactBytes() : (reader) => reader.bytes(),
      };
    case 'array':
      return refusingNull(nullable, compileArray(field, version, flexible));
    case 'struct':
      return compileNested(field, version, flexible, nullable);
  }
}

function encodeRecords(writer: Writer, value: Uint8Array | readonly Uint8Array[] | null, flexible: boolean): void {
  if (value === null) {
    if (flexible) writer.compactBytes(null);
    else writer.bytes(null);
    return;
  }
  const pieces = value instanceof Uint8Array ? [value] : value;
  let length = 0;
  for (const piece of pieces) length += piece.length;
  if (flexible) writer.unsignedVarint(length + 1);
  else writer.int32(length);
  for (const piece of pieces) writer.rawPiece(piece);
}

function compileArray(field: Field, version: number, flexible: boolean): Codec {
  const element = compileField(field.element as Field, version, flexible);
  return {
    bytesMin: flexible ? 1 : 4,
    encode(writer, value) {
      const items = value as readonly unknown[] | null;
      const prefix = items === null ? -1 : items.length;
      if (flexible) writer.unsignedVarint(prefix + 1);
      else writer.int32(prefix);
      if (items !== null) for (const item of items) element.encode(writer, item);
    },
    decode(reader) {
      const count = flexible ? reader.compactArrayCount(element.bytesMin) : reader.arrayCount(element.bytesMin);
      if (count === -1) return null;
      const items: unknown[] = [];
      for (let index = 0; index < count; index++) items.push(element.decode(reader));
      return items;
    },
  };
}

/** A nullable struct has an int8 before it: -1 for null, 1 for present. */
function compileNested(field: Field, version: number, flexible: boolean, nullable: boolean): Codec {
  const nested = structCodec(field.fields as Fields, version, flexible);
  if (!nullable) return nested;
  return {
    bytesMin: 1,
    encode(writer, value) {
      writer.int8(value === null ? -1 : 1);
      if (value !== null) nested.encode(writer, value);
    },
    decode: (reader) => (reader.int8() < 0 ? null : nested.decode(reader)),
  };
}

function refusingNull(nullable: boolean, codec: Codec): Codec {
  if (nullable) return codec;
  return {
    bytesMin: codec.bytesMin,
    encode(writer, value) {
      assert(value !== null, 'null in a field that this version does not allow to be null');
      codec.encode(writer, value);
    },
    decode(reader) {
      const value = codec.decode(reader);
      if (value === null) throw protocolError(`null before ${reader.position} in a field that may not be null`, { at: reader.position });
      return value;
    },
  };
}
