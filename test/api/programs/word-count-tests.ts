import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate, testTopology } from 'millrace/testkit';
import wordCount, { counts, lines, wordCounts } from './word-count.ts';

test('words are counted without regard to case', () => {
  using t = testTopology(wordCount);
  t.input(lines).sendAll([
    [null, 'To be'],
    [null, 'or not to be'],
  ]);
  assert.deepEqual(t.output(wordCounts).pairs(), [
    ['to', 1],
    ['be', 1],
    ['or', 1],
    ['not', 1],
    ['to', 2],
    ['be', 2],
  ]);
  assert.equal(t.store(counts).get('be'), 2);
});
test('no word is lost or counted twice, whatever crashes', async () => {
  const sent = new Map<string, number>();
  await simulate(wordCount, {
    seed: 7,
    workers: 3,
    faults: { crashes: 20, rebalances: 10, slowBroker: 5 },
    workload(sim) {
      for (let n = 0; n < 1000; n++) {
        const word = 'abcdefgh'.charAt(Math.floor(sim.random() * 8));
        sent.set(word, (sent.get(word) ?? 0) + 1);
        sim.input(lines).send(null, word);
      }
    },
    verify: (sim) =>
      assert.deepEqual(
        new Map(
          sim
            .output(wordCounts)
            .latest()
            .map(({ key, value }) => [key, value]),
        ),
        sent,
      ),
  });
});
