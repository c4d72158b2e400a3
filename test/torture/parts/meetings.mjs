// A stream joined with another stream: every pair of one key within half a second of event time, each once.
import { serde, topic } from 'millrace';
import { countedOnce, PARTITIONS, START_MS } from './expect.mjs';

const KEYS = 40;
const WITHIN_MS = 500;
const json = () => serde.json();
const side = (name) => topic(name, { key: serde.string(), value: json(), partitions: PARTITIONS });
const lefts = side('torture-left');
const rights = side('torture-right');
const pairs = side('torture-pairs');

const make = (g, s, chance) => ({ key: `key-${Math.floor(chance() * KEYS)}`, value: { g, s }, timestamp: START_MS + s * 20 });
const idOf = ({ left, right }) => `${left.g}/${left.s}+${right.g}/${right.s}`;

export const meetingsPart = {
  name: 'meetings',
  build(t) {
    t.stream(lefts)
      .join(t.stream(rights), (left, right) => ({ left, right }), {
        within: WITHIN_MS,
        grace: '365 days',
        value: json(),
        otherValue: json(),
        storeName: 'meetings',
      })
      .to(pairs);
  },
  inputs: ['torture-left', 'torture-right'],
  sources: [
    { topic: 'torture-left', share: 0.5, make },
    { topic: 'torture-right', share: 0.5, make },
  ],
  async verify({ read, find, exactlyOnce }) {
    const rightOf = new Map();
    for (const record of await read('torture-right')) rightOf.set(record.key, [...(rightOf.get(record.key) ?? []), record]);
    const wanted = new Set();
    for (const left of await read('torture-left'))
      for (const right of rightOf.get(left.key) ?? [])
        if (Math.abs(left.timestamp - right.timestamp) <= WITHIN_MS) wanted.add(idOf({ left: left.value, right: right.value }));
    countedOnce({ output: 'torture-pairs', records: await read('torture-pairs'), wanted, times: 1, exactlyOnce, find, idOf });
  },
};
