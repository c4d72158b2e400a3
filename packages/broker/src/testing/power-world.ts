// A broker with fsync on in virtual time, on a disk whose power fails after so many operations, life after life. Only tests import it.
// Owns: the broker, the connections to it, the moment at which the power fails.  Never: knows what is asked.
// One seed is one history: time, chance, network and disk are all in memory.
import {
  type Chance,
  jsonLogger,
  type MemoryDisk,
  memoryDisk,
  memoryNetwork,
  seededChance,
  sleep,
  type TimeShare,
  type VirtualTime,
  virtualTime,
} from '@millrace/core';
import type { Api, RequestInput, ResponseBody } from '@millrace/protocol';
import { type Broker, startBroker } from '../broker.ts';
import { powerSupply } from './failing-disk.ts';
import { RawClient } from './raw-client.ts';

/** No answer: the power failed. */
export const LOST: unique symbol = Symbol('lost');
const TURNS_MAX = 20_000;
/** Hours pass between two requests. */
const IDLE_MS = 1_000_000_000;
/** What a slow sync takes at most. */
const SYNC_MS_MAX = 20;

/** The answer, or LOST. */
export type Ask = <A extends Api>(api: A, version: number, body: RequestInput<A>) => Promise<ResponseBody<A> | typeof LOST>;

export class PowerWorld {
  readonly disk: MemoryDisk = memoryDisk();
  readonly time: VirtualTime = virtualTime({ startMs: 1_700_000_000_000 });
  readonly chance: Chance;
  /** What the broker has logged as errors while the power was on. */
  readonly words: string[] = [];
  #share: TimeShare | undefined;
  #client: RawClient | undefined;
  #second: RawClient | undefined;
  #broker: Broker | undefined;
  #off = true;
  /** Settles when the next request is sent; undefined while one is under way. */
  #request: Promise<void> | undefined;
  #onRequest = (): void => {};

  constructor(seed: number) {
    this.chance = seededChance(seed);
  }

  /** The power is off. */
  get off(): boolean {
    return this.#off;
  }

  /**
   * Starts the broker; the power fails at the `operations`th change of the disk, which may be during the start. `bystander` has a connection of
   * its own, on which it asks about once a ms while other requests are under way.
   */
  async begin(operations: number, bystander?: (ask: Ask) => Promise<void>): Promise<void> {
    const share = this.time.share();
    this.#share = share;
    this.#off = false;
    const fail = (): void => {
      this.#off = true;
      share.end();
    };
    // Every third sync lets time pass, in which readers may look and the power may fail.
    const pause = async (): Promise<number> => {
      const ms = this.chance.integer(3) === 0 ? 1 + this.chance.integer(SYNC_MS_MAX) : 0;
      if (ms > 0) await sleep(share.timers, ms);
      return ms;
    };
    const disk = powerSupply(this.disk, this.chance).life(operations, fail, pause);
    const network = memoryNetwork(this.time.timers);
    const ports = {
      clock: share.clock,
      timers: share.timers,
      chance: this.chance,
      network,
      disk,
      log: jsonLogger(
        'error',
        (line) => this.#off || this.words.push(line),
        () => share.clock.nowMs(),
      ),
    };
    const started = await this.#drive(startBroker({ dataDir: '/data', fsync: 'perBatchGroup', limits: { idleMs: IDLE_MS } }, ports));
    if (started === LOST) return;
    this.#broker = started;
    const connect = (): Promise<RawClient | typeof LOST> => this.#drive(RawClient.connect({ ...ports, timers: this.time.timers }, started.port));
    const client = await connect();
    if (client !== LOST) this.#client = client;
    if (bystander === undefined) return;
    const second = await connect();
    if (second === LOST) return;
    this.#second = second;
    void bystander(async (api, version, body) => {
      await this.#request;
      await sleep(share.timers, 1);
      const answer = await second.ask(api, version, body);
      return share.ended ? LOST : answer;
    });
  }

  /** The answer, or LOST. What comes after the power has failed does not count. */
  async ask<A extends Api>(api: A, version: number, body: RequestInput<A>): Promise<ResponseBody<A> | typeof LOST> {
    if (this.#off) return LOST;
    this.#onRequest();
    this.#request = undefined;
    const answer = await this.#drive((this.#client as RawClient).ask(api, version, body));
    this.#request = new Promise((resolve) => (this.#onRequest = resolve));
    return answer;
  }

  async advance(ms: number): Promise<void> {
    if (!this.#off) await this.time.advance(ms);
  }

  /** Ends this life without a power loss. */
  async close(): Promise<void> {
    this.#client?.close();
    this.#second?.close();
    if (!this.#off && this.#broker !== undefined) await this.#drive(this.#broker.close());
    this.#share?.end();
    this.#off = true;
  }

  async #drive<T>(promise: Promise<T>): Promise<T | typeof LOST> {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    promise.then(
      (value) => {
        if (!this.#off) outcome = { value };
      },
      (error: unknown) => {
        outcome = { error };
      },
    );
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      if (outcome !== undefined && 'value' in outcome) return outcome.value;
      if (this.#off) return LOST;
      if (outcome !== undefined) throw outcome.error;
      await this.time.advance(1);
    }
    throw new Error(`no answer, and the power is on: ${this.words.at(-1)}`);
  }
}
