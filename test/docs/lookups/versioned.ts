import { serde, store, topic, topology } from 'millrace';

export const prices = topic('prices', { key: serde.string(), value: serde.safeInt() });
export const bought = topic('bought', { key: serde.string(), value: serde.safeInt() });
export const priceOf = store.versioned('price-of', { key: serde.string(), value: serde.safeInt(), history: '1 hour' });
export const atOnce = topic('bills', { key: serde.string(), value: serde.safeInt() });
export const inOrder = topic('bills-in-order', { key: serde.string(), value: serde.safeInt() });

export default topology('versioned', (t) => {
  const table = t.table(prices, { store: priceOf });
  const pieces = t.stream(bought);

  // The price that held when the thing was bought, not the one that holds now.
  pieces.join(table, (count, cents) => count * cents).to(atOnce);

  // A price may come late: records wait until stream time is half a minute past them, then look up, in order of time.
  pieces.join(table, (count, cents) => count * cents, { grace: '30s' }).to(inOrder);
});
