// What the broker's tests speak to it with: one connection, frames by hand, answers by correlation id in the order they came. Only tests import it.
import {
  type MemoryDisk,
  type MemoryNetwork,
  memoryDisk,
  memoryNetwork,
  type Ports,
  type Socket,
  seededChance,
  silentLogger,
  systemClock,
  systemTimers,
} from '@millrace/core';
import { type Api, correlationIdOf, decodeResponse, encodeRequest, type RequestInput, type ResponseBody } from '@millrace/protocol';

export interface TestPorts extends Ports {
  readonly disk: MemoryDisk;
  readonly network: MemoryNetwork;
}

/** Ports in memory, with the real clock. `disk` may be handed on to a second broker. */
export function testPorts(disk: MemoryDisk = memoryDisk()): TestPorts {
  return { clock: systemClock, timers: systemTimers, chance: seededChance(1), network: memoryNetwork(systemTimers), disk, log: silentLogger };
}

const SIZE_BYTES = 4;

export class RawClient {
  #received: Buffer = Buffer.alloc(0);
  readonly #waiting = new Map<number, (frame: Buffer) => void>();
  /** Correlation ids in the order in which answers came. */
  readonly answered: number[] = [];
  readonly closed: Promise<void>;
  #onClosed: () => void = () => {};
  #socket: Socket | undefined;
  #correlationId = 0;

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
  }

  static async connect(ports: Ports, port: number): Promise<RawClient> {
    const client = new RawClient();
    client.#socket = await ports.network.connect(
      { host: '127.0.0.1', port, timeoutMs: 5_000 },
      {
        onData: (chunk) => client.#take(chunk),
        onClose: () => client.#onClosed(),
      },
    );
    return client;
  }

  send(bytes: Buffer): void {
    this.#socket?.write(bytes);
  }

  /** The raw answer to a request frame with this correlation id. */
  answerTo(correlationId: number): Promise<Buffer> {
    return new Promise((resolve) => this.#waiting.set(correlationId, resolve));
  }

  async ask<A extends Api>(api: A, version: number, body: RequestInput<A>): Promise<ResponseBody<A>> {
    const correlationId = ++this.#correlationId;
    const answer = this.answerTo(correlationId);
    this.send(encodeRequest(api, version, { correlationId, clientId: 'test' }, body));
    return decodeResponse(api, version, await answer).body;
  }

  close(): void {
    this.#socket?.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= SIZE_BYTES) {
      const end = SIZE_BYTES + this.#received.readInt32BE(0);
      if (this.#received.length < end) return;
      const frame = this.#received.subarray(SIZE_BYTES, end);
      this.#received = this.#received.subarray(end);
      const id = correlationIdOf(frame);
      this.answered.push(id);
      this.#waiting.get(id)?.(frame);
      this.#waiting.delete(id);
    }
  }
}
