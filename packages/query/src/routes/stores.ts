// What stores there are.
import { type Exchange, json } from '../exchange.ts';
import type { StoreSummary } from '../host.ts';
import type { HttpReply } from '../node-http.ts';

export function listStores(exchange: Exchange): HttpReply {
  exchange.parameters([]);
  return json({ items: exchange.host.stores().map(shown), nextCursor: null });
}

export function describeStore(exchange: Exchange): HttpReply {
  exchange.parameters([]);
  return json(shown(exchange.store()));
}

function shown(store: StoreSummary): object {
  const { keySerde, valueFormat, ...rest } = store;
  return { ...rest, key: keySerde.format, value: valueFormat };
}
