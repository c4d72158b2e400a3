import { serde, store, topic, topology, windows } from 'millrace';
import { z } from 'zod';

const Click = z.object({ user: z.string(), page: z.string(), at: z.number() });
const Visit = z.object({ pages: z.array(z.string()), clicks: z.number() });
export const clicks = topic('clicks', { value: serde.json(Click), timestamp: (click) => click.at });
export const lateClicks = topic('clicks-late', { key: serde.string(), value: serde.json(Click) });
export const visits = topic('visits', { key: serde.sessionWindowed(serde.string()), value: serde.json(Visit) });
export const visitStore = store.session('visits', { key: serde.string(), value: serde.json(Visit), retention: '1 day' });
export default topology('sessions', (t) => {
  t.stream(clicks, { idleAfter: '1 minute' })
    .groupBy((click) => click.user, { as: 'by-user' })
    .windowedBy(windows.session({ gap: '30 minutes', grace: '5 minutes' }), { late: lateClicks })
    .aggregate({
      initial: () => ({ pages: [], clicks: 0 }),
      add: (visit, click) => ({ pages: [...visit.pages, click.page], clicks: visit.clicks + 1 }),
      merge: (a, b) => ({ pages: [...a.pages, ...b.pages], clicks: a.clicks + b.clicks }),
      store: visitStore,
      emit: 'onWindowClose', // finals only: merged-away sessions never show
    })
    .toStream()
    .to(visits);
});
