import { serde, store, topic, topology } from 'millrace';

export const prices = topic('prices', { key: serde.string(), value: serde.float64() });
export const trends = topic('trends', { key: serde.string(), value: serde.string() });
export const highest = store.keyValue('highest-price', { key: serde.string(), value: serde.float64() });
export const trendStore = store.keyValue('trends', { key: serde.string(), value: serde.string() });

export default topology('transformed', (t) => {
  t.table(prices)
    .transformValues(
      {
        stores: [highest],
        create: (context) => (price, product) => {
          if (price === null) return 'no longer sold'; // deletes are seen as well; null would hand them on
          const before = context.store(highest).get(product);
          if (before === undefined || price > before) context.store(highest).put(product, price);
          return before === undefined || price >= before ? 'at its highest' : 'has been dearer';
        },
      },
      { store: trendStore }, // kept, so that a lookup does not run the code again
    )
    .toStream()
    .filter((trend) => trend !== null)
    .to(trends);
});
