// The two numbers of a partition that its batches cannot tell: where the log starts (DeleteRecords, retention) and up to where
// everything is on the device. Two slots written in turn, each behind a CRC: a torn write leaves the other slot.
// Owns: the file `state`.  Never: blocks on a sync unless asked to (a process kill loses nothing; a power loss may forget the newest slot,
// which only brings deleted records back or makes recovery read more).
import { crc32c } from '@millrace/protocol';
import { PARTITION_STATE_FILE } from './file-names.ts';
import type { OpenFiles } from './open-files.ts';

const SLOT_BYTES = 64;
const VERSION = 1;

export interface PartitionFacts {
  readonly logStart: number;
  /** Batches below this offset were synced. */
  readonly recoveryPoint: number;
}

export class PartitionStateFile {
  readonly path: string;
  readonly #files: OpenFiles;
  #sequence = 0;
  #exists: boolean;
  #facts: PartitionFacts = { logStart: 0, recoveryPoint: 0 };

  constructor(files: OpenFiles, directory: string) {
    this.#files = files;
    this.path = files.disk.join(directory, PARTITION_STATE_FILE);
    this.#exists = files.disk.exists(this.path);
    if (!this.#exists) return;
    const bytes = Buffer.from(files.disk.readWhole(this.path));
    for (let slot = 0; slot < 2; slot++) this.#take(bytes, slot * SLOT_BYTES);
  }

  get facts(): PartitionFacts {
    return this.#facts;
  }

  /** True when the file is new: its name is not durable until its directory was synced. */
  save(facts: PartitionFacts): boolean {
    this.#sequence += 1;
    const slot = Buffer.alloc(SLOT_BYTES);
    slot.writeUInt16BE(VERSION, 0);
    slot.writeDoubleBE(this.#sequence, 8);
    slot.writeDoubleBE(facts.logStart, 16);
    slot.writeDoubleBE(facts.recoveryPoint, 24);
    slot.writeUInt32BE(crc32c(slot, 0, SLOT_BYTES - 4), SLOT_BYTES - 4);
    this.#files.create(this.path).write(slot, (this.#sequence % 2) * SLOT_BYTES);
    this.#facts = facts;
    const isNew = !this.#exists;
    this.#exists = true;
    return isNew;
  }

  #take(bytes: Buffer, at: number): void {
    if (bytes.length < at + SLOT_BYTES) return;
    if (bytes.readUInt16BE(at) !== VERSION || crc32c(bytes, at, at + SLOT_BYTES - 4) !== bytes.readUInt32BE(at + SLOT_BYTES - 4)) return;
    const sequence = bytes.readDoubleBE(at + 8);
    if (sequence <= this.#sequence) return;
    this.#sequence = sequence;
    this.#facts = { logStart: bytes.readDoubleBE(at + 16), recoveryPoint: bytes.readDoubleBE(at + 24) };
  }
}
