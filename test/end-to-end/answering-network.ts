// A network on which somebody between client and broker answers some requests himself: the broker never sees those.
// Owns: the boundaries of request frames.  Never: touches what it lets through.
import type { Network, Timers } from '@millrace/core';
import { type Api, api, decodeRequest, decodeRequestHeader, encodeResponse } from '@millrace/protocol';

export interface AskedRequest {
  /** Of the API, as Kafka writes it: `EndTxn`. */
  readonly name: string;
  readonly version: number;
  readonly clientId: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: bodies of many shapes, of which a test reads a field or two
  body(): any;
}

/**
 * The body of an answer (fields that are left out have their defaults, `version` is that of the request), a hold on its way, or undefined: it goes on to
 * the broker.
 */
export type AnswerInstead = (request: AskedRequest) => { readonly body: object; readonly version?: number } | { readonly holdMs: number } | undefined;

/** Clients connect through the result; who listens uses `network` itself. */
export function answeringNetwork(network: Network, timers: Timers, answer: AnswerInstead): Network {
  return {
    listen: (options, accept) => network.listen(options, accept),
    async connect(options, events) {
      const socket = await network.connect(options, events);
      let held = Buffer.alloc(0);
      const take = (frame: Buffer): void => {
        const header = decodeRequestHeader(frame.subarray(4));
        const known = api(header.apiKey);
        const instead =
          known === undefined
            ? undefined
            : answer({
                name: known.name,
                version: header.version,
                clientId: header.clientId,
                body: () => decodeRequest(frame.subarray(4), decodeRequestHeader(frame.subarray(4))).body,
              });
        if (instead === undefined) socket.write(frame);
        else if ('holdMs' in instead) timers.after(instead.holdMs, () => socket.write(frame));
        else
          timers.after(0, () =>
            events.onData(Buffer.from(encodeResponse(known as Api, instead.version ?? header.version, header.correlationId, instead.body as never))),
          );
      };
      return {
        remoteAddress: socket.remoteAddress,
        remotePort: socket.remotePort,
        get bufferedBytes() {
          return socket.bufferedBytes;
        },
        write(bytes: Uint8Array): boolean {
          held = Buffer.concat([held, bytes]);
          while (held.length >= 4 && held.length >= 4 + held.readInt32BE(0)) {
            const end = 4 + held.readInt32BE(0);
            take(Buffer.from(held.subarray(0, end)));
            held = held.subarray(end);
          }
          return true;
        },
        cork: () => socket.cork(),
        uncork: () => socket.uncork(),
        pause: () => socket.pause(),
        resume: () => socket.resume(),
        end: () => socket.end(),
        destroy: () => socket.destroy(),
      };
    },
  };
}
