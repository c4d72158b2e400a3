// A changelog in memory for tests: what closing spans append waits until it is committed, then can be replayed.
import type { WriteBatch } from '../byte-store.ts';
import type { ChangelogSink, StagedStore } from '../staged-store.ts';

export interface LoggedRecord {
  readonly key: Buffer;
  readonly value: Buffer | null;
  readonly timestamp: number;
}

export class RecordingLog implements ChangelogSink {
  /** Records of committed spans: what a reader of the changelog sees. */
  readonly committed: LoggedRecord[] = [];
  /** Records of the closing span. */
  closing: LoggedRecord[] = [];

  append(key: Uint8Array, value: Uint8Array | null, timestamp: number): void {
    this.closing.push({ key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timestamp });
  }

  commit(): void {
    this.committed.push(...this.closing);
    this.closing = [];
  }

  abort(): void {
    this.closing = [];
  }

  /** Applies the committed records from `offset` on. */
  replay(store: StagedStore, batch: WriteBatch, offset: number): void {
    for (const record of this.committed.slice(offset)) store.applyRestored(batch, record.key, record.value, record.timestamp);
  }
}
