import { serde, topic, topology } from 'millrace';

interface Payment {
  readonly cents: number;
}
const payment = { key: serde.string(), value: serde.json<Payment>() };
export const payments = topic('payments', payment);
export const review = topic('review', payment);
export const booked = topic('booked', payment);
/** Every partition gets each record: all readers hear of it. */
export const alerts = topic('alerts', {
  ...payment,
  partitioner: (_key, _value, partitions) => Array.from({ length: partitions }, (_, partition) => partition),
});

export default topology('routed', (t) => {
  const all = t.stream(payments);

  // A topic for each record, out of a list that is checked at start. `context` has headers, time and source.
  all.to((paid, _key, context) => (paid.cents > 100_000 || context.headers.text('risk') === 'high' ? review : booked), { topics: [review, booked] });

  all.filter((paid) => paid.cents > 1_000_000).to(alerts);
});
