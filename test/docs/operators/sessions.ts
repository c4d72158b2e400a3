import { serde, store, topic, topology, windows } from 'millrace';

interface Visit {
  readonly pages: readonly string[];
}
export const clicks = topic('clicks', { key: serde.string(), value: serde.string() });
export const visits = topic('visits', { key: serde.sessionWindowed(serde.string()), value: serde.nullable(serde.json<Visit>()) });
export const visitStore = store.session('visits', { key: serde.string(), value: serde.json<Visit>(), retention: '1 day' });

export default topology('sessions', (t) => {
  t.stream(clicks)
    .groupByKey()
    // Clicks of a user that are at most half an hour apart are one visit.
    .windowedBy(windows.session({ gap: '30 minutes', grace: '5 minutes' }))
    .aggregate({
      initial: () => ({ pages: [] }),
      add: (visit, page) => ({ pages: [...visit.pages, page] }),
      merge: (a, b) => ({ pages: [...a.pages, ...b.pages] }),
      store: visitStore,
    })
    .toStream() // a visit that grows is a new key: the one before is deleted
    .to(visits);
});
