// A machine of the simulation: the disk and the databases that outlive its processes, and what a crash leaves of them.
// Owns: both, and their faults.  Never: runs anything.
import { type Chance, type Disk, type MemoryDisk, memoryDisk } from '@millrace/core';
import type { ByteStoreEngine } from '@millrace/state';
import { SimDatabases } from './sim-databases.ts';
import { diskOf } from './sim-disk.ts';
import type { Ending, SimProcess } from './sim-process.ts';

/** What ails the disk of a machine. */
export interface DiskFaults {
  /** Undefined: writes succeed. */
  refuses: 'ENOSPC' | 'EROFS' | 'EIO' | undefined;
  /** A sync takes up to this long, ms. */
  slowMs: number;
}

export class Machine {
  readonly host: string;
  readonly faults: DiskFaults = { refuses: undefined, slowMs: 0 };
  readonly #chance: Chance;
  readonly #databases: SimDatabases;
  #disk: MemoryDisk = memoryDisk();

  constructor(host: string, chance: Chance) {
    this.host = host;
    this.#chance = chance;
    this.#databases = new SimDatabases(chance);
  }

  disk(process: SimProcess): Disk {
    return diskOf(process, this.#disk, this.faults);
  }
  engine(process: SimProcess): ByteStoreEngine {
    return this.#databases.engine(process, this.faults, this.#disk);
  }
  /** The rows of a database as they are now, for checkers. */
  get databases(): SimDatabases {
    return this.#databases;
  }

  /** A process of this machine has ended; only one at a time runs here. */
  afterEnd(how: Ending): void {
    this.#databases.closeAll();
    if (how !== 'powerLoss') {
      this.#disk.kill();
      return;
    }
    this.#disk.crash((['drop', 'keep', 'tear'] as const)[this.#chance.integer(3)]);
    this.#databases.losePower();
  }
  /** The disk is replaced by an empty one. */
  loseDisk(): void {
    this.#disk = memoryDisk();
    this.#databases.loseAll();
  }
}
