import { expect, test } from 'vitest';
import type { Socket, SocketEvents } from '../network.ts';
import { type MemoryNetwork, memoryNetwork } from './memory-network.ts';
import { type VirtualTime, virtualTime } from './virtual-time.ts';

interface Seen {
  readonly log: string[];
  near: Socket | undefined;
  far: Socket | undefined;
}

const events = (log: string[], name: string): SocketEvents => ({
  onData: (chunk) => void log.push(`${name} got ${chunk.toString()}`),
  onClose: (error) => void log.push(`${name} closed${error === undefined ? '' : ' broken'}`),
});

async function pair(network: MemoryNetwork, time: VirtualTime, port = 9092): Promise<Seen> {
  const seen: Seen = { log: [], near: undefined, far: undefined };
  await network.listen({ host: 'broker', port }, (socket) => {
    seen.far = socket;
    return events(seen.log, 'far');
  });
  void network.connect({ host: 'broker', port, timeoutMs: 100 }, events(seen.log, 'near')).then((socket) => {
    seen.near = socket;
  });
  await time.advance(0);
  return seen;
}

test('nothing moves until time is driven', async () => {
  const time = virtualTime();
  const { near, log } = await pair(memoryNetwork(time.timers), time);
  near?.write(Buffer.from('a'));
  expect(log).toEqual([]);
  await time.advance(0);
  expect(log).toEqual(['far got a']);
});

test('a delay holds bytes for that long and keeps their order when it shrinks', async () => {
  const time = virtualTime();
  const network = memoryNetwork(time.timers);
  const { near, log } = await pair(network, time);
  network.delay(10, 9092);
  near?.write(Buffer.from('a'));
  network.delay(1, 9092);
  near?.write(Buffer.from('b'));
  await time.advance(9);
  expect(log).toEqual(['far got a']);
  await time.advance(1);
  expect(log).toEqual(['far got a', 'far got b']);
});

test('a chunk is what it was when it was written', async () => {
  const time = virtualTime();
  const { near, log } = await pair(memoryNetwork(time.timers), time);
  const chunk = Buffer.from('before');
  near?.write(chunk);
  chunk.fill(0x78);
  await time.advance(0);
  expect(log).toEqual(['far got before']);
});

test('a cut breaks both sides once and loses what was on the way', async () => {
  const time = virtualTime();
  const network = memoryNetwork(time.timers);
  const { near, log } = await pair(network, time);
  near?.write(Buffer.from('lost'));
  network.cut(9092);
  network.cut(9092);
  await time.advance(0);
  expect(log.sort()).toEqual(['far closed broken', 'near closed broken']);
  expect(near?.write(Buffer.from('x'))).toBe(false);
});

test('a cut of another port leaves the connection alone', async () => {
  const time = virtualTime();
  const network = memoryNetwork(time.timers);
  const { near, log } = await pair(network, time);
  network.cut(1);
  near?.write(Buffer.from('fine'));
  await time.advance(0);
  expect(log).toEqual(['far got fine']);
});

test('held: nothing gets through, new connections time out; after release the bytes arrive', async () => {
  const time = virtualTime();
  const network = memoryNetwork(time.timers);
  const { near, log } = await pair(network, time);
  network.hold(9092);
  near?.write(Buffer.from('late'));
  let failure: unknown;
  network.connect({ host: 'broker', port: 9092, timeoutMs: 100 }, events(log, 'second')).catch((error: unknown) => {
    failure = error;
  });
  await time.advance(99);
  expect(failure).toBeUndefined();
  await time.advance(1);
  expect(failure).toMatchObject({ code: 'ERR_CONNECTION' });
  expect(log).toEqual([]);
  network.release();
  expect(log).toEqual(['far got late']);
});

test('an attempt that is given up leaves no timer, whether the way is held or only long', async () => {
  const time = virtualTime();
  const network = memoryNetwork(time.timers);
  network.delay(10, 1);
  network.hold(2);
  const giveUp = new AbortController();
  const attempts = [1, 2].map((port) => network.connect({ host: 'broker', port, timeoutMs: 100, signal: giveUp.signal }, events([], 'near')));
  const failures = Promise.allSettled(attempts);
  giveUp.abort();
  expect((await failures).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await time.runUntilIdle(0);
});

test('the same seed of events gives the same history', async () => {
  const history = async (): Promise<string[]> => {
    const time = virtualTime({ startMs: 1_000_000 });
    const network = memoryNetwork(time.timers);
    const one = await pair(network, time, 1);
    const two = await pair(network, time, 2);
    network.delay(3, 1);
    const log: string[] = [];
    for (let step = 0; step < 20; step++) {
      one.near?.write(Buffer.from(`1:${step}`));
      two.far?.write(Buffer.from(`2:${step}`));
      await time.advance(1);
      log.push(`${time.clock.nowMs()} ${one.log.length} ${two.log.length}`);
    }
    return [...log, ...one.log, ...two.log];
  };
  expect(await history()).toEqual(await history());
});
