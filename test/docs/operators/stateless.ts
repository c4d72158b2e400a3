import { serde, topic, topology } from 'millrace';

interface Page {
  readonly user: string;
  readonly path: string;
  readonly ms: number;
}
export const pages = topic('pages', { key: serde.string(), value: serde.json<Page>() });
export const words = topic('words', { key: serde.string(), value: serde.string() });
export const slow = topic('slow', { key: serde.string(), value: serde.string() });

export default topology('stateless', (t) => {
  const visits = t
    .stream(pages)
    .filter((page) => page.ms >= 0) // keeps what is true
    .filterNot((page) => page.path === '/health') // keeps what is false
    .peek((page) => page.path); // looks, changes nothing

  visits
    .flatMapValues((page) => page.path.split('/').filter((part) => part !== '')) // one value to many, same key
    .mapValues((part) => part.toLowerCase()) // a new value, same key
    .to(words);

  const byUser = visits.selectKey((page) => page.user); // a new key, same value
  const late = byUser.filter((page) => page.ms > 1000).map((page, user) => ({ key: user, value: `${page.path} took ${page.ms} ms` })); // new key and value
  const broken = byUser.flatMap((page, user) => (page.path === '/error' ? [{ key: user, value: 'saw an error' }] : [])); // one record to many
  late.merge(broken).to(slow); // both, in no order beyond event time
});
