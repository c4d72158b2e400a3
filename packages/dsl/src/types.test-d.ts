// What must compile and what must not. Nothing here runs: the compiler is the test, and a refusal that stops refusing is an error.
import { serde, type Windowed } from '@millrace/core';
import { store } from '@millrace/topology';
import type { StreamFace, TableFace, TableGroupFace } from './draft/faces.ts';
import type { CogroupFace, GroupFace, WindowedCogroupFace, WindowedFace } from './draft/group-faces.ts';
import type {
  CogroupedKStream,
  KGroupedStream,
  KGroupedTable,
  KStream,
  KTable,
  ProcessorContext,
  SessionWindowedCogroupedKStream,
  SessionWindowedKStream,
  TimeWindowedCogroupedKStream,
  TimeWindowedKStream,
} from './index.ts';
import { topic, topology, windows } from './index.ts';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function isType<Expected>() {
  return <Actual>(_value: Actual, _same: Equal<Actual, Expected>): void => {};
}

interface Order {
  readonly customer: string;
  readonly cents: number;
  readonly note: string | null;
}
interface Customer {
  readonly name: string;
}
const orders = topic('orders', { key: serde.string(), value: serde.json<Order>() });
const updates = topic('updates', { key: serde.string(), value: serde.nullable(serde.json<Order>()) });
const customers = topic('customers', { key: serde.string(), value: serde.json<Customer>() });
const lines = topic('lines', { value: serde.string() });
const totals = topic('totals', { key: serde.string(), value: serde.safeInt() });
const perHour = topic('per-hour', { key: serde.windowed(serde.string(), { size: '1 hour' }), value: serde.safeInt() });
const spent = store.keyValue('spent', { key: serde.string(), value: serde.safeInt() });
const visits = store.session('visits', { key: serde.string(), value: serde.safeInt() });
const perVisit = topic('per-visit', { key: serde.sessionWindowed(serde.string()), value: serde.nullable(serde.safeInt()) });
const visitTotals = topic('visit-totals', { key: serde.sessionWindowed(serde.string()), value: serde.safeInt() });
const hourly = store.window('hourly', { key: serde.string(), value: serde.safeInt() });

// The faces have every method of the interfaces, so that the erased object can stand behind the typed one.
isType<true>()(true as Exclude<keyof KStream<string, string>, keyof StreamFace> extends never ? true : false, true);
isType<true>()(true as Exclude<keyof KTable<string, string>, keyof TableFace> extends never ? true : false, true);
isType<true>()(true as Exclude<keyof KGroupedTable<string, string>, keyof TableGroupFace> extends never ? true : false, true);
isType<true>()(true as Exclude<keyof KGroupedStream<string, string>, keyof GroupFace<object>> extends never ? true : false, true);
isType<true>()(true as Exclude<keyof CogroupedKStream<string, string>, keyof CogroupFace<object>> extends never ? true : false, true);
isType<true>()(true as Exclude<keyof TimeWindowedCogroupedKStream<string, string>, keyof WindowedCogroupFace<object>> extends never ? true : false, true);
isType<true>()(true as Exclude<keyof SessionWindowedCogroupedKStream<string, string>, keyof WindowedCogroupFace<object>> extends never ? true : false, true);
isType<true>()(true as Exclude<keyof TimeWindowedKStream<string, string>, keyof WindowedFace<object>> extends never ? true : false, true);
isType<true>()(true as Exclude<keyof SessionWindowedKStream<string, string>, keyof WindowedFace<object>> extends never ? true : false, true);

