// What happened in a simulation, as a digest of everything and as the last lines of text.
// Owns: the digest that two runs of one seed must share.  Never: influences what happens.
import { createHash, type Hash } from 'node:crypto';

/** Lines kept for people; the digest covers all of them. */
const LINES_MAX = 4000;

export class Trace {
  readonly #hash: Hash = createHash('sha256');
  readonly #nowMs: () => number;
  #lines: string[] = [];
  #events = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Something worth a line. */
  note(who: string, what: string): void {
    const line = `${this.#nowMs().toFixed(3)} ${who}: ${what}`;
    this.#hash.update(line);
    this.#events++;
    this.#lines.push(line);
    if (this.#lines.length > LINES_MAX * 2) this.#lines = this.#lines.slice(-LINES_MAX);
  }

  /** Bytes on their way, or to a disk: in the digest only. */
  bytes(who: string, bytes: Uint8Array): void {
    this.#hash.update(`${this.#nowMs()} ${who} ${bytes.length} `);
    this.#hash.update(bytes);
    this.#events++;
  }

  get events(): number {
    return this.#events;
  }
  get lines(): readonly string[] {
    return this.#lines.slice(-LINES_MAX);
  }
  get digest(): string {
    return this.#hash.copy().digest('hex');
  }
}
