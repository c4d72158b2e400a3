// What a compression format has to do, whoever brings it.

/** One compression format. Both functions are synchronous: a batch is at most a few MiB. */
export interface CompressionCodec {
  compress(bytes: Buffer): Buffer;
  /** Throws when the result would exceed `maxBytes` or the input is damaged; never allocates much more than `maxBytes`. */
  decompress(bytes: Buffer, maxBytes: number): Buffer;
}
