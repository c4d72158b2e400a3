import { serde, store, topic, topology } from 'millrace';

type ShipmentId = string & { readonly brand: 'ShipmentId' };
type DepotId = string & { readonly brand: 'DepotId' };
interface Shipment {
  depot: DepotId;
  kilos: number;
}
interface Routed extends Shipment {
  city: string;
}
export const shipments = topic('shipments', { key: serde.string<ShipmentId>(), value: serde.json<Shipment>() });
export const depots = topic('depots', { key: serde.string<DepotId>(), value: serde.json<{ city: string }>() });
export const routed = store.keyValue('routed', { key: serde.string<ShipmentId>(), value: serde.json<Routed>() });
export const load = store.keyValue('load', { key: serde.string<DepotId>(), value: serde.safeInt() });
export const loads = topic('loads', { key: serde.string<DepotId>(), value: serde.nullable(serde.safeInt()) });
export default topology('shipments', (t) => {
  const table = t.table(shipments);
  table.foreignKeyJoin(t.table(depots), (shipment, depot) => ({ ...shipment, city: depot.city }), { on: (shipment) => shipment.depot, store: routed });
  table
    .groupBy((shipment) => ({ key: shipment.depot, value: shipment.kilos }), { as: 'by-depot' })
    .aggregate({ initial: () => 0, add: (kilos, added) => kilos + added, subtract: (kilos, gone) => kilos - gone || null, store: load })
    .toStream() // number | null: an empty depot is deleted, and the topic says it can hold that
    .to(loads);
});
