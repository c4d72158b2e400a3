// From a frame to an answer: finds the handler of an API key, decodes, calls, encodes.
// Owns: the table of handlers and the list that ApiVersions shows.  Never: knows sockets, decides anything about topics or groups.
// R1 an unknown key, a version beyond what is advertised, or a body that does not parse ends the connection, as with Kafka.
// R2 an ApiVersions request of a version we do not have is answered in its version 0 with error 35, so that the client can step down.
import { assert, MillraceError } from '@millrace/core';
import {
  APIS,
  type Api,
  api,
  decodeRequest,
  decodeRequestHeader,
  ERROR_CODES,
  encodeResponse,
  encodeResponsePieces,
  type RequestHeader,
} from '@millrace/protocol';
import { type ClientConnection, type ErasedHandler, type HandlerEntry, NO_RESPONSE } from '../handler.ts';
import type { AnswerOrNone, RequestSink } from './connection.ts';

/** What a request has cost, for quotas. */
export interface RequestCharge {
  readonly apiKey: number;
  readonly clientId: string | null;
  readonly requestBytes: number;
  readonly answerBytes: number;
  /** Of this thread. */
  readonly busyMs: number;
}

/** Where quotas are kept. The client is told how long to be quiet, and its connection is muted for as long. */
export interface RequestMeter {
  readonly isOn: boolean;
  nowMs(): number;
  charge(connection: ClientConnection, charge: RequestCharge): number;
}

export interface AdvertisedApi {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

export class Router implements RequestSink {
  readonly #handlers = new Map<number, ErasedHandler>();

  readonly #meter: RequestMeter | undefined;

  constructor(entries: readonly HandlerEntry[], meter?: RequestMeter) {
    this.#meter = meter;
    for (const { apiKey, handler } of entries) {
      assert(api(apiKey) !== undefined && !this.#handlers.has(apiKey), `API key ${apiKey} has no schema or two handlers`);
      this.#handlers.set(apiKey, handler);
    }
  }

  handle(frame: Buffer, connection: ClientConnection): AnswerOrNone | Promise<AnswerOrNone> {
    const header = decodeRequestHeader(frame);
    const { apiKey, version, correlationId, clientId } = header;
    if (!connection.login.admits(apiKey))
      throw new MillraceError('ERR_PROTOCOL', `a client asked for API ${header.api?.name ?? apiKey} before it logged in, or after its login ran out`, {
        apiKey,
      });
    const handler = this.#handlers.get(apiKey);
    const known = header.api;
    if (apiKey === APIS.apiVersions.key && !header.supported) return { pieces: [refuseApiVersions(correlationId)], taken: undefined };
    if (handler === undefined || known === undefined || !header.supported || version > known.advertised.max)
      throw new MillraceError('ERR_PROTOCOL', `a client asked for API ${known?.name ?? apiKey} version ${version}, which this broker does not offer`, {
        apiKey,
        version,
      });
    const { body } = decodeRequest(frame, header);
    const meter = this.#meter?.isOn === true ? this.#meter : undefined;
    const startedMs = meter?.nowMs() ?? 0;
    let taken: (() => void) | undefined;
    const whenTaken = (run: () => void): void => {
      taken = run;
    };
    const result = handler(body, { apiKey, version, correlationId, clientId, connection, whenTaken });
    const busyMs = meter === undefined ? 0 : meter.nowMs() - startedMs;
    const answer = (response: unknown): AnswerOrNone => {
      const pieces = response === NO_RESPONSE ? [] : encode(known, header, response);
      if (meter === undefined) return response === NO_RESPONSE ? undefined : { pieces, taken };
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      const quietMs = meter.charge(connection, { apiKey, clientId, requestBytes: frame.length, answerBytes: bytes, busyMs });
      if (response === NO_RESPONSE) return undefined;
      return { pieces: quietMs === 0 ? pieces : encode(known, header, { ...(response as object), throttleTimeMs: quietMs }), taken };
    };
    return result instanceof Promise ? result.then(answer) : answer(result);
  }
}

/** What ApiVersions shows for a table of handlers. */
export function advertisedApis(keys: Iterable<number>): AdvertisedApi[] {
  return [...keys]
    .sort((left, right) => left - right)
    .map((apiKey) => {
      const range = (api(apiKey) as Api).advertised;
      return { apiKey, minVersion: range.min, maxVersion: range.max };
    });
}

function encode(known: Api, header: RequestHeader, response: unknown): readonly Buffer[] {
  // Sound: a handler's entry ties its response type to this API's schema.
  return encodeResponsePieces(known, header.version, header.correlationId, response as Parameters<typeof encodeResponsePieces>[3]);
}

function refuseApiVersions(correlationId: number): Buffer {
  const { key, advertised } = APIS.apiVersions;
  return encodeResponse(APIS.apiVersions, 0, correlationId, {
    errorCode: ERROR_CODES.UNSUPPORTED_VERSION,
    apiKeys: [{ apiKey: key, minVersion: advertised.min, maxVersion: advertised.max }],
  });
}
