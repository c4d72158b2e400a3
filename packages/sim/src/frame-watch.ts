// Finds where requests begin and end in the bytes of a connection, and their API keys.
// Never: reads more than the first six bytes of a frame: length (int32), API key (int16).

const HEAD_BYTES = 6;

export class FrameWatch {
  /** The first bytes of a frame whose head has not come whole. */
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headBytes = 0;
  /** Bytes of the current frame that have not come. */
  #left = 0;
  #apiKey = -1;

  /** API keys of the requests that these bytes complete. */
  push(bytes: Uint8Array): readonly number[] {
    const complete: number[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#left === 0) {
        while (this.#headBytes < HEAD_BYTES && at < bytes.length) this.#head[this.#headBytes++] = bytes[at++] as number;
        if (this.#headBytes < HEAD_BYTES) break;
        this.#left = this.#head.readInt32BE(0) - 2;
        this.#apiKey = this.#head.readInt16BE(4);
        this.#headBytes = 0;
      }
      const taken = Math.min(this.#left, bytes.length - at);
      at += taken;
      this.#left -= taken;
      if (this.#left === 0) complete.push(this.#apiKey);
    }
    return complete;
  }
}