topology('inferred', (t) => {
  const stream = t.stream(orders);
  isType<KStream<string, Order>>()(stream, true);
  isType<KStream<null, string>>()(t.stream(lines), true);
  isType<KStream<string, { cents: number }>>()(
    stream.mapValues((order) => ({ cents: order.cents })),
    true,
  );
  isType<KStream<number, string>>()(
    stream.map((order, id) => ({ key: order.cents, value: id })),
    true,
  );
  isType<KStream<string, string>>()(
    stream.mapValues((order) => order.note).filter((note) => note !== null),
    true,
  );
  isType<KStream<string, string | number>>()(stream.mapValues((order) => order.cents).merge(stream.mapValues((order) => order.customer)), true);
  isType<KStream<null, string>>()(
    t.stream(lines).flatMapValues((line) => line.match(/\w+/g) ?? []),
    true,
  );

  // A count is never deleted, so a topic without room for tombstones takes it.
  const counted = stream.groupBy((order) => order.customer).count();
  isType<KTable<string, number, never>>()(counted, true);
  counted.toStream().to(totals);
  isType<KTable<Windowed<string>, number, never>>()(
    stream
      .groupByKey()
      .windowedBy(windows.hopping({ size: '1 hour', advance: '10 minutes', grace: 0 }))
      .count({ store: hourly }),
    true,
  );
  isType<KTable<Windowed<string>, number, never>>()(
    stream
      .groupByKey()
      .windowedBy(windows.sliding({ difference: '1 hour', grace: 0 }))
      .count({ store: hourly }),
    true,
  );
  // Sessions delete what they merge away, so their updates may always be deletes.
  const sessions = stream.groupByKey().windowedBy(windows.session({ gap: '30 minutes', grace: 0 }));
  isType<KTable<Windowed<string>, number, null>>()(sessions.count({ store: visits }), true);
  isType<KTable<Windowed<string>, Order, null>>()(
    sessions.reduce((a, b) => (a.cents > b.cents ? a : b)),
    true,
  );
  sessions
    .aggregate({ initial: () => 0, add: (sum, order) => sum + order.cents, merge: (a, b) => a + b })
    .toStream()
    .to(perVisit);
  stream
    .groupByKey()
    .windowedBy(windows.tumbling({ size: '1 hour', grace: '5m' }))
    .count()
    .toStream()
    .to(perHour);

  // An aggregate takes its type from the store, or from `initial`; null in `add` shows tombstones.
  isType<KTable<string, number, never>>()(stream.groupByKey().aggregate({ initial: () => 0, add: (sum, order) => sum + order.cents, store: spent }), true);
  isType<KTable<string, number, null>>()(
    stream.groupByKey().aggregate({ initial: () => 0, add: (sum, order) => (order.cents === 0 ? null : sum + order.cents) }),
    true,
  );
  isType<KTable<string, Order, never>>()(
    stream.groupByKey().reduce((a, b) => (a.cents > b.cents ? a : b)),
    true,
  );

  // Tables read tombstones from any topic of their value type.
  const table = t.table(customers);
  isType<KTable<string, Customer>>()(table, true);
  isType<KTable<string, Order>>()(t.table(updates), true);
  isType<KStream<string, Customer | null>>()(table.toStream(), true);
  isType<KStream<string, string>>()(
    stream.join(table, (order, customer, id) => `${id} ${order.cents} ${customer.name}`),
    true,
  );
  isType<KStream<string, string>>()(
    stream.leftJoin(table, (_order, customer) => customer?.name ?? 'nobody'),
    true,
  );
  isType<KTable<string, Order, null>>()(t.stream(updates).toTable(), true);
  isType<KTable<string, Order, never>>()(stream.toTable(), true);

  // Branches are narrowed by written type guards; the rest keeps its type.
  const byKind = t.stream(updates).split({ present: (order): order is Order => order !== null, empty: (_order, id) => id === '' });
  isType<KStream<string, Order>>()(byKind.present, true);
  isType<KStream<string, Order | null>>()(byKind.empty, true);
  isType<KStream<string, Order | null>>()(byKind.rest, true);

  // A transformer of table values sees deletes where the table can have them.
  isType<KTable<string, number>>()(
    table.transformValues({
      stores: [spent],
      create: (context) => (customer, id) => {
        isType<Customer | null>()(customer, true);
        return context.store(spent).get(id) ?? 0;
      },
    }),
    true,
  );

  // A regrouped table: key and value from the selector, aggregates as those of streams.
  const byName = table.groupBy((customer, id) => ({ key: customer.name, value: id.length }));
  isType<KGroupedTable<string, number>>()(byName, true);
  isType<KTable<string, number, never>>()(byName.count(), true);
  isType<KTable<string, number>>()(byName.reduce({ add: (a, b) => a + b, subtract: (a, b) => (a === b ? null : a - b) }), true);
  isType<KTable<string, string>>()(byName.aggregate({ initial: () => '', add: (text, length) => text + String(length), subtract: () => null }), true);
  // Processors: outputs as the inputs, as written, or as the context is annotated. Stores come typed from their handles.
  isType<KStream<string, Order>>()(stream.process({ create: (context) => ({ process: (record) => context.forward(record) }) }), true);
  isType<KStream<number, string>>()(
    stream.process<number, string>({
      create: (context) => ({ process: (record) => context.forward(record.withKey(record.value.cents).withValue(record.key)) }),
    }),
    true,
  );
  isType<KStream<string, boolean>>()(
    stream.process({ create: (context: ProcessorContext<string, boolean>) => ({ process: ({ key }) => context.forward(context.record(key, true, 0)) }) }),
    true,
  );
  isType<KStream<string, number>>()(
    stream.processValues<number>({
      stores: [spent],
      create: (context) => ({
        process(record) {
          isType<number | undefined>()(context.store(spent).get(record.key), true);
          context.forward(record.withValue(record.value.cents));
        },
      }),
    }),
    true,
  );
  stream.filter((order, id, context) => order.cents > 0 && id !== '' && context.timestamp > 0).to(orders);
});

