// One lock per database over all threads of the process, around every write transaction.
// Why: a thread that is ended by force between the begin and the commit of a transaction never gets out of the binding's
// clean-up, and nobody writes to the environment again. Who ends a thread takes the gate first, so it ends between writes.
import { MillraceError } from '@millrace/core';

const FREE = 0;
const HELD = 1;
/** A write takes milliseconds; past this the disk hangs, or the thread inside has died. */
const WAIT_MS = 30_000;

export class WriteGate {
  /** Goes to other threads with the ticket. */
  readonly shared: SharedArrayBuffer;
  readonly #word: Int32Array;
  readonly #directory: string;

  constructor(directory: string, shared: SharedArrayBuffer = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.shared = shared;
    this.#word = new Int32Array(shared);
    this.#directory = directory;
  }

  /** Blocks the thread until no other is inside. Throws ERR_STATE_LOCKED when that takes longer than `waitMs`, milliseconds. */
  enter(waitMs: number = WAIT_MS): void {
    while (!this.#take()) if (Atomics.wait(this.#word, 0, HELD, waitMs) === 'timed-out') throw this.#stuck(waitMs);
  }

  /** As `enter`, for a thread that must not block. */
  async enterLater(waitMs: number = WAIT_MS): Promise<void> {
    while (!this.#take()) {
      const waiting = Atomics.waitAsync(this.#word, 0, HELD, waitMs);
      if ((await waiting.value) === 'timed-out') throw this.#stuck(waitMs);
    }
  }

  leave(): void {
    Atomics.store(this.#word, 0, FREE);
    Atomics.notify(this.#word, 0);
  }

  #take(): boolean {
    return Atomics.compareExchange(this.#word, 0, FREE, HELD) === FREE;
  }

  #stuck(waitMs: number): MillraceError {
    return new MillraceError(
      'ERR_STATE_LOCKED',
      `a write to the database in ${this.#directory} has not returned for ${waitMs / 1000} s: its disk hangs, or its thread died inside it. Restart the process; the database is whole.`,
      { directory: this.#directory },
    );
  }
}
