import { serde, store, topic, topology } from 'millrace';

interface Shipment {
  readonly depot: string | null;
  readonly kilos: number;
}
export const shipments = topic('shipments', { key: serde.string(), value: serde.json<Shipment>() });
export const depots = topic('depots', { key: serde.string(), value: serde.json<{ city: string }>() });
export const routed = store.keyValue('routed', { key: serde.string(), value: serde.string() });
export const board = topic('board', { key: serde.string(), value: serde.nullable(serde.string()) });

export default topology('foreign-keys', (t) => {
  const open = t.table(shipments);
  const places = t.table(depots);

  // A row for each shipment whose depot is known. A depot that moves brings all of its shipments up to date.
  open.foreignKeyJoin(places, (shipment, depot) => `${shipment.kilos} kg to ${depot.city}`, { on: (shipment) => shipment.depot, store: routed });

  // A row for every shipment; `as` names the two internal topics.
  open
    .leftForeignKeyJoin(places, (shipment, depot) => `${shipment.kilos} kg to ${depot?.city ?? 'nowhere yet'}`, {
      on: (shipment) => shipment.depot,
      as: 'board',
    })
    .toStream()
    .to(board);
});