topology('joins of two streams and two tables', (t) => {
  const stream = t.stream(orders);
  const other = t.stream(updates);
  isType<KStream<string, number>>()(
    stream.join(other, (a, b) => a.cents + b.cents, { within: '5m', grace: 0 }),
    true,
  );
  isType<KStream<string, string>>()(
    stream.leftJoin(other, (a, b) => `${a.cents} ${b?.cents ?? 'none'}`, { before: 0, after: '1h', grace: '10s' }),
    true,
  );
  isType<KStream<string, string>>()(
    stream.outerJoin(other, (a, b) => a?.customer ?? b?.customer ?? '', { within: 1000, grace: 0 }),
    true,
  );
  const counts = stream.groupByKey().count();
  isType<KTable<string, string, null>>()(
    counts.join(t.table(customers), (count, customer) => `${customer.name} ${count}`),
    true,
  );
  isType<KTable<string, string, never>>()(
    counts.leftJoin(t.table(customers), (count, customer) => `${customer?.name ?? ''} ${count}`),
    true,
  );
  isType<KTable<string, number, never>>()(
    counts.outerJoin(t.table(customers), (count) => count ?? 0),
    true,
  );
  // @ts-expect-error -- grace has no default
  stream.join(other, (a) => a, { within: 1 });
  // @ts-expect-error -- both bounds or within
  stream.join(other, (a) => a, { before: 1, grace: 0 });
  // @ts-expect-error -- within sets both bounds
  stream.join(other, (a) => a, { within: 1, before: 1, after: 1, grace: 0 });
  // @ts-expect-error -- a join of streams needs its window
  stream.outerJoin(other, (a) => a);
  // @ts-expect-error -- the left side may be missing in an outer join
  stream.outerJoin(other, (a) => a.cents, { within: 1, grace: 0 });
  // @ts-expect-error -- the other table's row may be missing in a left join
  counts.leftJoin(t.table(customers), (_count, customer) => customer.name);
  // @ts-expect-error -- a joiner is synchronous
  stream.join(other, async (a) => a, { within: 1, grace: 0 });
});

