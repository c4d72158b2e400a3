// What every engine must hold, as one suite: hand it an engine, folders and your runner's `test`. Imports no runner.
// Checks are thrown errors, so any runner reports them.
import { assert, compareBytes } from '@millrace/core';
import { type ByteStore, type ByteStoreEngine, type OpenDatabase, type ScanOptions, WriteBatch } from './byte-store.ts';

export interface EngineSuite {
  readonly engine: ByteStoreEngine;
  /** A fresh folder for one test. */
  freshDirectory(): string;
  test(name: string, body: () => Promise<void>): void;
  /** Longest key the engine takes, bytes. Default 2048. */
  readonly keyBytesMax?: number | undefined;
}

const CACHE_BYTES = 4 * 1024 * 1024;
const STORES = ['one', 'two', '$meta'];

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

function rowsOf(store: ByteStore, options: ScanOptions = {}): string[] {
  const rows = store.scan(options);
  const found: string[] = [];
  while (rows.next()) found.push(`${rows.key.toString('latin1')}=${rows.value.toString('latin1')}`);
  rows.close();
  return found;
}

function same(actual: unknown, expected: unknown, what: string): void {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  assert(left === right, `${what}: expected ${right}, got ${left}`);
}

function failsWith(code: string, body: () => unknown): void {
  try {
    body();
  } catch (error) {
    same((error as { code?: unknown }).code, code, 'the code of the error');
    return;
  }
  assert(false, `nothing was thrown where ${code} was due`);
}

function fill(database: OpenDatabase, store: string, rows: Readonly<Record<string, string>>): void {
  const batch = new WriteBatch();
  for (const [key, value] of Object.entries(rows)) batch.put(store, bytes(key), bytes(value));
  database.write(batch);
}

export function engineConformance(suite: EngineSuite): void {
  const { engine } = suite;
  const open = (directory: string, stores: readonly string[] = STORES) => engine.open({ directory, stores, cacheBytes: CACHE_BYTES });
  const test = (name: string, body: (database: OpenDatabase, directory: string) => Promise<void> | void): void => {
    suite.test(`${engine.name}: ${name}`, async () => {
      const directory = suite.freshDirectory();
      const database = await open(directory);
      try {
        await body(database, directory);
      } finally {
        await database.close();
      }
    });
  };

  readsAndWrites(test);
  scans(test);
  ranges(test);
  lives(test, open, suite);
}

type Case = (name: string, body: (database: OpenDatabase, directory: string) => Promise<void> | void) => void;

