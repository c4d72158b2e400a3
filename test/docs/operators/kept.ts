import { serde, store, topic, topology } from 'millrace';

export const scans = topic('scans', { key: serde.string(), value: serde.string() });
export const places = topic('places', { key: serde.string(), value: serde.string() });
export const totals = topic('totals', { key: serde.string(), value: serde.safeInt() });
/** The thousand parcels seen last in each task: one more lets go of the one that was read or written longest ago. */
export const recent = store.keyValue('recent', { key: serde.string(), value: serde.string(), entriesMax: 1000 });

export default topology('kept', (t) => {
  const byParcel = t.stream(scans).groupByKey();

  // However often a parcel is scanned, its place is shown at most once a minute of stream time: the last one.
  byParcel
    .reduce((_before, place) => place, { store: recent, emit: { every: '1 minute' } })
    .toStream()
    .to(places);

  // Rows that nobody has named are logged as well, unless they may be lost with their disk.
  byParcel.count({ changelog: false, emit: 'onUpdate' }).toStream().to(totals);
});
