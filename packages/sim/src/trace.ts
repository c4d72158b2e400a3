// What happened in a simulation, as a digest of everything and as the last lines of text.
// Owns: the digest that two runs of one seed must share.  Never: influences what happens.
import { createHash, type Hash } from 'node:crypto';

/** Lines kept for people; the digest covers all of them. */
const LINES_MAX = 4000;
/** Gathered before they are hashed: a call of the hash costs more than a short text. */
const GATHERED_BYTES = 32 * 1024;

export class Trace {
  readonly #hash: Hash = createHash('sha256');
  readonly #nowMs: () => number;
  readonly #gathered = Buffer.allocUnsafe(GATHERED_BYTES);
  #used = 0;
  #lines: string[] = [];
  #events = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Something worth a line. */
  note(who: string, what: string): void {
    const line = `${this.#nowMs().toFixed(3)} ${who}: ${what}`;
    this.#text(line);
    this.#events++;
    this.#lines.push(line);
    if (this.#lines.length > LINES_MAX * 2) this.#lines = this.#lines.slice(-LINES_MAX);
  }

  /** Bytes on their way, or to a disk: in the digest only. */
  bytes(who: string, bytes: Uint8Array): void {
    this.#text(`${this.#nowMs()} ${who} ${bytes.length} `);
    if (bytes.length > GATHERED_BYTES - this.#used) this.#flush();
    if (bytes.length > GATHERED_BYTES) this.#hash.update(bytes);
    else {
      this.#gathered.set(bytes, this.#used);
      this.#used += bytes.length;
    }
    this.#events++;
  }

  #text(text: string): void {
    // Three bytes are the most that a unit of a text takes in UTF-8.
    if (text.length * 3 > GATHERED_BYTES - this.#used) this.#flush();
    if (text.length * 3 > GATHERED_BYTES) this.#hash.update(text);
    else this.#used += this.#gathered.write(text, this.#used);
  }
  #flush(): void {
    this.#hash.update(this.#gathered.subarray(0, this.#used));
    this.#used = 0;
  }

  get events(): number {
    return this.#events;
  }
  get lines(): readonly string[] {
    return this.#lines.slice(-LINES_MAX);
  }
  get digest(): string {
    this.#flush();
    return this.#hash.copy().digest('hex');
  }
}
