// Frames: the message size, the header and the body of a request or a response, with the traps of Kafka's headers.
// Owns: header layouts and which header belongs to which version.  Never: holds a socket, waits, matches correlation ids.
// F1 encoding gives a whole frame, its 4-byte size included; decoding takes a frame without those 4 bytes.
// F2 request header v2 (flexible versions) still carries the client id with a 16-bit length; only the tag buffer is new.
// F3 responses to ApiVersions always have header v0, so that a client can read them before it knows anything.
// Source: KIP-482, KIP-511.
import { assert } from '@millrace/core';
import { type ApiByKey, type ApiKey, api } from './apis.ts';
import { structCodec } from './codec.ts';
import { Reader } from './reader.ts';
import type { Api, RequestBody, RequestInput, ResponseBody, ResponseInput } from './schema.ts';
import { protocolError } from './wire-error.ts';
import { type Writer, withWriter } from './writer.ts';

const API_VERSIONS = 18;

/** Who asks, as every request header says. */
export interface RequestIdentity {
  readonly correlationId: number;
  readonly clientId: string | null;
}

/** A request header as it came, before anybody knows whether we speak that version. */
export interface RequestHeader extends RequestIdentity {
  readonly apiKey: number;
  readonly version: number;
  /** The API, if the key is known. */
  readonly api: Api | undefined;
  /** True when the body can be decoded. An ApiVersions request that is not supported is answered with the v0 body and error 35. */
  readonly supported: boolean;
  /** Where the body begins in the frame. */
  readonly bodyAt: number;
}

/** A decoded request; switch on `key` to get the type of `body`. */
export type DecodedRequest = {
  [K in ApiKey]: {
    readonly key: K;
    readonly api: ApiByKey<K>;
    readonly version: number;
    readonly correlationId: number;
    readonly clientId: string | null;
    readonly body: RequestBody<ApiByKey<K>>;
  };
}[ApiKey];

function isFlexible(known: Api, version: number): boolean {
  return version >= known.flexibleFrom;
}

function assertVersion(known: Api, version: number): void {
  assert(version >= known.versions.min && version <= known.versions.max, `${known.name} v${version}: we speak ${known.versions.min}-${known.versions.max}`);
}

function writeRequest(writer: Writer, known: Api, version: number, identity: RequestIdentity, body: unknown): void {
  assertVersion(known, version);
  const flexible = isFlexible(known, version);
  writer.int32(0);
  writer.int16(known.key);
  writer.int16(version);
  writer.int32(identity.correlationId);
  writer.string(identity.clientId);
  if (flexible) writer.unsignedVarint(0);
  structCodec(known.request, version, flexible).encode(writer, body);
}

/** A request as one buffer, ready for the socket (4-byte size first). */
export function encodeRequest<A extends Api>(known: A, version: number, identity: RequestIdentity, body: RequestInput<A>): Buffer {
  return withWriter((writer) => {
    writeRequest(writer, known, version, identity, body);
    return writer.finish(true);
  });
}

/** The same in pieces for one writev: large record data is not copied and must not change until it is sent. */
export function encodeRequestPieces<A extends Api>(known: A, version: number, identity: RequestIdentity, body: RequestInput<A>): Buffer[] {
  return withWriter((writer) => {
    writeRequest(writer, known, version, identity, body);
    return writer.finishPieces(true);
  });
}

/** Reads the header of a frame (without its 4-byte size). Throws ERR_PROTOCOL when it does not parse. */
export function decodeRequestHeader(frame: Buffer): RequestHeader {
  const reader = new Reader(frame);
  const apiKey = reader.int16();
  const version = reader.int16();
  const correlationId = reader.int32();
  const clientId = reader.string();
  const known = api(apiKey);
  if (known !== undefined && isFlexible(known, version)) reader.skipTags();
  const supported = known !== undefined && version >= known.versions.min && version <= known.versions.max;
  return { apiKey, version, correlationId, clientId, api: known, supported, bodyAt: reader.position };
}

/**
 * A whole request frame (without its 4-byte size). Data fields are views over `frame`.
 * Bytes after the body are let pass, as Kafka does: librdkafka sends three when it asks for the metadata of all topics.
 * Throws ERR_PROTOCOL for an unknown API, a version we do not speak, a body that does not parse.
 */
export function decodeRequest(frame: Buffer, header: RequestHeader = decodeRequestHeader(frame)): DecodedRequest {
  const { api: known, version, correlationId, clientId } = header;
  const where = { apiKey: header.apiKey, version, correlationId };
  if (known === undefined) throw protocolError(`request with unknown API key ${header.apiKey}`, where);
  if (!header.supported) throw protocolError(`${known.name} v${version} was asked; we speak ${known.versions.min}-${known.versions.max}`, where);
  const body = structCodec(known.request, version, isFlexible(known, version)).decode(new Reader(frame, header.bodyAt));
  // Sound: the body was decoded with the request schema of the API whose key stands beside it.
  return { key: known.key, api: known, version, correlationId, clientId, body } as unknown as DecodedRequest;
}

function decodeResponseBody(known: Api, version: number, frame: Buffer, at: number): unknown {
  const reader = new Reader(frame, at);
  const body = structCodec(known.response, version, isFlexible(known, version)).decode(reader);
  if (reader.remaining !== 0) throw protocolError(`${known.name} v${version}: ${reader.remaining} bytes left over`, { apiKey: known.key, version });
  return body;
}

function writeResponse(writer: Writer, known: Api, version: number, correlationId: number, body: unknown): void {
  assertVersion(known, version);
  const flexible = isFlexible(known, version);
  writer.int32(0);
  writer.int32(correlationId);
  if (flexible && known.key !== API_VERSIONS) writer.unsignedVarint(0);
  structCodec(known.response, version, flexible).encode(writer, body);
}

/** A response as one buffer, ready for the socket (4-byte size first). */
export function encodeResponse<A extends Api>(known: A, version: number, correlationId: number, body: ResponseInput<A>): Buffer {
  return withWriter((writer) => {
    writeResponse(writer, known, version, correlationId, body);
    return writer.finish(true);
  });
}

/** The same in pieces for one writev: large record data is not copied and must not change until it is sent. */
export function encodeResponsePieces<A extends Api>(known: A, version: number, correlationId: number, body: ResponseInput<A>): Buffer[] {
  return withWriter((writer) => {
    writeResponse(writer, known, version, correlationId, body);
    return writer.finishPieces(true);
  });
}

/** The correlation id of a response frame (without its 4-byte size): which request it answers decides how to read the rest. */
export function correlationIdOf(frame: Buffer): number {
  return new Reader(frame).int32();
}

export interface DecodedResponse<A> {
  readonly correlationId: number;
  readonly body: ResponseBody<A>;
}

/** A whole response frame (without its 4-byte size). Data fields are views over `frame`. Throws ERR_PROTOCOL. */
export function decodeResponse<A extends Api>(known: A, version: number, frame: Buffer): DecodedResponse<A> {
  assertVersion(known, version);
  const reader = new Reader(frame);
  const correlationId = reader.int32();
  if (isFlexible(known, version) && known.key !== API_VERSIONS) reader.skipTags();
  const body = decodeResponseBody(known, version, frame, reader.position);
  return { correlationId, body: body as ResponseBody<A> };
}
