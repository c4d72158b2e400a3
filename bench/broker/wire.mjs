// A bare Kafka connection for the load generator: frames out, frames in, requests matched by order (a broker answers in order).
// Never: decodes what it does not need; a frame comes as a view into its own memory, or a copy when it spans chunks.
import { connect } from 'node:net';

export class Wire {
  #socket;
  #waiting = [];
  #correlation = 0;
  #chunks = [];
  #held = 0;
  #ended;

  static open(address) {
    const [host, port] = address.split(':');
    return new Promise((resolve, reject) => {
      const wire = new Wire();
      const socket = connect({ host, port: Number(port), noDelay: true });
      wire.#socket = socket;
      socket.once('connect', () => resolve(wire));
      socket.once('error', reject);
      socket.on('data', (chunk) => wire.#take(chunk));
      socket.on('close', () => {
        wire.#ended = new Error('the broker closed the connection');
        for (const { reject: fail } of wire.#waiting.splice(0)) fail(wire.#ended);
      });
    });
  }

  /** Sends a request frame (4-byte size first, whole), its correlation id patched in; resolves with the answer without its size. */
  send(...pieces) {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    pieces[0].writeInt32BE(this.#correlation++ & 0x7fff_ffff, 8);
    this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    this.#socket.uncork();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  close() {
    this.#socket.destroy();
  }

  #take(chunk) {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    while (this.#held >= 4) {
      if (this.#chunks[0].length < 4) this.#join();
      const size = this.#chunks[0].readInt32BE(0) + 4;
      if (this.#held < size) return;
      if (this.#chunks[0].length < size) this.#join();
      const first = this.#chunks[0];
      this.#held -= size;
      if (first.length === size) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(size);
      this.#waiting.shift()?.resolve(first.subarray(4, size));
    }
  }

  #join() {
    this.#chunks = [Buffer.concat(this.#chunks)];
  }
}
