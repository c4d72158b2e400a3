// The memory engine: sorted leaves of rows. For tests, simulation and programs that may rebuild their state.
// Owns: copies of every key and value.  Never: shares rows between threads, or outlives the process.
// A scan is a snapshot for free: it keeps the list of leaves, and a leaf seen by a scan is copied before its next write.
import { assert, compareBytes, copyBytes, MillraceError } from '@millrace/core';
import type {
  ByteRows,
  ByteStore,
  ByteStoreEngine,
  Database,
  DatabaseTicket,
  OpenDatabase,
  OpenOptions,
  ScanOptions,
  WriteBatch,
  WriteOperation,
} from './byte-store.ts';
import { scanBounds } from './scan-bounds.ts';

const LEAF_ROWS_MAX = 128;

interface Leaf {
  /** The round of snapshots in which this leaf was made or copied; older than the store's: a scan may hold it. */
  epoch: number;
  readonly keys: Buffer[];
  readonly values: Buffer[];
}

class MemoryByteStore implements ByteStore {
  #leaves: Leaf[] = [];
  #leavesEpoch = 0;
  #epoch = 0;
  #rows = 0;

  get(key: Uint8Array): Buffer | undefined {
    const leaf = this.#leaves[this.#leafFor(key)];
    if (leaf === undefined) return undefined;
    const at = lowerBound(leaf.keys, key);
    const found = leaf.keys[at];
    return found !== undefined && compareBytes(found, key) === 0 ? leaf.values[at] : undefined;
  }

  getMany(keys: readonly Uint8Array[]): (Buffer | undefined)[] {
    return keys.map((key) => this.get(key));
  }

  scan(options: ScanOptions): ByteRows {
    const bounds = scanBounds(options);
    if (bounds.empty) return new LeafRows([], 0, 0, 0, 0, options.reverse === true, 0);
    this.#epoch++;
    const [fromLeaf, fromRow] = this.#position(bounds.from);
    const [toLeaf, toRow] = bounds.to === undefined ? [this.#leaves.length, 0] : this.#position(bounds.to);
    return new LeafRows(this.#leaves, fromLeaf, fromRow, toLeaf, toRow, options.reverse === true, options.limit ?? Number.POSITIVE_INFINITY);
  }

  approximateCount(): number {
    return this.#rows;
  }

  apply(operation: WriteOperation): void {
    if (operation.kind === 'put') this.#put(operation.key, copyBytes(operation.value));
    else if (operation.kind === 'delete') this.#delete(operation.key);
    else for (const key of this.#keysIn(operation.from, operation.to)) this.#delete(key);
  }

  #keysIn(from: Uint8Array, to: Uint8Array): Buffer[] {
    const keys: Buffer[] = [];
    const rows = this.scan({ gte: from, lt: to });
    while (rows.next()) keys.push(rows.key);
    return keys;
  }

  /** Keeps `value`, and a copy of a key that is new. */
  #put(key: Uint8Array, value: Buffer): void {
    const index = this.#leafFor(key);
    if (index < 0) {
      this.#ownLeaves().push({ epoch: this.#epoch, keys: [copyBytes(key)], values: [value] });
      this.#rows++;
      return;
    }
    const leaf = this.#ownLeaf(index);
    const at = lowerBound(leaf.keys, key);
    const found = leaf.keys[at];
    if (found !== undefined && compareBytes(found, key) === 0) {
      leaf.values[at] = value;
      return;
    }
    leaf.keys.splice(at, 0, copyBytes(key));
    leaf.values.splice(at, 0, value);
    this.#rows++;
    if (leaf.keys.length <= LEAF_ROWS_MAX) return;
    // Rows often arrive in order: then the full leaf stays full and the new one starts small.
    const half = at === leaf.keys.length - 1 ? leaf.keys.length - 1 : leaf.keys.length >> 1;
    this.#ownLeaves().splice(index + 1, 0, { epoch: this.#epoch, keys: leaf.keys.splice(half), values: leaf.values.splice(half) });
  }

  #delete(key: Uint8Array): void {
    const index = this.#leafFor(key);
    const seen = this.#leaves[index];
    if (seen === undefined) return;
    const at = lowerBound(seen.keys, key);
    const found = seen.keys[at];
    if (found === undefined || compareBytes(found, key) !== 0) return;
    this.#rows--;
    if (seen.keys.length === 1) {
      this.#ownLeaves().splice(index, 1);
      return;
    }
    const leaf = this.#ownLeaf(index);
    leaf.keys.splice(at, 1);
    leaf.values.splice(at, 1);
  }

  /** Index of the leaf whose keys surround `key`: the last one that does not begin after it, else the first; -1 when there is none. */
  #leafFor(key: Uint8Array): number {
    const leaves = this.#leaves;
    if (leaves.length === 0) return -1;
    let low = 0;
    let high = leaves.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (compareBytes(firstKey(leaves[middle]), key) <= 0) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Leaf and row of the first row at or after `key`. */
  #position(key: Uint8Array | undefined): readonly [number, number] {
    if (key === undefined || this.#leaves.length === 0) return [0, 0];
    const index = this.#leafFor(key);
    const leaf = this.#leaves[index] as Leaf;
    const at = lowerBound(leaf.keys, key);
    return at === leaf.keys.length ? [index + 1, 0] : [index, at];
  }

