import { serde, store, topic, topology } from 'millrace';

interface Sale {
  readonly country: string;
  readonly cents: number;
}
export const sales = topic('sales', { key: serde.string(), value: serde.json<Sale>() });
export const rates = topic('rates', { key: serde.string(), value: serde.float64() });
export const blocked = topic('blocked', { key: serde.string(), value: serde.string() });
export const blockedIds = store.keyValue('blocked-ids', { key: serde.string(), value: serde.string() });
export const inEuro = topic('in-euro', { key: serde.string(), value: serde.float64() });

export default topology('global-tables', (t) => {
  const byCountry = t.globalTable(rates);

  // A global store: its processor alone writes it, in upper case here; all others read it.
  t.globalStore(blocked, {
    stores: [blockedIds],
    create: (context) => ({ process: (record) => context.store(blockedIds).put(record.key.toUpperCase(), record.value) }),
  });

  t.stream(sales)
    .processValues({
      create: (context) => ({
        process(record) {
          if (context.store(blockedIds).get(record.key.toUpperCase()) === undefined) context.forward(record);
        },
      }),
    })
    // Any key will do: nothing is repartitioned, and the sale keeps its own.
    .leftJoin(byCountry, (sale, rate) => sale.cents * (rate ?? 1), { on: (sale) => sale.country })
    .to(inEuro);
});
