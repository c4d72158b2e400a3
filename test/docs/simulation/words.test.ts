import { serde, topic, topology } from 'millrace';
import { simulate } from 'millrace/testkit';
import { expect, test } from 'vitest';

const lines = topic('lines', { value: serde.string() });
const wordCounts = topic('word-counts', { key: serde.string(), value: serde.safeInt() });
const wordCount = topology('word-count', (t) => {
  t.stream(lines)
    .flatMapValues((line) => line.split(' '))
    .groupBy((word) => word, { key: serde.string() })
    .count()
    .toStream()
    .to(wordCounts);
});

test.each([1, 2, 3])('no word is lost or counted twice, whatever crashes: seed %i', async (seed) => {
  const sent = new Map<string, number>();
  await simulate(wordCount, {
    seed,
    workers: 3,
    duration: '10s', // of virtual time
    faults: { crashes: 30, zombies: 10, brokerCrashes: 5, lostAnswers: 30 }, // so many are expected in a virtual minute
    async workload(sim) {
      for (let n = 0; n < 100; n++) {
        const word = 'abcdefgh'.charAt(Math.floor(sim.random() * 8));
        sent.set(word, (sent.get(word) ?? 0) + 1);
        sim.input(lines).send(null, word);
        await sim.sleep(50);
      }
    },
    verify(sim) {
      const counts = sim.output(wordCounts).latest();
      expect(new Map(counts.map(({ key, value }) => [key, value]))).toEqual(sent);
    },
  });
});
