// The store engine of the simulation: databases in memory that outlive a killed process, as RocksDB's do, and lose their unsynced tail when
// the power fails. A batch is atomic over all stores of its database.
// E1 after a kill every batch whose write returned is there.  E2 after a power loss some first part of the batches since the last close is.
// E3 `expireRange` may happen or not.
import { type Chance, type MemoryDisk, MillraceError } from '@millrace/core';
import {
  type ByteStoreEngine,
  type Database,
  type DatabaseTicket,
  type OpenDatabase,
  openMemoryDatabase,
  WriteBatch,
  type WriteOperation,
} from '@millrace/state';
import type { DiskFaults } from './machine.ts';
import type { SimProcess } from './sim-process.ts';

interface Kept {
  memory: OpenDatabase;
  stores: Set<string>;
  /** Everything ever written, so that a shorter past can be made. */
  readonly batches: (readonly WriteOperation[])[];
  /** Batches that a power loss cannot take. */
  synced: number;
  open: boolean;
}

export class SimDatabases {
  readonly #chance: Chance;
  readonly #kept = new Map<string, Kept>();

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  /** Databases by folder. */
  find(directory: string): Database | undefined {
    return this.#kept.get(directory)?.memory;
  }
  /** Folders of databases that are open. */
  get open(): readonly string[] {
    return [...this.#kept].filter(([, { open }]) => open).map(([directory]) => directory);
  }
  closeAll(): void {
    for (const kept of this.#kept.values()) kept.open = false;
  }
  loseAll(): void {
    this.#kept.clear();
  }
  losePower(): void {
    for (const [directory, kept] of this.#kept) {
      const left = kept.synced + this.#chance.integer(kept.batches.length - kept.synced + 1);
      kept.batches.length = left;
      kept.synced = left;
      kept.memory = memoryOf(directory, kept.stores);
      for (const operations of kept.batches) applyTo(kept.memory, operations);
    }
  }

  engine(process: SimProcess, faults: DiskFaults, disk: MemoryDisk): ByteStoreEngine {
    const attach = (directory: string): Database => {
      const kept = this.#kept.get(directory);
      if (kept === undefined) throw new MillraceError('ERR_STORE_CLOSED', `there is no database in ${directory}`, { directory });
      let detached = false;
      return {
        store: (name) => kept.memory.store(name),
        write: (batch) => {
          if (detached || !kept.open) throw new MillraceError('ERR_STORE_CLOSED', `the database in ${directory} has been closed`, { directory });
          this.#write(process, faults, directory, kept, batch);
        },
        detach() {
          detached = true;
        },
      };
    };
    return {
      name: 'rocksdb',
      durable: true,
      shareable: true,
      open: async ({ directory, stores }) => {
        this.#openOne(directory, stores, disk);
        const kept = this.#kept.get(directory) as Kept;
        const ticket: DatabaseTicket = { engine: 'rocksdb', directory, stores: [...stores], handle: undefined };
        return {
          ...attach(directory),
          ticket,
          holdWrites: async () => () => {},
          close: async () => {
            if (process.ended !== undefined) return;
            kept.open = false;
            kept.synced = kept.batches.length;
          },
        };
      },
      attach: ({ directory }) => attach(directory),
    };
  }

  #openOne(directory: string, stores: readonly string[], disk: MemoryDisk): void {
    if (!disk.exists(directory)) this.#kept.delete(directory); // put aside, or never there
    disk.makeDirectory(directory);
    const known = this.#kept.get(directory);
    if (known?.open === true) throw new MillraceError('ERR_STATE_LOCKED', `the database in ${directory} is open already`, { directory });
    if (known !== undefined && stores.every((name) => known.stores.has(name))) {
      known.open = true;
      return;
    }
    const names = new Set([...(known?.stores ?? []), ...stores]);
    const made: Kept = { memory: memoryOf(directory, names), stores: names, batches: known?.batches ?? [], synced: known?.synced ?? 0, open: true };
    for (const operations of made.batches) applyTo(made.memory, operations);
    this.#kept.set(directory, made);
  }

  #write(process: SimProcess, faults: DiskFaults, directory: string, kept: Kept, batch: WriteBatch): void {
    if (faults.refuses !== undefined && process.ended === undefined)
      throw new MillraceError('ERR_STORE_IO', `the database in ${directory} could not be written: ${faults.refuses}`, { directory });
    if (!process.effect(`a settle of ${directory}`)) return;
    const operations = batch.operations.filter(({ kind }) => kind !== 'expireRange' || this.#chance.integer(2) === 0).map(copyOf);
    for (const operation of operations) process.world.trace.bytes(process.name, 'key' in operation ? operation.key : operation.from);
    kept.batches.push(operations);
    applyTo(kept.memory, operations);
  }
}

function memoryOf(directory: string, stores: ReadonlySet<string>): OpenDatabase {
  return openMemoryDatabase({ directory, stores: [...stores], cacheBytes: 0 });
}

function applyTo(memory: Database, operations: readonly WriteOperation[]): void {
  const batch = new WriteBatch();
  batch.operations.push(...operations);
  memory.write(batch);
}

function copyOf(operation: WriteOperation): WriteOperation {
  switch (operation.kind) {
    case 'put':
      return { ...operation, key: Buffer.from(operation.key), value: Buffer.from(operation.value) };
    case 'delete':
      return { ...operation, key: Buffer.from(operation.key) };
    default:
      return { ...operation, from: Buffer.from(operation.from), to: Buffer.from(operation.to) };
  }
}
