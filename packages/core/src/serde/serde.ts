// The serde contract: values to bytes and back, with the forms the data path can read and write in place.
// Never: knows records or topics beyond the name it is told for messages.
import type { RecordHeaders } from '../headers.ts';

/** Whom a serde works for; used in messages and by registry serdes. */
export interface SerdeInfo {
  readonly topic: string;
  readonly role: 'key' | 'value';
  readonly headers: RecordHeaders;
}

/**
 * How the data path may skip the intermediate byte array. Equal results to serialize/deserialize are part of the contract
 * (the conformance test of this folder checks it).
 * - `text`: the bytes are the UTF-8 of a string;
 * - `fixed`: always `size` bytes, written and read at a position;
 * - `bytes`: the value is the bytes (reading gives a view: copy to keep).
 * @internal
 */
export type DirectForm =
  | { readonly kind: 'text'; toText(value: unknown, role: 'key' | 'value'): string; fromText(text: string): unknown }
  | { readonly kind: 'fixed'; readonly size: number; write(value: unknown, target: Buffer, at: number): void; read(source: Buffer, at: number): unknown }
  | { readonly kind: 'bytes' };

/**
 * Maps a value to bytes and back. `Serde<V, In>` reads `V` and accepts `In`; they differ only where a schema transforms.
 * Errors are thrown; the runtime adds the place and asks the error policy.
 */
export interface Serde<out V, in In = V> {
  /** Equal formats give equal bytes; joins check it, so that equal keys meet in equal partitions. */
  readonly format: string;
  /** `null` only from `serde.nullable` and `serde.none`. */
  serialize(value: In, info: SerdeInfo): Uint8Array | null;
  deserialize(bytes: Uint8Array, info: SerdeInfo): V;
  /** @internal The in-place form, where there is one. */
  readonly '~direct'?: DirectForm;
  /** @internal True where `null` is a value of this serde (nullable, none): null bytes read as `null`. */
  readonly '~null'?: true;
}

/** A serde whose types have been checked by the builder and are no longer needed. Sound: nodes are linked only to inputs of matching type. */
export type ErasedSerde = Serde<unknown, never>;

/** Bytes of `value` under `serde`; the one place that honours null, the direct form and the plain form alike. The result may share memory with `value`. */
export function encodeWith(serde: ErasedSerde, value: unknown, info: SerdeInfo): Uint8Array | null {
  if (value === null && serde['~null'] === true) return null;
  return serde.serialize(value as never, info);
}

/** The value behind bytes, `null` bytes included (only where the serde holds null). */
export function decodeWith(serde: ErasedSerde, bytes: Uint8Array | null, info: SerdeInfo): unknown {
  if (bytes === null) {
    if (serde['~null'] === true) return null;
    throw new TypeError(`null ${info.role} where ${serde.format} has no null; declare serde.nullable(…) if it may be missing`);
  }
  return serde.deserialize(bytes, info);
}
