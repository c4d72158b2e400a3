import { type SocketEvents, seededChance, virtualTime } from '@millrace/core';
import { expect, test } from 'vitest';
import { SimNetwork } from './sim-network.ts';
import { SimProcess, type World } from './sim-process.ts';
import { Trace } from './trace.ts';

const JOIN_GROUP = 11;

/** A request with no more than its length and its API key. */
function frame(apiKey: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeInt32BE(4, 0);
  bytes.writeInt16BE(apiKey, 4);
  return bytes;
}

test('what is held on its way arrives when everything heals, also when its client is gone by then', async () => {
  const time = virtualTime();
  const world: World = { time, chance: seededChance(1), trace: new Trace(() => time.clock.monotonicMs()) };
  const network = new SimNetwork(world, seededChance(2));
  const [broker, client] = [new SimProcess(world, 'broker', 'broker#1'), new SimProcess(world, 'app-0', 'app-0#1')];
  const arrived: number[] = [];
  const serve = (): SocketEvents => ({ onData: (bytes) => void arrived.push(bytes.length), onClose: () => {} });
  await network.of(broker).listen({ host: 'broker', port: 9092 }, serve);
  const connecting = network.of(client).connect({ host: 'broker', port: 9092, timeoutMs: 100 }, { onData: () => {}, onClose: () => {} });
  await time.advance(10);
  const socket = await connecting;

  network.aim({ apiKey: JOIN_GROUP, fate: 'hold', delayMs: 9_000 });
  socket.write(frame(JOIN_GROUP));
  await time.advance(10);
  client.end('exit');
  await time.advance(1_000);
  expect(arrived).toEqual([]);
  network.heal();
  await time.advance(10);
  expect(arrived).toEqual([8]);
});

test('what is still on its way to a connection that is closed keeps no process alive', async () => {
  const time = virtualTime();
  const world: World = { time, chance: seededChance(1), trace: new Trace(() => time.clock.monotonicMs()) };
  const network = new SimNetwork(world, seededChance(2));
  const [broker, client] = [new SimProcess(world, 'broker', 'broker#1'), new SimProcess(world, 'app-0', 'app-0#1')];
  await network.of(broker).listen({ host: 'broker', port: 9092 }, (socket) => ({ onData: () => void socket.write(Buffer.alloc(100)), onClose: () => {} }));
  const connecting = network.of(client).connect({ host: 'broker', port: 9092, timeoutMs: 100 }, { onData: () => {}, onClose: () => {} });
  await time.advance(10);
  const socket = await connecting;
  network.narrow('app-0', 0.01);
  socket.write(frame(JOIN_GROUP));
  await time.advance(50);
  expect(client.share.waiting).toBe(1);
  socket.destroy();
  await time.advance(10);
  expect(client.share.waiting).toBe(0);
});
