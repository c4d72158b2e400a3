// Ground for a rig on which nothing moves by itself: virtual time, network and disk in memory. Minutes pass in no time, in the same order each time.
// Owns: how time is driven while somebody waits.
import { type MemoryNetwork, memoryDisk, memoryNetwork, type Ports, seededChance, type VirtualTime, virtualTime } from '@millrace/core';
import { type AnswerInstead, answeringNetwork } from './answering-network.ts';

const WITHIN_MS = 180_000;
const STEP_MS = 10;

export interface VirtualGround {
  readonly time: VirtualTime;
  readonly network: MemoryNetwork;
  readonly ports: Partial<Ports>;
  /** With somebody between the application and its broker. */
  readonly appPorts: Partial<Ports>;
  /** Lets time pass until `promise` settles; throws with `what` after three virtual minutes. */
  run<T>(promise: Promise<T>, what: string): Promise<T>;
  /** Lets time pass until `done`. */
  until(done: () => boolean, what: string): Promise<void>;
  pass(ms: number): Promise<void>;
}

export function virtualGround(seed: number, between: AnswerInstead = () => undefined): VirtualGround {
  const time = virtualTime({ startMs: Date.UTC(2024, 0, 1) });
  const network = memoryNetwork(time.timers);
  const { clock, timers } = time;
  const run = async <T>(promise: Promise<T>, what: string): Promise<T> => {
    let settled = false;
    const guarded = promise.finally(() => {
      settled = true;
    });
    guarded.catch(() => {});
    for (let passed = 0; !settled; passed += STEP_MS) {
      if (passed > WITHIN_MS) throw new Error(`${what} did not come within ${WITHIN_MS} ms of virtual time`);
      await time.advance(STEP_MS);
    }
    return guarded;
  };
  const wait = (ms: number): Promise<void> => new Promise((resolve) => void timers.after(ms, resolve));
  return {
    time,
    network,
    ports: { clock, timers, chance: seededChance(seed), network, disk: memoryDisk() },
    appPorts: { network: answeringNetwork(network, timers, between) },
    run,
    until: (done, what) =>
      run(
        (async () => {
          while (!done()) await wait(20);
        })(),
        what,
      ),
    pass: (ms) => time.advance(ms),
  };
}
