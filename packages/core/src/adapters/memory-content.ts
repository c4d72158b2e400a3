// The bytes of one file of the disk in memory: as processes see them, and as the device has them.
// Owns: which changes no sync has covered.  Never: knows names.
// C1 the device holds every change up to the last sync, and after a power loss whatever else its luck left there.
import type { Chance } from '../chance.ts';

type Change = { readonly kind: 'write'; readonly position: number; readonly bytes: Buffer } | { readonly kind: 'truncate'; readonly size: number };

/** What a power loss does to unsynced changes; a Chance decides for each one alone: there, gone, or (a write) cut. */
export type Unsynced = 'drop' | 'keep' | 'tear' | Chance;

export class MemoryContent {
  #now = new Bytes();
  readonly #device = new Bytes();
  #pending: Change[] = [];
  /** Changes that syncs have covered so far. */
  #covered = 0;

  get size(): number {
    return this.#now.size;
  }
  write(position: number, bytes: Uint8Array): void {
    this.#do({ kind: 'write', position, bytes: Buffer.from(bytes) });
  }
  truncate(size: number): void {
    this.#do({ kind: 'truncate', size });
  }
  read(target: Uint8Array, targetStart: number, length: number, position: number): number {
    const piece = this.#now.slice(position, position + length);
    target.set(piece, targetStart);
    return piece.length;
  }

  /** What a sync that begins now will cover: pass it to `sync`. */
  get mark(): number {
    return this.#covered + this.#pending.length;
  }
  /** Brings everything up to `mark` to the device. */
  sync(mark: number): void {
    const count = Math.max(0, mark - this.#covered);
    for (const change of this.#pending.splice(0, count)) this.#device.apply(change);
    this.#covered += count;
  }

  crash(unsynced: Unsynced): void {
    const last = this.#pending.at(-1);
    for (const change of this.#pending) {
      if (typeof unsynced !== 'string') this.#try(change, unsynced);
      else if (unsynced !== 'drop') this.#device.apply(change === last && unsynced === 'tear' ? cut(change, 0.5) : change);
    }
    this.#covered += this.#pending.length;
    this.#pending = [];
    this.#now = this.#device.copy();
  }

  #try(change: Change, chance: Chance): void {
    const luck = chance.integer(3);
    if (luck === 0) return;
    this.#device.apply(luck === 1 ? change : cut(change, chance.float()));
  }
  #do(change: Change): void {
    this.#now.apply(change);
    this.#pending.push(change);
  }
}

function cut(change: Change, share: number): Change {
  return change.kind === 'write' ? { ...change, bytes: change.bytes.subarray(0, Math.floor(change.bytes.length * share)) } : change;
}

/** A growing byte string; what lies between its end and a later write reads as zeros. */
class Bytes {
  #bytes = Buffer.alloc(0);
  size = 0;

  apply(change: Change): void {
    if (change.kind === 'truncate') {
      this.#resize(change.size);
      return;
    }
    const end = change.position + change.bytes.length;
    if (end > this.size) this.#resize(end);
    this.#bytes.set(change.bytes, change.position);
  }
  slice(start: number, end: number): Buffer {
    return this.#bytes.subarray(Math.min(start, this.size), Math.min(end, this.size));
  }
  copy(): Bytes {
    const copy = new Bytes();
    copy.apply({ kind: 'write', position: 0, bytes: this.slice(0, this.size) });
    return copy;
  }
  #resize(size: number): void {
    if (size > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(size, this.#bytes.length * 2, 64));
      grown.set(this.slice(0, this.size));
      this.#bytes = grown;
    } else if (size < this.size) {
      this.#bytes.fill(0, size, this.size);
    }
    this.size = size;
  }
}