  #ownLeaves(): Leaf[] {
    if (this.#leavesEpoch !== this.#epoch) {
      this.#leaves = this.#leaves.slice();
      this.#leavesEpoch = this.#epoch;
    }
    return this.#leaves;
  }

  #ownLeaf(index: number): Leaf {
    const leaf = this.#leaves[index] as Leaf;
    if (leaf.epoch === this.#epoch) return leaf;
    const copy = { epoch: this.#epoch, keys: leaf.keys.slice(), values: leaf.values.slice() };
    this.#ownLeaves()[index] = copy;
    return copy;
  }
}

function firstKey(leaf: Leaf | undefined): Buffer {
  const key = leaf?.keys[0];
  assert(key !== undefined, 'a leaf without rows');
  return key;
}

/** Index of the first key at or after `key`. */
function lowerBound(keys: readonly Buffer[], key: Uint8Array): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes(keys[middle] as Buffer, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A cursor over leaves that no write can change any more. */
class LeafRows implements ByteRows {
  key: Buffer = EMPTY;
  value: Buffer = EMPTY;
  #leaves: readonly Leaf[];
  readonly #reverse: boolean;
  #left: number;
  // next row to give (forward), or one past it (reverse)
  #leaf: number;
  #row: number;
  readonly #endLeaf: number;
  readonly #endRow: number;

  constructor(leaves: readonly Leaf[], fromLeaf: number, fromRow: number, toLeaf: number, toRow: number, reverse: boolean, limit: number) {
    this.#leaves = leaves;
    this.#reverse = reverse;
    this.#left = limit;
    this.#leaf = reverse ? toLeaf : fromLeaf;
    this.#row = reverse ? toRow : fromRow;
    this.#endLeaf = reverse ? fromLeaf : toLeaf;
    this.#endRow = reverse ? fromRow : toRow;
  }

  next(): boolean {
    if (this.#left-- <= 0 || !(this.#reverse ? this.#stepBack() : this.#stepOn())) {
      this.close();
      return false;
    }
    return true;
  }

  #stepOn(): boolean {
    for (;;) {
      if (this.#leaf > this.#endLeaf || (this.#leaf === this.#endLeaf && this.#row >= this.#endRow)) return false;
      const leaf = this.#leaves[this.#leaf];
      if (leaf === undefined) return false;
      if (this.#row < leaf.keys.length) {
        this.#take(leaf, this.#row++);
        return true;
      }
      this.#leaf++;
      this.#row = 0;
    }
  }

  #stepBack(): boolean {
    for (;;) {
      if (this.#leaf < this.#endLeaf || (this.#leaf === this.#endLeaf && this.#row <= this.#endRow)) return false;
      if (this.#row > 0) {
        this.#take(this.#leaves[this.#leaf] as Leaf, --this.#row);
        return true;
      }
      const before = this.#leaves[--this.#leaf];
      if (before === undefined) return false;
      this.#row = before.keys.length;
    }
  }

  #take(leaf: Leaf, row: number): void {
    this.key = leaf.keys[row] as Buffer;
    this.value = leaf.values[row] as Buffer;
  }

  close(): void {
    this.#left = 0;
    this.#leaves = [];
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const EMPTY: Buffer = Buffer.alloc(0);

class MemoryDatabase implements OpenDatabase {
  readonly ticket: DatabaseTicket;
  readonly #stores: Map<string, MemoryByteStore>;
  #closed = false;

  constructor(stores: Map<string, MemoryByteStore>, ticket: DatabaseTicket) {
    this.#stores = stores;
    this.ticket = ticket;
  }

  store(name: string): ByteStore {
    return this.#find(name);
  }

  write(batch: WriteBatch): void {
    if (this.#closed) throw new MillraceError('ERR_STORE_CLOSED', 'this database has been closed');
    for (const operation of batch.operations) this.#find(operation.store); // before anything is applied
    for (const operation of batch.operations) this.#find(operation.store).apply(operation);
  }

  detach(): void {}

  /** Its one thread is its owner's. */
  holdWrites(): Promise<() => void> {
    return Promise.resolve(() => {});
  }

  async close(): Promise<void> {
    this.#closed = true;
    OPEN.delete(this.ticket.handle as number);
  }

  #find(name: string): MemoryByteStore {
    const store = this.#stores.get(name);
    if (store === undefined)
      throw new MillraceError(
        'ERR_STORE_NOT_CONNECTED',
        `this database holds no store ${JSON.stringify(name)}; it was opened with ${[...this.#stores.keys()].join(', ')}`,
        { store: name },
      );
    return store;
  }
}

/** Databases open in this thread, by ticket, so that `attach` works where owner and user share a thread. */
const OPEN = new Map<number, MemoryDatabase>();
let opened = 0;

/** The engine's `open` without the promise it owes to engines that do I/O: for tests that run in one synchronous piece. */
export function openMemoryDatabase(options: OpenOptions): OpenDatabase {
  const handle = ++opened;
  const stores = new Map(options.stores.map((name) => [name, new MemoryByteStore()]));
  const database = new MemoryDatabase(stores, { engine: 'memory', directory: options.directory, stores: [...stores.keys()], handle });
  OPEN.set(handle, database);
  return database;
}

/** State in memory: gone with the process, rebuilt from the changelog. */
export const memoryEngine: ByteStoreEngine = {
  name: 'memory',
  durable: false,
  shareable: false,
  open: async (options) => openMemoryDatabase(options),
  attach(ticket: DatabaseTicket): Database {
    const database = OPEN.get(ticket.handle as number);
    if (database === undefined)
      throw new MillraceError(
        'ERR_ENGINE_UNAVAILABLE',
        'a memory database can be used only by the thread that opened it; open one there, or choose the rocksdb or lmdb engine',
        { directory: ticket.directory },
      );
    return database;
  },
};
