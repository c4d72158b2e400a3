// One suite for every network: what client and broker rely on.
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../errors.ts';
import type { Listener, Network, Socket, SocketEvents } from '../network.ts';
import { memoryNetwork } from './memory-network.ts';
import { nodeNetwork } from './node-network.ts';
import { systemTimers } from './system-time.ts';

const networks: readonly { name: string; network: Network }[] = [
  { name: 'node network', network: nodeNetwork },
  { name: 'memory network', network: memoryNetwork(systemTimers) },
];

/** Collects what one side of a connection sees. */
class Side implements SocketEvents {
  readonly chunks: Buffer[] = [];
  closes: (Error | undefined)[] = [];
  drains = 0;
  #changed: () => void = () => {};
  onData(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.#changed();
  }
  onClose(error: Error | undefined): void {
    this.closes.push(error);
    this.#changed();
  }
  onDrain(): void {
    this.drains++;
    this.#changed();
  }
  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
  async until(done: () => boolean): Promise<void> {
    while (!done())
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
  }
}

interface Pair {
  near: Socket;
  far: Socket;
  nearSide: Side;
  farSide: Side;
  listener: Listener;
}

async function connected(network: Network): Promise<Pair> {
  const nearSide = new Side();
  const farSide = new Side();
  let far: Socket | undefined;
  let accepted: () => void = () => {};
  const accept = new Promise<void>((resolve) => {
    accepted = resolve;
  });
  const listener = await network.listen({ host: '127.0.0.1', port: 0 }, (socket) => {
    far = socket;
    accepted();
    return farSide;
  });
  const near = await network.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 5000 }, nearSide);
  await accept;
  if (far === undefined) throw new Error('not accepted');
  return { near, far, nearSide, farSide, listener };
}

async function failureOf(promise: Promise<unknown>): Promise<MillraceError> {
  try {
    await promise;
  } catch (error) {
    if (MillraceError.is(error)) return error;
    throw error;
  }
  throw new Error('no failure');
}

describe.each(networks)('$name', ({ network }) => {
  test('bytes arrive whole and in order, both ways', async () => {
    const { near, far, nearSide, farSide, listener } = await connected(network);
    near.cork();
    for (let index = 0; index < 1000; index++) near.write(Buffer.from(`${index};`));
    near.uncork();
    far.write(Buffer.from('hello'));
    const expected = Array.from({ length: 1000 }, (_, index) => `${index};`).join('');
    await farSide.until(() => farSide.bytes.length === expected.length);
    await nearSide.until(() => nearSide.bytes.length === 5);
    expect(farSide.bytes.toString()).toBe(expected);
    expect(nearSide.bytes.toString()).toBe('hello');
    near.destroy();
    await listener.close();
  });

  test('end sends what is buffered and both sides see one plain close', async () => {
    const { near, nearSide, farSide, listener } = await connected(network);
    near.write(Buffer.alloc(300_000, 7));
    near.end();
    await farSide.until(() => farSide.closes.length > 0);
    await nearSide.until(() => nearSide.closes.length > 0);
    expect(farSide.bytes.length).toBe(300_000);
    expect(farSide.closes).toEqual([undefined]);
    expect(nearSide.closes).toEqual([undefined]);
    await listener.close();
  });

  test('destroy closes both sides', async () => {
    const { far, nearSide, farSide, listener } = await connected(network);
    far.destroy();
    await nearSide.until(() => nearSide.closes.length > 0);
    await farSide.until(() => farSide.closes.length > 0);
    expect(farSide.closes).toEqual([undefined]);
    await listener.close();
  });

  test('a paused side receives nothing, the writer is told to wait, and both go on after resume', async () => {
    const { near, far, nearSide, farSide, listener } = await connected(network);
    far.pause();
    let written = 0;
    let full = false;
    while (!full && written < 512) {
      full = !near.write(Buffer.alloc(128 * 1024, written++ & 0xff));
      await systemTimers.yield();
    }
    expect(full).toBe(true);
    far.resume();
    await nearSide.until(() => nearSide.drains > 0);
    await farSide.until(() => farSide.bytes.length === written * 128 * 1024);
    near.destroy();
    await listener.close();
  });

  test('connecting to a port where nothing listens fails with ERR_CONNECTION that names the address', async () => {
    const { near, listener } = await connected(network);
    near.destroy();
    await listener.close();
    const error = await failureOf(network.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 5000 }, new Side()));
    expect(error.code).toBe('ERR_CONNECTION');
    expect(error.message).toContain(`127.0.0.1:${listener.port}`);
    expect(error.where).toEqual({ host: '127.0.0.1', port: listener.port });
    expect(error.retriable).toBe(true);
  });

  test('an attempt that is given up fails at once, before it began or while it is made; a connection that stands goes on', async () => {
    const { near, farSide, listener } = await connected(network);
    const giveUp = new AbortController();
    const options = { host: '127.0.0.1', port: listener.port, timeoutMs: 5000, signal: giveUp.signal };
    const standing = await network.connect(options, new Side());
    const attempt = failureOf(network.connect(options, new Side()));
    giveUp.abort();
    for (const error of [await attempt, await failureOf(network.connect(options, new Side()))]) {
      expect(error.code).toBe('ERR_CONNECTION');
      expect(error.message).toMatch(/given up/);
    }
    standing.write(Buffer.from('hello'));
    await farSide.until(() => farSide.bytes.length === 5);
    near.destroy();
    standing.destroy();
    await listener.close();
  });

  test('a port in use is refused with ERR_PORT_IN_USE and is free again after close', async () => {
    const first = await network.listen({ host: '127.0.0.1', port: 0 }, () => new Side());
    const error = await failureOf(network.listen({ host: '127.0.0.1', port: first.port }, () => new Side()));
    expect(error.code).toBe('ERR_PORT_IN_USE');
    expect(error.message).toContain(String(first.port));
    await first.close();
    await first.close();
    const again = await network.listen({ host: '127.0.0.1', port: first.port }, () => new Side());
    expect(again.port).toBe(first.port);
    await again.close();
  });

  test('closing the listener leaves accepted connections alone', async () => {
    const { near, farSide, listener } = await connected(network);
    await listener.close();
    near.write(Buffer.from('still here'));
    await farSide.until(() => farSide.bytes.length === 10);
    near.destroy();
  });
});

test('an unknown host name is an ERR_CONNECTION that says so', async () => {
  const error = await failureOf(nodeNetwork.connect({ host: 'nowhere.invalid', port: 1, timeoutMs: 5000 }, new Side()));
  expect(error.code).toBe('ERR_CONNECTION');
  expect(error.message).toContain('nowhere.invalid:1');
});

test('a foreign address to listen on is refused with what to use instead', async () => {
  const error = await failureOf(nodeNetwork.listen({ host: '192.0.2.1', port: 0 }, () => new Side()));
  expect(error.code).toBe('ERR_OPTION');
  expect(error.message).toContain('127.0.0.1');
});
