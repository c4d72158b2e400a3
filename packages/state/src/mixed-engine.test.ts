import { expect, test } from 'vitest';
import {
  type ByteStoreEngine,
  type DatabaseTicket,
  META_STORE,
  memoryEngine,
  mixedEngine,
  openMemoryDatabase,
  putCheckpoint,
  readCheckpoint,
  WriteBatch,
} from './index.ts';

/** Databases that outlive whoever attaches, as those on a disk do. */
function lasting(name: string): ByteStoreEngine & { readonly written: string[] } {
  const databases = new Map<string, ReturnType<typeof openMemoryDatabase>>();
  const written: string[] = [];
  return {
    name,
    durable: true,
    shareable: true,
    written,
    async open(options) {
      const database = databases.get(options.directory) ?? openMemoryDatabase({ ...options, directory: `${name}:${options.directory}:${Math.random()}` });
      databases.set(options.directory, database);
      const ticket: DatabaseTicket = { engine: name, directory: options.directory, stores: options.stores, handle: undefined };
      return {
        ticket,
        store: (one) => database.store(one),
        write: (batch) => database.write(batch),
        detach() {},
        close: async () => {},
        holdWrites: async () => () => {},
      };
    },
    attach(ticket) {
      const database = databases.get(ticket.directory);
      if (database === undefined) throw new Error(`nobody has opened ${ticket.directory}`);
      return {
        store: (one) => database.store(one),
        write(batch) {
          written.push(batch.operations.map((operation) => operation.store).join(' '));
          database.write(batch);
        },
        detach() {},
      };
    },
  };
}

const key = Buffer.from('k');
const checkpoint = { changelogOffset: 7, topicId: 't', leaderEpoch: 0, observedTime: -1, duplicates: 0, levelAtMs: 0 };

test('each store lies with its checkpoint in its own engine, and comes back from there', async () => {
  const [disk, other] = [lasting('disk'), lasting('other')];
  const engine = mixedEngine(
    disk,
    new Map<string, ByteStoreEngine>([
      ['b', other],
      ['m', memoryEngine],
    ]),
  );
  const stores = [META_STORE, 'a', 'b', 'm'];
  const opened = await engine.open({ directory: 'task', stores, cacheBytes: 0 });
  const worker = engine.attach(structuredClone(opened.ticket));
  const batch = new WriteBatch();
  for (const name of ['a', 'b', 'm']) {
    batch.put(name, key, Buffer.from(name));
    putCheckpoint(batch, name, checkpoint);
  }
  batch.put(META_STORE, Buffer.from('task'), Buffer.from('app/0_0'));
  worker.write(batch);
  expect(disk.written).toEqual([`a ${META_STORE} ${META_STORE}`]);
  expect(other.written).toEqual([`b ${META_STORE}`]);
  for (const name of ['a', 'b', 'm']) {
    expect(worker.store(name).get(key)?.toString()).toBe(name);
    expect(readCheckpoint(worker, name)).toMatchObject({ changelogOffset: 7 });
  }
  // The thread that opened it sees what is shared, and knows what it does not hold.
  expect([opened.holds?.('a'), opened.holds?.('b'), opened.holds?.('m')]).toEqual([true, true, false]);
  expect(opened.store('b').get(key)?.toString()).toBe('b');
  worker.detach();

  const next = engine.attach(opened.ticket);
  expect(next.store('b').get(key)?.toString()).toBe('b');
  expect(next.store(META_STORE).get(Buffer.from('task'))?.toString()).toBe('app/0_0');
  // What lay in memory went with its worker, and says so: it is restored from the start.
  expect(next.store('m').get(key)).toBeUndefined();
  expect(readCheckpoint(next, 'm')).toBeUndefined();
  await opened.close();
});

test('an engine of one thread that is not memory cannot lie beside others', () => {
  const alone = { ...memoryEngine, name: 'alone' };
  expect(() => mixedEngine(lasting('disk'), new Map([['b', alone]]))).toThrow(expect.objectContaining({ code: 'ERR_ENGINE_UNAVAILABLE' }));
});
