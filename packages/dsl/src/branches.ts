// What split() returns: a stream per branch, narrowed where its predicate is a type guard.
import type { KStream } from './kstream.ts';

type Guard<V, S extends V> = (value: V, ...others: never[]) => value is S;
/** The values that pass a predicate: what its type guard says, else all. */
export type Guarded<F, V> = F extends Guard<V, infer S> ? S : V;
export type Branches<K, V, B> = { readonly [P in keyof B | 'rest']: KStream<K, P extends keyof B ? Guarded<B[P], V> : V> };
