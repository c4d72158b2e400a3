// One store over all tasks that have it, for reading: what a query over all partitions would see, staged writes included.
// Never: writes; a row belongs to one partition, and only the test knows which.
import { compareBytes, type ErasedSerde, MillraceError, noHeaders } from '@millrace/core';
import type { Entry, KeyValueStore, Rows, SessionStore, WindowStore } from '@millrace/state';

type Both = KeyValueStore<unknown, unknown> & WindowStore<unknown, unknown> & SessionStore<unknown, unknown>;
type Reader = (...args: never[]) => unknown;

/** Points of a store: of several partitions the first that has something answers. */
const POINTS = new Set(['get', 'entry', 'asOf']);
/** Rows of several partitions come in order of key bytes, as from one; rows of one key keep their order. */
const ROWS = new Set(['range', 'fetch', 'fetchAll', 'findSessions']);

export function storeUnion(name: string, key: ErasedSerde, stores: readonly unknown[]): unknown {
  const parts = stores as readonly Both[];
  const bytesOf = (entry: Entry<unknown, unknown>): Uint8Array => {
    const { key: held } = entry;
    const plain = isWindowed(held) ? held.key : held;
    return key.serialize(plain as never, { topic: name, role: 'key', headers: noHeaders }) ?? Buffer.alloc(0);
  };
  const call = (part: Both, method: string, args: readonly unknown[]): unknown =>
    (part as unknown as Record<string, Reader>)[method]?.apply(part, args as never[]);
  return new Proxy(parts[0] as object, {
    get(first, method) {
      if (typeof method !== 'string') return Reflect.get(first, method);
      if (POINTS.has(method)) return (...args: unknown[]) => firstDefined(parts.map((part) => () => call(part, method, args)));
      if (ROWS.has(method))
        return (...args: unknown[]) =>
          inKeyOrder(
            parts.flatMap((part) => [...(call(part, method, args) as Rows<Entry<unknown, unknown>>)]),
            bytesOf,
            args,
          );
      if (method === 'approximateCount') return () => parts.reduce((sum, part) => sum + part.approximateCount(), 0);
      return () => {
        throw new MillraceError(
          'ERR_OPTION',
          `store ${name} lies in ${parts.length} partitions: ${method}() needs one of them. Use partition(n).store(handle).`,
          { store: name },
        );
      };
    },
  });
}

function isWindowed(key: unknown): key is { readonly key: unknown; readonly window: unknown } {
  return typeof key === 'object' && key !== null && 'window' in key && 'key' in key;
}

function firstDefined(asks: readonly (() => unknown)[]): unknown {
  for (const ask of asks) {
    const found = ask();
    if (found !== undefined) return found;
  }
  return undefined;
}

function inKeyOrder(
  entries: Entry<unknown, unknown>[],
  bytesOf: (entry: Entry<unknown, unknown>) => Uint8Array,
  args: readonly unknown[],
): Rows<Entry<unknown, unknown>> {
  const range =
    args.find((arg): arg is { reverse?: boolean; limit?: number } => typeof arg === 'object' && arg !== null && ('reverse' in arg || 'limit' in arg)) ?? {};
  const sign = range.reverse === true ? -1 : 1;
  const sorted = entries
    .map((entry) => ({ entry, bytes: bytesOf(entry) }))
    .sort((a, b) => sign * compareBytes(a.bytes, b.bytes))
    .map(({ entry }) => entry);
  const rows = sorted.slice(0, range.limit).values();
  return Object.assign(rows, { [Symbol.dispose]() {} }) as Rows<Entry<unknown, unknown>>;
}