topology('refused', (t) => {
  const stream = t.stream(orders);
  // @ts-expect-error -- a misspelt field
  stream.filter((order) => order.cent > 0);
  // @ts-expect-error -- would hand on the promise itself
  stream.mapValues(async (order) => order.cents);
  // @ts-expect-error -- a promise is always true
  stream.filter(async (order) => order.cents > 0);
  // @ts-expect-error -- nobody would wait for it
  stream.forEach(async (order) => order.cents);
  // @ts-expect-error -- a fold is synchronous
  stream.groupByKey().aggregate({ initial: () => 0, add: async (sum, order) => sum + order.cents });
  // @ts-expect-error -- totals holds numbers, these are orders
  stream.to(totals);
  // @ts-expect-error -- the keys of totals are strings
  stream.map((order) => ({ key: 1, value: order.cents })).to(totals);
  // @ts-expect-error -- grace has no default
  windows.tumbling({ size: '1 hour' });
  // @ts-expect-error -- a typo in a duration
  windows.tumbling({ size: '1 huor', grace: 0 });
  // @ts-expect-error -- a hopping window needs its advance
  windows.hopping({ size: '1 hour', grace: 0 });
  // @ts-expect-error -- sliding windows have a difference, not a size
  windows.sliding({ size: '1 hour', grace: 0 });
  const sessions = stream.groupByKey().windowedBy(windows.session({ gap: '1 hour', grace: 0 }));
  // @ts-expect-error -- two sessions that meet have to be merged
  sessions.aggregate({ initial: () => 0, add: (sum, order) => sum + order.cents });
  // @ts-expect-error -- sessions that are merged away are deletes, and the topic has no room for them
  sessions.count().toStream().to(visitTotals);
  // @ts-expect-error -- sessions lie in a session store
  sessions.count({ store: hourly });
  // @ts-expect-error -- a string is not a list of strings
  stream.flatMapValues((order) => order.customer);
  // @ts-expect-error -- a table's updates may be deletes, and totals has no room for them
  t.table(totals).toStream().to(totals);
  const hours = stream
    .groupByKey()
    .windowedBy(windows.tumbling({ size: '1 hour', grace: 0 }))
    .count();
  // @ts-expect-error -- windowed results have windowed keys
  hours.toStream().to(totals);
  // @ts-expect-error -- the customer may be missing in a left join
  stream.leftJoin(t.table(customers), (_order, customer) => customer.name);
  // @ts-expect-error -- the store holds numbers
  stream.groupByKey().reduce((a) => a, { store: spent });
  // @ts-expect-error -- the output has strings for keys
  stream.process({ create: (context) => ({ process: (record) => context.forward(record.withKey(1)) }) });
  // @ts-expect-error -- a record of processValues keeps its key
  stream.processValues({ create: (context) => ({ process: (record) => context.forward(record.withKey('other')) }) });
  // @ts-expect-error -- nobody would wait for it
  stream.process({ create: () => ({ process: async () => {} }) });
  // @ts-expect-error -- the store holds numbers
  stream.process({ create: (context) => ({ process: ({ key }) => context.store(spent).put(key, 'much') }) });
  // @ts-expect-error -- a transformer is synchronous
  t.table(customers).transformValues({ create: () => async (customer) => customer });
  // @ts-expect-error -- a promise is always true
  stream.split({ dear: async (order: Order) => order.cents > 0 });
  // @ts-expect-error -- no such branch
  stream.split({ dear: (order) => order.cents > 0 }).cheap.to(orders);
  const byName = t.table(customers).groupBy((customer) => ({ key: customer.name, value: 1 }));
  // @ts-expect-error -- what is not subtracted stays for ever
  byName.reduce({ add: (a, b) => a + b });
  // @ts-expect-error -- a window store cannot hold rows without window
  stream.groupByKey().count({ store: hourly });
  // @ts-expect-error -- records without key cannot be joined by key
  t.stream(lines).join(t.table(customers), (line) => line);
  // @ts-expect-error -- onWindowClose is no emission of today
  stream.groupByKey().count({ emit: 'onWindowClose' });
  // @ts-expect-error -- a topic needs a value serde
  topic('x', { key: serde.string() });
});

topology('asked outside', (t) => {
  const stream = t.stream(orders);
  const ask = { concurrency: 4 };
  isType<KStream<string, number>>()(
    stream.mapValuesAsync(async (order) => order.cents, ask),
    true,
  );
  isType<KStream<string, number>>()(
    stream.mapValuesAsync((order) => order.cents, ask),
    true,
  );
  isType<KStream<number, string>>()(
    stream.mapAsync(
      async (order, key, { idempotencyKey, signal }) => (signal.aborted ? { key: 0, value: key } : { key: order.cents, value: idempotencyKey }),
      ask,
    ),
    true,
  );
  isType<KStream<string, Order>>()(
    stream.processAsync(
      {
        stores: [spent],
        read: (record, stores) => stores.store(spent).get(record.key),
        call: async (_record, known) => (known ?? 0) + 1,
        apply(record, answer, context) {
          isType<number>()(answer, true);
          context.store(spent).put(record.key, answer);
          context.forward(record);
        },
      },
      ask,
    ),
    true,
  );
  // @ts-expect-error -- a bound is needed
  stream.mapValuesAsync(async (order) => order.cents);
  // @ts-expect-error -- a bound is needed
  stream.mapValuesAsync(async (order) => order.cents, { timeout: '1s' });
  // @ts-expect-error -- the sink takes numbers
  stream.mapValuesAsync(async (order) => order.customer, ask).to(totals);
  // @ts-expect-error -- reading is synchronous: stores are not touched across awaits
  stream.processAsync({ read: async () => 1, call: async () => 1, apply: () => {} }, ask);
});

