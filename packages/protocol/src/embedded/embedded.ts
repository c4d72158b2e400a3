// Kafka's smaller formats: bytes inside other messages (subscriptions, assignments) and the records of Kafka's internal topics.
// Each begins with its version as an int16. Owns: the framing.  Never: knows what the records mean (the broker's coordinators do).
// E1 a reader accepts a version newer than it knows where the format promises only to append fields (consumer protocol): the known
//    fields are read, the rest is left alone.
import { assert } from '@millrace/core';
import { structCodec } from '../codec.ts';
import { Reader } from '../reader.ts';
import type { Decoded, Encodable, Fields, VersionRange } from '../schema.ts';
import { protocolError } from '../wire-error.ts';
import { withWriter } from '../writer.ts';

export interface EmbeddedSchema<F extends Fields = Fields> {
  readonly name: string;
  readonly versions: VersionRange;
  readonly flexibleFrom: number;
  /** Newer versions only append: read what is known of them. */
  readonly appendOnly: boolean;
  readonly fields: F;
}

export function defineEmbedded<const F extends Fields>(schema: {
  readonly name: string;
  readonly versions: readonly [min: number, max: number];
  readonly flexible: number | undefined;
  readonly appendOnly?: boolean;
  readonly fields: F;
}): EmbeddedSchema<F> {
  return {
    name: schema.name,
    versions: { min: schema.versions[0], max: schema.versions[1] },
    flexibleFrom: schema.flexible ?? 0x7fff,
    appendOnly: schema.appendOnly ?? false,
    fields: schema.fields,
  };
}

/** int16 version, then the fields. */
export function encodeEmbedded<F extends Fields>(schema: EmbeddedSchema<F>, version: number, value: Encodable<F>): Buffer {
  assert(
    version >= schema.versions.min && version <= schema.versions.max,
    `${schema.name} v${version}: we speak ${schema.versions.min}-${schema.versions.max}`,
  );
  return withWriter((writer) => {
    writer.int16(version);
    structCodec(schema.fields, version, version >= schema.flexibleFrom).encode(writer, value);
    return writer.finish(false);
  });
}

export interface DecodedEmbedded<F extends Fields> {
  /** As written, which may be above what we know (E1). */
  readonly version: number;
  readonly value: Decoded<F>;
}

/** Reads what encodeEmbedded wrote. Byte fields are views over `bytes`. Throws ERR_PROTOCOL. */
export function decodeEmbedded<F extends Fields>(schema: EmbeddedSchema<F>, bytes: Uint8Array): DecodedEmbedded<F> {
  const reader = new Reader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const version = reader.int16();
  const { min, max } = schema.versions;
  if (version < min || (version > max && !schema.appendOnly)) throw protocolError(`${schema.name} has version ${version}; we read ${min}-${max}`, { version });
  const known = Math.min(version, max);
  const value = structCodec(schema.fields, known, known >= schema.flexibleFrom).decode(reader) as Decoded<F>;
  if (reader.remaining !== 0 && !schema.appendOnly) throw protocolError(`${schema.name} v${version}: ${reader.remaining} bytes left over`, { version });
  return { version, value };
}

/** The int16 version in front: which of several key formats this is. -1 when there is none. */
export function embeddedVersion(bytes: Uint8Array): number {
  return bytes.length < 2 ? -1 : (((bytes[0] as number) << 24) >> 16) | (bytes[1] as number);
}
