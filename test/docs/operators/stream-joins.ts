import { serde, topic, topology } from 'millrace';

interface Impression {
  readonly ad: string;
}
interface Click {
  readonly url: string;
}
export const impressions = topic('impressions', { key: serde.string(), value: serde.json<Impression>() });
export const clicks = topic('clicks', { key: serde.string(), value: serde.json<Click>() });
export const clicked = topic('clicked', { key: serde.string(), value: serde.string() });
export const outcomes = topic('outcomes', { key: serde.string(), value: serde.string() });
export const audit = topic('audit', { key: serde.string(), value: serde.string() });

export default topology('stream-joins', (t) => {
  const shown = t.stream(impressions);
  const taken = t.stream(clicks);

  // A click up to ten minutes after its impression, and never before it. Records up to a minute late still find each other.
  shown.join(taken, (impression, click) => `${impression.ad} led to ${click.url}`, { before: 0, after: '10 minutes', grace: '1 minute' }).to(clicked);

  // An impression that nobody clicked comes once, when ten minutes and the minute of grace have passed; the click is undefined then.
  shown
    .leftJoin(taken, (impression, click) => `${impression.ad}: ${click?.url ?? 'ignored'}`, { before: 0, after: '10 minutes', grace: '1 minute' })
    .to(outcomes);

  // What either side has alone comes as well.
  shown
    .outerJoin(
      taken,
      (impression, click) => (impression !== undefined && click !== undefined ? 'both' : impression !== undefined ? 'no click' : 'no impression'),
      {
        within: '10 minutes',
        grace: 0,
      },
    )
    .to(audit);
});
