// How a store's keys become map keys, bytes and keys again, chosen once per store from the serde.
// Text serdes: the text itself is the map key, so a lookup encodes nothing. Others: the latin1 text of the bytes.
import { asBuffer, type ErasedSerde, MillraceError, noHeaders, type SerdeInfo } from '@millrace/core';
import { unreadable } from '../serde-refusals.ts';

/** A key the store owns: nothing of it shares memory with the batch it came in. */
export interface OwnKey {
  /** Map key; equal for equal bytes. */
  readonly text: string;
  readonly bytes: Buffer;
  readonly key: unknown;
}

export interface KeyForm {
  /**
   * The text to look up. For a text serde an ill-formed string may miss although its bytes are there: a miss therefore
   * goes through `own`, whose text is canonical. Throws ERR_UNEXPECTED_NULL_KEY.
   */
  textOf(key: unknown): string;
  own(key: unknown, text: string): OwnKey;
  bytesOf(key: unknown): Uint8Array;
  /** `bytes` must not change afterwards. */
  fromBytes(bytes: Buffer): unknown;
}

export function createKeyForm(serde: ErasedSerde, store: string, topic: string): KeyForm {
  const info: SerdeInfo = { topic, role: 'key', headers: noHeaders };
  const direct = serde['~direct'];
  const refuseNull = (): never => {
    throw new MillraceError(
      'ERR_UNEXPECTED_NULL_KEY',
      `store ${store} was asked for a null key; a store has no such row. Filter records without a key first.`,
      { store },
    );
  };
  const bytesOf = (key: unknown): Uint8Array => (key === null || key === undefined ? refuseNull() : (serde.serialize(key as never, info) ?? refuseNull()));
  const fromBytes = (bytes: Buffer): unknown => {
    try {
      return serde.deserialize(bytes, info);
    } catch (error) {
      throw unreadable(store, 'key', error);
    }
  };
  if (direct?.kind === 'text') {
    return {
      textOf: (key) => (key === null || key === undefined ? refuseNull() : direct.toText(key, 'key')),
      own(key, text) {
        const bytes = Buffer.from(text, 'utf8');
        // As many bytes as units: all ASCII. Otherwise an ill-formed string and its replacement characters must be one key.
        const own = bytes.length === text.length ? bytes.latin1Slice() : bytes.utf8Slice();
        return { text: own, bytes, key: typeof key === 'string' ? direct.fromText(own) : key };
      },
      bytesOf,
      fromBytes,
    };
  }
  if (direct?.kind === 'fixed') {
    const scratch = Buffer.alloc(direct.size);
    return {
      textOf(key) {
        if (key === null || key === undefined) refuseNull();
        direct.write(key, scratch, 0);
        return scratch.latin1Slice(0, direct.size);
      },
      own: (key, text) => ({ text, bytes: Buffer.from(text, 'latin1'), key }),
      bytesOf,
      fromBytes,
    };
  }
  const keyIsBytes = direct?.kind === 'bytes';
  return {
    textOf: (key) => asBuffer(bytesOf(key)).latin1Slice(),
    own(key, text) {
      const bytes = Buffer.from(text, 'latin1');
      return { text, bytes, key: keyIsBytes ? bytes : holdsBytes(key) ? fromBytes(bytes) : key };
    },
    bytesOf,
    fromBytes,
  };
}

/** Bytes inside a key (of a windowed one, say) may be a view on the batch that it came in. */
function holdsBytes(key: unknown): boolean {
  return typeof key === 'object' && key !== null && Object.values(key).some((part) => part instanceof Uint8Array);
}
