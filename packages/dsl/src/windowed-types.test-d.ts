// What must compile and what must not, of cogroups, final results, suppress, late records, chosen topics and split suffixes.
// Nothing here runs: the compiler is the test, and a refusal that stops refusing is an error.
import { serde, type Windowed } from '@millrace/core';
import { store } from '@millrace/topology';
import type { CogroupedKStream, KTable } from './index.ts';
import { topic, topology, windows } from './index.ts';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function isType<Expected>() {
  return <Actual>(_value: Actual, _same: Equal<Actual, Expected>): void => {};
}

interface Totals {
  readonly cents: number;
  readonly visits: number;
}
const orders = topic('orders', { key: serde.string(), value: serde.json<{ readonly cents: number }>() });
const visits = topic('visits', { key: serde.string(), value: serde.nullable(serde.string()) });
const numbered = topic('numbered', { key: serde.safeInt(), value: serde.string() });
const counts = topic('counts', { key: serde.windowed(serde.string(), { size: '1 hour' }), value: serde.safeInt() });
const totals = store.keyValue('totals', { key: serde.string(), value: serde.json<Totals>() });
const sessionTotals = store.session('session-totals', { key: serde.string(), value: serde.json<Totals>() });

topology('cogroups', (t) => {
  const byCustomer = t.stream(orders).groupByKey();
  const first = byCustomer.cogroup<Totals>({ initial: () => ({ cents: 0, visits: 0 }), add: (row, order) => ({ ...row, cents: row.cents + order.cents }) });
  isType<CogroupedKStream<string, Totals>>()(first, true);
  // The aggregate's type comes from `initial` where nobody writes it.
  isType<CogroupedKStream<string, number>>()(byCustomer.cogroup({ initial: () => 0, add: (sum, order) => sum + order.cents }), true);
  const both = first.cogroup(t.stream(visits).groupByKey(), (row, page) => {
    isType<string>()(page, true); // a value that is null is dropped, so no fold sees one
    return { ...row, visits: row.visits + 1 };
  });
  isType<KTable<string, Totals, never>>()(both.aggregate({ store: totals }), true);
  const hourly = both.windowedBy(windows.tumbling({ size: '1 hour', grace: 0 }));
  isType<KTable<Windowed<string>, Totals, never>>()(hourly.aggregate({ emit: 'onUpdate' }), true);
  const sessions = both.windowedBy(windows.session({ gap: '1 hour', grace: 0 }));
  isType<KTable<Windowed<string>, Totals>>()(
    sessions.aggregate({ store: sessionTotals, merge: (a, b) => ({ cents: a.cents + b.cents, visits: a.visits + b.visits }) }),
    true,
  );

  // @ts-expect-error -- the other group has numbers for keys
  first.cogroup(t.stream(numbered).groupByKey(), (row) => row);
  // @ts-expect-error -- what is added must be the aggregate
  first.cogroup(t.stream(visits).groupByKey(), (row) => row.visits);
  // @ts-expect-error -- the first stream brings the initial value
  byCustomer.cogroup<Totals>({ add: (row) => row });
  // @ts-expect-error -- sessions need merge
  sessions.aggregate({ store: sessionTotals });
  // @ts-expect-error -- inputs have clocks of their own: suppress waits for them
  hourly.aggregate({ emit: 'onWindowClose' });
});

topology('finals', (t) => {
  const groups = t.stream(orders).groupByKey();
  const hourly = groups.windowedBy(windows.tumbling({ size: '1 hour', grace: 0 }));
  hourly.count({ emit: 'onWindowClose' }).toStream().to(counts);
  // @ts-expect-error -- without windows nothing closes
  groups.count({ emit: 'onWindowClose' });
  const sessions = groups.windowedBy(windows.session({ gap: '1 hour', grace: 0 }));
  // Sessions delete what they merge away, unless only final results are emitted.
  isType<KTable<Windowed<string>, number>>()(sessions.count(), true);
  isType<KTable<Windowed<string>, number>>()(sessions.count({ emit: 'onUpdate' }), true);
  isType<KTable<Windowed<string>, number, never>>()(sessions.count({ emit: 'onWindowClose' }), true);
  isType<KTable<Windowed<string>, number, never>>()(
    sessions.aggregate({ initial: () => 0, add: (sum: number, order) => sum + order.cents, merge: (a, b) => a + b, emit: 'onWindowClose' }),
    true,
  );

  // A final result is never a delete.
  isType<KTable<Windowed<string>, number, never>>()(sessions.count().suppress({ until: 'windowClose' }), true);
  isType<KTable<string, { readonly cents: number }>>()(t.table(orders).suppress({ until: '1 minute', recordsMax: 10, onFull: 'fail' }), true);
  // @ts-expect-error -- only windowed tables close
  t.table(orders).suppress({ until: 'windowClose' });
  // @ts-expect-error -- early is not final
  hourly.count().suppress({ until: 'windowClose', onFull: 'emit' });
  // @ts-expect-error -- a typo in a duration
  t.table(orders).suppress({ until: '1 minuet' });

  groups.windowedBy(windows.custom({ windowsFor: (at) => [{ start: at, end: at + 1 }], sizeMax: 1, grace: 0 }), { late: orders }).count();
  groups.windowedBy(windows.tumbling({ size: 1, grace: 0 }), { late: 'drop' });
  // @ts-expect-error -- the late topic holds other values
  groups.windowedBy(windows.tumbling({ size: 1, grace: 0 }), { late: visits });
  // @ts-expect-error -- windows of one's own say how long they may be
  windows.custom({ windowsFor: () => [], grace: 0 });
});

topology('chosen', (t) => {
  const stream = t.stream(orders);
  stream.to((order, key, context) => (order.cents > context.timestamp ? orders : key === '' ? orders : orders), { topics: [orders] });
  // @ts-expect-error -- the choices are checked at start, so they are listed
  stream.to(() => orders);
  // @ts-expect-error -- a chosen topic must hold these records
  stream.to(() => visits, { topics: [visits] });

  stream.split({ large: (order) => order.cents > 100 }, { as: 'by-', suffixes: { large: '1', rest: '0' } });
  // @ts-expect-error -- no such branch
  stream.split({ large: (order) => order.cents > 100 }, { suffixes: { small: '1' } });
});
