import { serde, store, topic, topology } from 'millrace';

interface Item {
  readonly name: string;
  readonly stock: number;
}
export const items = topic('items', { key: serde.string(), value: serde.json<Item>() });
export const scans = topic('scans', { key: serde.string(), value: serde.safeInt() });
export const short = topic('short', { key: serde.string(), value: serde.nullable(serde.string()) });
export const places = store.keyValue('last-seen', { key: serde.string(), value: serde.safeInt() });

export default topology('tables', (t) => {
  // The latest value per key; a record with value null deletes.
  t.table(items)
    .filter((item) => item.stock < 10) // a row that no longer fits is deleted
    .mapValues((item) => `${item.name}: ${item.stock} left`)
    .toStream() // the updates as records, deletes as null
    .to(short);

  // A stream read as a table, with its rows in a store of our own.
  t.stream(scans).repartition({ partitions: 8, as: 'spread' }).toTable({ store: places });
});