function readsAndWrites(test: Case): void {
  test('a row written is read back, an absent one is undefined', (database) => {
    fill(database, 'one', { a: '1' });
    const store = database.store('one');
    same(store.get(bytes('a'))?.toString(), '1', 'get');
    same(store.get(bytes('b')), undefined, 'get of an absent key');
    same(
      store.getMany([bytes('b'), bytes('a'), bytes('a')]).map((value) => value?.toString() ?? null),
      [null, '1', '1'],
      'getMany',
    );
    same(store.getMany([]), [], 'getMany of nothing');
  });

  test('a batch is applied over several stores, later operations on a key winning', (database) => {
    const batch = new WriteBatch();
    batch.put('one', bytes('k'), bytes('first'));
    batch.put('two', bytes('k'), bytes('other store'));
    batch.delete('one', bytes('k'));
    batch.put('one', bytes('k'), bytes('last'));
    batch.put('one', bytes('gone'), bytes('x'));
    batch.delete('one', bytes('gone'));
    batch.delete('one', bytes('never there'));
    database.write(batch);
    same(rowsOf(database.store('one')), ['k=last'], 'store one');
    same(rowsOf(database.store('two')), ['k=other store'], 'store two');
    same(rowsOf(database.store('$meta')), [], 'an untouched store');
    database.write(new WriteBatch());
  });

  test('a batch that names an unknown store applies nothing', (database) => {
    const batch = new WriteBatch();
    batch.put('one', bytes('k'), bytes('v'));
    batch.put('absent', bytes('k'), bytes('v'));
    failsWith('ERR_STORE_NOT_CONNECTED', () => database.write(batch));
    same(rowsOf(database.store('one')), [], 'store one');
    failsWith('ERR_STORE_NOT_CONNECTED', () => database.store('absent'));
    fill(database, 'one', { after: '1' });
    same(rowsOf(database.store('one')), ['after=1'], 'a later batch carries nothing of the refused one');
  });

  test('empty keys and empty values are rows like others', (database) => {
    const batch = new WriteBatch();
    batch.put('one', new Uint8Array(0), bytes('of the empty key'));
    batch.put('one', bytes('a'), Buffer.alloc(0));
    batch.put('one', Buffer.from([0]), bytes('zero'));
    database.write(batch);
    const store = database.store('one');
    same(store.get(Buffer.alloc(0))?.toString(), 'of the empty key', 'the empty key');
    same(store.get(bytes('a'))?.length, 0, 'the empty value');
    same(database.store('two').get(Buffer.alloc(0)), undefined, 'the empty key of another store');
    same(rowsOf(store), ['=of the empty key', '\0=zero', 'a='], 'forward');
    same(rowsOf(store, { reverse: true }), ['a=', '\0=zero', '=of the empty key'], 'backward');
    same(rowsOf(store, { gt: Buffer.alloc(0) }), ['\0=zero', 'a='], 'beyond the empty key');
    same(rowsOf(store, { lte: Buffer.alloc(0) }), ['=of the empty key'], 'up to the empty key');
    same(rowsOf(store, { lt: Buffer.alloc(0) }), [], 'below the empty key');
    same(rowsOf(store, { reverse: true, limit: 1, lt: bytes('a') }), ['\0=zero'], 'backward with a limit');
    const remove = new WriteBatch();
    remove.delete('one', Buffer.alloc(0));
    database.write(remove);
    same(rowsOf(store), ['\0=zero', 'a='], 'without the empty key');
  });

  test('large values and a large batch survive', (database) => {
    const large = Buffer.alloc(3 * 1024 * 1024, 0x5a);
    const batch = new WriteBatch();
    batch.put('one', bytes('large'), large);
    for (let index = 0; index < 20_000; index++) batch.put('two', numberKey(index), Buffer.alloc(100, index & 0xff));
    database.write(batch);
    same(database.store('one').get(bytes('large'))?.equals(large), true, 'the large value');
    same(
      database
        .store('two')
        .get(numberKey(19_999))
        ?.equals(Buffer.alloc(100, 19_999 & 0xff)),
      true,
      'the last row',
    );
    same(rowsOf(database.store('two')).length, 20_000, 'rows');
    assert(database.store('two').approximateCount() > 0, 'approximateCount of a full store');
    same(database.store('$meta').approximateCount(), 0, 'approximateCount of an empty store');
  });

  test('what get returned stays as it was', (database) => {
    fill(database, 'one', { a: 'aaaa', b: 'bbbb' });
    const store = database.store('one');
    const first = store.get(bytes('a'));
    const many = store.getMany([bytes('a'), bytes('b')]);
    store.get(bytes('b'));
    fill(database, 'one', { a: 'XXXX', b: 'YYYY' });
    store.get(bytes('a'));
    same([first, ...many].map(String), ['aaaa', 'aaaa', 'bbbb'], 'values kept');
  });

  test('the caller may change a key after a read and a batch after the write', (database) => {
    const key = bytes('k');
    const value = bytes('v');
    const batch = new WriteBatch();
    batch.put('one', key, value);
    database.write(batch);
    key[0] = 0x7a;
    value[0] = 0x7a;
    same(rowsOf(database.store('one')), ['k=v'], 'rows');
  });
}

