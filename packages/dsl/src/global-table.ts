// GlobalTable as users see it: the rows of all partitions of a topic, whole on every instance. Interface only.

/** A target of joins and lookups: what it holds is read, never processed. */
export interface GlobalTable<in out K, out V> {
  readonly kind: 'globalTable';
  readonly '~rows'?: { readonly key: (key: K) => K; readonly value: V };
}
