// Record headers: immutable, in order, duplicates kept.
// They usually pass through untouched, so they can stay the encoded block of the record they came with.

/** Immutable record headers; order and duplicates are kept. */
export interface RecordHeaders extends Iterable<readonly [name: string, value: Uint8Array | null]> {
  readonly size: number;
  /** The last value of that name. */
  get(name: string): Uint8Array | undefined;
  /** The last value of that name as UTF-8 text. */
  text(name: string): string | undefined;
  with(name: string, value: Uint8Array | string): RecordHeaders;
  without(name: string): RecordHeaders;
}

class HeaderList implements RecordHeaders {
  readonly #entries: readonly (readonly [string, Uint8Array | null])[];
  constructor(entries: readonly (readonly [string, Uint8Array | null])[]) {
    this.#entries = entries;
  }
  get size(): number {
    return this.#entries.length;
  }
  get(name: string): Uint8Array | undefined {
    for (let at = this.#entries.length - 1; at >= 0; at--) {
      const entry = this.#entries[at] as readonly [string, Uint8Array | null];
      if (entry[0] === name) return entry[1] ?? undefined;
    }
    return undefined;
  }
  text(name: string): string | undefined {
    const value = this.get(name);
    return value === undefined ? undefined : Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
  }
  with(name: string, value: Uint8Array | string): RecordHeaders {
    return new HeaderList([...this.#entries, [name, typeof value === 'string' ? Buffer.from(value, 'utf8') : value]]);
  }
  without(name: string): RecordHeaders {
    const rest = this.#entries.filter((entry) => entry[0] !== name);
    return rest.length === 0 ? noHeaders : new HeaderList(rest);
  }
  [Symbol.iterator](): Iterator<readonly [string, Uint8Array | null]> {
    return this.#entries[Symbol.iterator]();
  }
}

/** The empty headers; compare by identity to skip work. */
export const noHeaders: RecordHeaders = new HeaderList([]);

export function createHeaders(entries: Iterable<readonly [name: string, value: Uint8Array | string | null]>): RecordHeaders {
  const list = [...entries].map(([name, value]) => [name, typeof value === 'string' ? Buffer.from(value, 'utf8') : value] as const);
  return list.length === 0 ? noHeaders : new HeaderList(list);
}