function scans(test: Case): void {
  test('a scan is ordered by unsigned bytes, a prefix before what it begins', (database) => {
    const keys = ['\x80', '\x7f', '\xff\xff', '\xff', 'ab', 'a', 'a\0', '\0', '\0\xff'];
    fill(database, 'one', Object.fromEntries(keys.map((key) => [key, ''])));
    const sorted = [...keys].sort((left, right) => compareBytes(bytes(left), bytes(right))).map((key) => `${key}=`);
    same(rowsOf(database.store('one')), sorted, 'forward');
    same(rowsOf(database.store('one'), { reverse: true }), [...sorted].reverse(), 'backward');
  });

  test('bounds are inclusive or exclusive by name, in both directions, with a limit', (database) => {
    fill(database, 'one', { a: '', b: '', 'b\0': '', c: '', d: '' });
    const store = database.store('one');
    const keys = (options: ScanOptions) => rowsOf(store, options).map((row) => row.slice(0, -1));
    const cases: readonly (readonly [ScanOptions, readonly string[]])[] = [
      [{ gte: bytes('b') }, ['b', 'b\0', 'c', 'd']],
      [{ gt: bytes('b') }, ['b\0', 'c', 'd']],
      [{ lte: bytes('b') }, ['a', 'b']],
      [{ lt: bytes('b') }, ['a']],
      [{ gt: bytes('a'), lt: bytes('d') }, ['b', 'b\0', 'c']],
      [{ gte: bytes('a'), gt: bytes('b'), lte: bytes('d'), lt: bytes('d') }, ['b\0', 'c']],
      [{ gte: bytes('bb'), lte: bytes('cc') }, ['c']],
      [{ gte: bytes('d'), lte: bytes('b') }, []],
      [{ gt: bytes('b'), lt: bytes('b') }, []],
      [{ gte: bytes('x') }, []],
      [{ lt: bytes('A') }, []],
    ];
    for (const [options, expected] of cases) {
      const name = JSON.stringify(options);
      same(keys(options), expected, name);
      same(keys({ ...options, reverse: true }), [...expected].reverse(), `${name} backward`);
      same(keys({ ...options, limit: 2 }), expected.slice(0, 2), `${name} limit 2`);
      same(keys({ ...options, limit: 2, reverse: true }), [...expected].reverse().slice(0, 2), `${name} limit 2 backward`);
      same(keys({ ...options, limit: 0 }), [], `${name} limit 0`);
    }
  });

  test('a scan is a snapshot: later writes, deletes and puts do not show', (database) => {
    const batch = new WriteBatch();
    for (let index = 0; index < 3000; index++) batch.put('one', numberKey(index), bytes('old'));
    database.write(batch);
    const rows = database.store('one').scan({});
    rows.next();
    const change = new WriteBatch();
    for (let index = 0; index < 3000; index++) {
      if (index % 2 === 0) change.delete('one', numberKey(index));
      else change.put('one', numberKey(index), bytes('new'));
    }
    for (let index = 3000; index < 3500; index++) change.put('one', numberKey(index), bytes('new'));
    database.write(change);
    let seen = 1;
    while (rows.next()) {
      same(rows.value.toString(), 'old', `value of row ${seen}`);
      seen++;
    }
    rows.close();
    same(seen, 3000, 'rows seen');
    same(rowsOf(database.store('one')).length, 2000, 'rows of a new scan');
  });

  test('several cursors stand side by side, end once, and close twice without harm', (database) => {
    fill(database, 'one', { a: '1', b: '2' });
    const store = database.store('one');
    const [first, second] = [store.scan({}), store.scan({ reverse: true })];
    same([first.next(), second.next()], [true, true], 'both move');
    same([first.key.toString(), second.key.toString()], ['a', 'b'], 'each where it should be');
    const kept = first.key;
    first.next();
    same(kept.toString(), 'a', 'a key kept over next()');
    same([first.next(), first.next()], [false, false], 'the end stays the end');
    first.close();
    first.close();
    second[Symbol.dispose]();
    same(second.next(), false, 'a closed cursor');
  });
}

function ranges(test: Case): void {
  test('deleteRange removes [from, to), with what the batch put there before, and not what it puts after', (database) => {
    fill(database, 'one', { a: '1', b: '1', c: '1', d: '1' });
    fill(database, 'two', { b: '1' });
    const batch = new WriteBatch();
    batch.put('one', bytes('bb'), bytes('before'));
    batch.deleteRange('one', bytes('b'), bytes('d'));
    batch.put('one', bytes('c'), bytes('after'));
    database.write(batch);
    same(rowsOf(database.store('one')), ['a=1', 'c=after', 'd=1'], 'store one');
    same(rowsOf(database.store('two')), ['b=1'], 'another store');
    const all = new WriteBatch();
    all.deleteRange('one', Buffer.alloc(0), Buffer.from([0xff]));
    all.deleteRange('one', bytes('z'), bytes('a'));
    database.write(all);
    same(rowsOf(database.store('one')), [], 'everything');
  });

  test('expireRange removes old rows and leaves the others', (database) => {
    fill(database, 'one', { a1: '1', a2: '1', b1: '1' });
    const batch = new WriteBatch();
    batch.put('one', bytes('b2'), bytes('1'));
    batch.expireRange('one', bytes('a'), bytes('b'));
    batch.expireRange('one', bytes('b'), bytes('b'));
    database.write(batch);
    same(rowsOf(database.store('one')), ['b1=1', 'b2=1'], 'rows');
  });

  test('random batches leave what a sorted map would', (database) => {
    const model = new Map<string, string>();
    let seed = 12_345;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (seed >>> 8) % below;
    };
    for (let round = 0; round < 40; round++) {
      const batch = new WriteBatch();
      for (let step = random(60); step >= 0; step--) {
        const key = random(400).toString(36);
        const kind = random(20);
        if (kind < 12) {
          batch.put('one', bytes(key), bytes(`${round}.${step}`));
          model.set(key, `${round}.${step}`);
        } else if (kind < 19) {
          batch.delete('one', bytes(key));
          model.delete(key);
        } else {
          batch.deleteRange('one', bytes(key), bytes(`${key}5`));
          for (const held of [...model.keys()]) if (held >= key && held < `${key}5`) model.delete(held);
        }
      }
      database.write(batch);
      const [from, to] = [random(400).toString(36), random(400).toString(36)];
      const expected = [...model.keys()].sort().filter((key) => key >= from && key < to);
      same(
        rowsOf(database.store('one'), { gte: bytes(from), lt: bytes(to) }),
        expected.map((key) => `${key}=${model.get(key)}`),
        `round ${round}`,
      );
    }
    same(rowsOf(database.store('one')).length, model.size, 'rows at the end');
  });
}