const depots = topic('depots', { key: serde.int32(), value: serde.json<{ readonly city: string }>() });
const prices = store.versioned('prices', { key: serde.string(), value: serde.json<Customer>(), history: '1 hour' });
const byNumber = store.keyValue('by-number', { key: serde.int32(), value: serde.string() });

topology('looked up', (t) => {
  const stream = t.stream(orders);
  const table = t.table(customers, { store: prices });
  const other = t.table(depots);
  // Foreign keys: the key of the other side is what `on` gives, null where it may be; the result may always lose rows.
  const routed = table.foreignKeyJoin(other, (customer, depot) => ({ ...customer, city: depot.city }), { on: (customer) => customer.name.length });
  isType<KTable<string, Customer & { city: string }>>()(
    routed.filter((row): row is Customer & { city: string } => row.city !== ''),
    true,
  );
  const maybe = table.leftForeignKeyJoin(other, (_customer, depot) => depot?.city ?? 'nowhere', {
    on: (customer, key) => (key === '' ? null : customer.name.length),
  });
  isType<KTable<string, string>>()(maybe, true);
  // @ts-expect-error -- the other table has numbers for keys
  table.foreignKeyJoin(other, (customer) => customer, { on: (customer) => customer.name });
  // @ts-expect-error -- a left join may find nothing
  table.leftForeignKeyJoin(other, (_customer, depot) => depot.city, { on: () => 1 });
  // @ts-expect-error -- without `on` nobody knows the other key
  table.foreignKeyJoin(other, (customer) => customer);

  // Global tables: the stream keeps its key, the row key is another type.
  const everywhere = t.globalTable(depots);
  isType<KStream<string, string>>()(
    stream.join(everywhere, (order, depot, key) => `${key} ${order.cents} ${depot.city}`, { on: (order) => order.cents }),
    true,
  );
  isType<KStream<string, string | undefined>>()(
    stream.leftJoin(everywhere, (_order, depot) => depot?.city, { on: (order) => (order.note === null ? null : 1) }),
    true,
  );
  // @ts-expect-error -- rows have numbers for keys
  stream.join(everywhere, (order) => order, { on: (order) => order.customer });
  // @ts-expect-error -- a global table has no operators of its own
  everywhere.toStream();
  // @ts-expect-error -- a global table is always the newest row
  t.globalTable(customers, { store: prices });
  t.globalStore(depots, {
    stores: [byNumber],
    create: (context) => ({ process: (record) => context.store(byNumber).put(record.key, record.value.city) }),
  });
  stream.process<string, string>({
    create: (context) => ({
      process(record) {
        const depot = context.lookup(everywhere).get(record.value.cents);
        isType<{ readonly city: string } | undefined>()(depot, true);
        // @ts-expect-error -- tasks read a global table, they do not write it
        context.lookup(everywhere).put(1, { city: '' });
        context.forward(record.withValue(depot?.city ?? ''));
      },
    }),
  });

  // Versioned stores: asked as of a time; a join may wait for rows.
  stream.join(table, (order, customer) => order.cents + customer.name.length, { grace: '10s' });
  stream.process({
    stores: [prices],
    create: (context) => ({
      process(record) {
        isType<Customer | undefined>()(context.store(prices).get(record.key, record.timestamp), true);
        isType<'latest' | 'superseded' | 'tooOld'>()(context.store(prices).put(record.key, null, 5), true);
        // @ts-expect-error -- a version needs its time
        context.store(prices).put(record.key, null);
      },
    }),
  });
  // @ts-expect-error -- history has no default: every default is wrong for somebody
  store.versioned('x', { key: serde.string(), value: serde.string() });
});
