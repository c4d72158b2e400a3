// One of the two brokers under comparison: asks over bare sockets, and knows what this broker has made up (member ids, producer ids …) by name.
// Owns: its connections, the values behind names.  Never: decides what is asked, compares.
// D1 a connection that was closed, or whose answer does not come, is given up; the next request on that lane opens another.
import { connect, type Socket } from 'node:net';
import { type Api, decodeResponse, encodeRequest } from '@millrace/protocol';

/** A value that each broker has its own of. Until one is known, `fallback` is sent. */
export class Known {
  readonly name: string;
  readonly fallback: unknown;

  constructor(name: string, fallback: unknown) {
    this.name = name;
    this.fallback = fallback;
  }
}

export type Outcome = { readonly kind: 'answer'; readonly body: unknown } | { readonly kind: 'closed' } | { readonly kind: 'parked' };

const PARKED_MS = 4_000;

class Lane {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #done: ((frame: Buffer | undefined) => void) | undefined;
  isOver = false;

  constructor(host: string, port: number) {
    this.#socket = connect(port, host);
    this.#socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      const end = this.#received.length < 4 ? Number.POSITIVE_INFINITY : this.#received.readInt32BE(0) + 4;
      if (this.#received.length < end) return;
      const frame = this.#received.subarray(4, end);
      this.#received = this.#received.subarray(end);
      this.#done?.(frame);
    });
    const over = (): void => {
      this.isOver = true;
      this.#done?.(undefined);
    };
    this.#socket.on('error', over);
    this.#socket.on('close', over);
  }
  send(bytes: Buffer): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#socket.write(bytes);
    });
  }
  close(): void {
    this.isOver = true;
    this.#socket.destroy();
  }
}

export class Side {
  readonly name: string;
  readonly values = new Map<string, unknown>();
  readonly #host: string;
  readonly #port: number;
  readonly #lanes = new Map<number, Lane>();
  #correlationId = 0;

  constructor(name: string, address: string) {
    const [host, port] = address.split(':') as [string, string];
    this.name = name;
    this.#host = host;
    this.#port = Number(port);
  }

  /** The body with this broker's values in the places of names. */
  resolve(body: unknown): unknown {
    if (body instanceof Known) return this.values.has(body.name) ? this.values.get(body.name) : body.fallback;
    if (typeof body === 'function') return this.resolve((body as (side: Side) => unknown)(this));
    if (Buffer.isBuffer(body) || body === null || typeof body !== 'object') return body;
    if (Array.isArray(body)) return body.map((item) => this.resolve(item));
    return Object.fromEntries(Object.entries(body).map(([name, value]) => [name, this.resolve(value)]));
  }

  /** Undefined: the body cannot be said in this version. */
  encode(api: Api, version: number, body: unknown): Buffer | undefined {
    try {
      return encodeRequest(api, version, { correlationId: ++this.#correlationId, clientId: 'compare' }, this.resolve(body) as never);
    } catch {
      return undefined;
    }
  }

  async ask(api: Api, version: number, frame: Buffer, lane = 0): Promise<Outcome> {
    let open = this.#lanes.get(lane);
    if (open === undefined || open.isOver) this.#lanes.set(lane, (open = new Lane(this.#host, this.#port)));
    let timer: NodeJS.Timeout | undefined;
    const parked = new Promise<'parked'>((resolve) => {
      timer = setTimeout(() => resolve('parked'), PARKED_MS);
    });
    const frameOrNot = await Promise.race([open.send(frame), parked]);
    clearTimeout(timer);
    if (frameOrNot === 'parked') {
      open.close();
      return { kind: 'parked' };
    }
    if (frameOrNot === undefined) return { kind: 'closed' };
    return { kind: 'answer', body: decodeResponse(api, version, frameOrNot).body };
  }

  close(): void {
    for (const lane of this.#lanes.values()) lane.close();
  }
}
