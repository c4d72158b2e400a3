// A client's connection to a broker that dies again and again: connects when the broker is up, says so when it is lost.
import { setTimeout as wait } from 'node:timers/promises';
import { decodeResponse, encodeRequest } from '@millrace/protocol';
import { Wire } from '../../bench/broker/wire.mjs';

const RETRY_MS = 15;

/** On one connection requests are carried out in the order of the calls. */
export async function askOn(wire, api, version, body) {
  return decodeResponse(api, version, await wire.send(encodeRequest(api, version, { correlationId: 0, clientId: 'sweep' }, body))).body;
}

export class Session {
  #address;
  #connection;

  /** `address()` tells where the broker is, once it was started. */
  constructor(address) {
    this.#address = address;
  }

  /** Sends; rejects when the connection is lost, and then it is not known whether the request was carried out. */
  async ask(api, version, body) {
    const connecting = this.#connection ?? this.connect();
    try {
      return await askOn(await connecting, api, version, body);
    } catch (error) {
      if (this.#connection === connecting) this.#connection = undefined;
      throw error;
    }
  }

  /** A new connection, which later calls use. */
  connect() {
    this.close();
    this.#connection = this.#connect();
    return this.#connection;
  }

  /** The same until there is an answer: for requests that may be carried out twice. */
  async insist(api, version, body) {
    for (;;) {
      try {
        return await this.ask(api, version, body);
      } catch {
        await wait(RETRY_MS);
      }
    }
  }

  close() {
    void this.#connection?.then((wire) => wire.close());
    this.#connection = undefined;
  }

  async #connect() {
    for (;;) {
      try {
        return await Wire.open(this.#address());
      } catch {
        await wait(RETRY_MS);
      }
    }
  }
}
