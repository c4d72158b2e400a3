import { serde, store, topic, topology } from 'millrace';

interface Product {
  readonly name: string;
}
export const products = topic('products', { key: serde.string(), value: serde.json<Product>() });
export const prices = topic('prices', { key: serde.string(), value: serde.safeInt() });
export const offers = store.keyValue('offers', { key: serde.string(), value: serde.string() });
export const labels = topic('labels', { key: serde.string(), value: serde.nullable(serde.string()) });
export const gaps = store.keyValue('gaps', { key: serde.string(), value: serde.string() });

export default topology('table-joins', (t) => {
  const named = t.table(products);
  const priced = t.table(prices);

  // A row while both sides have one. A change of either side brings it up to date.
  named.join(priced, (product, cents) => `${product.name} for ${cents}`, { store: offers });

  // A row for every product; without a price the right side is undefined.
  named
    .leftJoin(priced, (product, cents) => `${product.name} ${cents ?? 'not for sale'}`)
    .toStream()
    .to(labels);

  // A row for whatever either side has.
  named.outerJoin(priced, (product, cents) => (product === undefined ? 'no name' : cents === undefined ? 'no price' : 'complete'), { store: gaps });
});
