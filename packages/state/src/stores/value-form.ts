// How a store's values become frozen rows (timestamp | value bytes) and values again, chosen once per store from the serde.
import { asBuffer, copyBytes, type ErasedSerde, MillraceError, noHeaders, type SerdeInfo, writeSafeInteger } from '@millrace/core';
import { VALUE_AT } from '../layouts/key-value.ts';
import { unreadable, unwritable } from '../serde-refusals.ts';

const SLAB_BYTES = 64 * 1024;
/** Guess for values whose size is not known before they are encoded. */
const SIZE_GUESS = 64;
const LONG_TEXT = 4096;

export interface ValueForm {
  /** The row of a value: its bytes never change again. Null where the serde has none for it: a tombstone. */
  freeze(value: unknown, timestamp: number): Buffer | null;
  /** The value of a row. `row` must not change afterwards. */
  thaw(row: Buffer): unknown;
  /** The same for value bytes alone. */
  thawValue(bytes: Buffer): unknown;
  /** The value as a store may keep it: bytes are copied. Before anything has changed; while writes are checked, throws what `freeze` would throw. */
  keep(value: unknown): unknown;
  /** From now on: whether each write is encoded when it is made too, and not at the close alone. */
  checkWrites(on: boolean): void;
  /** Bytes a live value takes, about. */
  sizeOf(value: unknown): number;
}

export function createValueForm(serde: ErasedSerde, store: string, topic: string, checksWrites = false): ValueForm {
  const form = createUncheckedForm(serde, store, topic);
  let checks = checksWrites;
  return {
    ...form,
    thaw: (row) => read(row, form.thaw),
    thawValue: (bytes) => read(bytes, form.thawValue),
    keep(value) {
      if (checks) check(value);
      return form.keep(value);
    },
    checkWrites(on) {
      checks = on || checksWrites;
    },
  };

  function read(bytes: Buffer, how: (bytes: Buffer) => unknown): unknown {
    try {
      return how(bytes);
    } catch (error) {
      throw unreadable(store, 'value', error);
    }
  }

  function check(value: unknown): void {
    try {
      form.freeze(value, 0);
    } catch (error) {
      throw unwritable(store, error);
    }
  }
}

function createUncheckedForm(serde: ErasedSerde, store: string, topic: string): Omit<ValueForm, 'checkWrites'> {
  const info: SerdeInfo = { topic, role: 'value', headers: noHeaders };
  const direct = serde['~direct'];
  const slab = new FrozenSlab();
  let averageSize = SIZE_GUESS;
  const seal = (length: number, timestamp: number): Buffer => {
    averageSize += (length - averageSize) / 32;
    return slab.seal(length, timestamp);
  };
  const frozen = (bytes: Uint8Array | null, timestamp: number): Buffer | null => {
    if (bytes === null) return null;
    slab.reserve(bytes.length);
    slab.buffer.set(bytes, slab.at + VALUE_AT);
    return seal(bytes.length, timestamp);
  };
  const sizeOf = (value: unknown): number => (typeof value === 'string' ? value.length : value instanceof Uint8Array ? value.length : Math.round(averageSize));
  const thawValue = (bytes: Buffer): unknown => serde.deserialize(bytes, info);
  const plain = (row: Buffer): unknown => thawValue(row.subarray(VALUE_AT));
  if (direct?.kind === 'text') {
    return {
      freeze(value, timestamp) {
        const text = direct.toText(value, 'value');
        slab.reserve(text.length < LONG_TEXT ? text.length * 3 : Buffer.byteLength(text)); // at most three bytes a unit: no second pass for short text
        return seal(slab.buffer.utf8Write(text, slab.at + VALUE_AT), timestamp);
      },
      thaw: (row) => direct.fromText(row.utf8Slice(VALUE_AT, row.length)),
      thawValue,
      keep: (value) => value,
      sizeOf,
    };
  }
  if (direct?.kind === 'fixed') {
    const { size } = direct;
    return {
      freeze(value, timestamp) {
        slab.reserve(size);
        direct.write(value, slab.buffer, slab.at + VALUE_AT);
        return seal(size, timestamp);
      },
      thaw: (row) => (row.length === VALUE_AT + size ? direct.read(row, VALUE_AT) : plain(row)),
      thawValue,
      keep: (value) => value,
      sizeOf: () => size,
    };
  }
  const keep = direct?.kind === 'bytes' ? (value: unknown) => copyBytes(asUint8Array(value, store)) : (value: unknown) => value;
  return { freeze: (value, timestamp) => frozen(serde.serialize(value as never, info), timestamp), thaw: plain, thawValue, keep, sizeOf };
}

function asUint8Array(value: unknown, store: string): Uint8Array {
  if (value instanceof Uint8Array) return asBuffer(value);
  throw new MillraceError('ERR_RECORD_UNENCODABLE', `store ${store} holds bytes, and was given ${typeof value}`, { store });
}

/** Frozen rows are cut from shared slabs: one allocation per thousand values. A slab goes when its last row is settled. */
class FrozenSlab {
  buffer: Buffer = Buffer.alloc(0);
  at = 0;

  /** Room for a row whose value has up to `length` bytes. */
  reserve(length: number): void {
    const need = length + VALUE_AT;
    if (this.buffer.length - this.at >= need) return;
    this.buffer = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, need));
    this.at = 0;
  }

  seal(length: number, timestamp: number): Buffer {
    const end = this.at + VALUE_AT + length;
    writeSafeInteger(timestamp, this.buffer, this.at);
    const row = this.buffer.subarray(this.at, end);
    this.at = end;
    return row;
  }
}