function lives(test: Case, open: (directory: string, stores?: readonly string[]) => Promise<OpenDatabase>, suite: EngineSuite): void {
  const { engine } = suite;

  test('close is idempotent, and what comes after it is an error, not a crash', async (database) => {
    const store = database.store('one');
    await Promise.all([database.close(), database.close()]);
    await database.close();
    failsWith('ERR_STORE_CLOSED', () => fill(database, 'one', { a: '1' }));
    if (engine.durable) failsWith('ERR_STORE_CLOSED', () => store.get(bytes('a')));
    if (engine.durable) failsWith('ERR_STORE_CLOSED', () => store.scan({}));
  });

  test('a ticket attaches in the same thread, sees every write, and leaves without closing', (database) => {
    const ticket = engine.shareable ? structuredClone(database.ticket) : database.ticket;
    same(ticket.stores, STORES, 'stores of the ticket');
    const attached = engine.attach(ticket);
    fill(database, 'one', { a: '1' });
    same(rowsOf(attached.store('one')), ['a=1'], 'the attached one reads');
    const batch = new WriteBatch();
    batch.put('one', bytes('b'), bytes('2'));
    attached.write(batch);
    attached.detach();
    attached.detach();
    same(rowsOf(database.store('one')), ['a=1', 'b=2'], 'the owner goes on');
  });

  test('keys up to the longest the engine takes', (database) => {
    const long = Buffer.alloc(suite.keyBytesMax ?? 2048, 0x6b);
    const batch = new WriteBatch();
    batch.put('one', long, bytes('v'));
    database.write(batch);
    same(database.store('one').get(long)?.toString(), 'v', 'the long key');
    same(database.store('one').get(Buffer.concat([long, long])), undefined, 'a longer one');
    same(rowsOf(database.store('one'), { gte: long }).length, 1, 'scan from it');
    same(rowsOf(database.store('one'), { gt: long }).length, 0, 'scan beyond it');
    same(rowsOf(database.store('one'), { lte: long, reverse: true }).length, 1, 'scan up to it, backward');
    same(rowsOf(database.store('one'), { gte: Buffer.concat([long, long]) }).length, 0, 'scan from a bound longer than any key');
    same(rowsOf(database.store('one'), { lt: Buffer.concat([long, long]) }).length, 1, 'scan below a bound longer than any key');
    const remove = new WriteBatch();
    remove.deleteRange('one', long, Buffer.concat([long, long]));
    database.write(remove);
    same(rowsOf(database.store('one')).length, 0, 'rows after deleteRange');
  });

  if (!engine.durable) return;

  suite.test(`${engine.name}: what was written is there when it is opened again, with stores added and others left out`, async () => {
    const directory = suite.freshDirectory();
    const first = await open(directory, ['one', 'two']);
    fill(first, 'one', { a: '1' });
    fill(first, 'two', { b: '2' });
    await first.close();
    const second = await open(directory, ['one', 'three']);
    same(rowsOf(second.store('one')), ['a=1'], 'an old store');
    same(rowsOf(second.store('three')), [], 'a new store');
    fill(second, 'three', { c: '3' });
    await second.close();
    const third = await open(directory, ['one', 'two', 'three']);
    same([rowsOf(third.store('one')), rowsOf(third.store('two')), rowsOf(third.store('three'))], [['a=1'], ['b=2'], ['c=3']], 'all stores');
    await third.close();
  });

  suite.test(`${engine.name}: an open cursor does not stand in the way of close`, async () => {
    const database = await open(suite.freshDirectory());
    fill(database, 'one', { a: '1', b: '2' });
    const rows = database.store('one').scan({});
    rows.next();
    await database.close();
    same(rows.next(), false, 'the cursor has ended');
  });
}

function numberKey(index: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32BE(index);
  return key;
}
