// gzip through node:zlib, the one codec every Node has.
// Owns: nothing.  Never: returns more than the caller's bound (zlib stops at it, so a bomb costs what the bound costs).
// Concatenated members are one stream to zlib, as gzip demands.
import { gunzipSync, gzipSync } from 'node:zlib';

export const gzipCodec = {
  compress(bytes: Buffer): Buffer {
    return gzipSync(bytes);
  },
  decompress(bytes: Buffer, maxBytes: number): Buffer {
    return gunzipSync(bytes, { maxOutputLength: Math.max(1, maxBytes) });
  },
};
