import { serde } from '@millrace/core';
import { topic, topology } from '@millrace/dsl';
import { expect, test } from 'vitest';
import type { FaultRates } from './faults.ts';
import { type SimulationReport, simulate } from './simulate.ts';

const words = topic('words', { value: serde.string() });
const counts = topic('counts', { key: serde.string(), value: serde.safeInt() });

const wordCount = topology('word-count', (t) => {
  t.stream(words)
    .groupBy((word) => word)
    .count()
    .toStream()
    .to(counts);
});

function countWords(seed: number, faults: FaultRates): Promise<SimulationReport> {
  const sent = new Map<string, number>();
  return simulate(wordCount, {
    seed,
    workers: 3,
    duration: '5s',
    faults,
    async workload(sim) {
      for (let n = 0; n < 100; n++) {
        const word = 'abcdefgh'.charAt(Math.floor(sim.random() * 8));
        sent.set(word, (sent.get(word) ?? 0) + 1);
        sim.input(words).send(null, word);
        await sim.sleep(20);
      }
    },
    verify(sim) {
      expect(
        new Map(
          sim
            .output(counts)
            .latest()
            .map(({ key, value }) => [key, value]),
        ),
      ).toEqual(sent);
    },
  });
}

test('words are counted once on a healthy cluster', async () => {
  const report = await countWords(1, {});
  expect(report.faults).toEqual({});
  expect(report.virtualMs).toBeGreaterThan(5000);
});

test('the same seed is the same history, and another seed another one', async () => {
  const faults = { crashes: 30, cuts: 30, lostAnswers: 60 };
  const [one, again, other] = [await countWords(3, faults), await countWords(3, faults), await countWords(4, faults)];
  expect(again.digest).toBe(one.digest);
  expect(again.trace).toEqual(one.trace);
  expect(other.digest).not.toBe(one.digest);
});

test('what verify throws names the seed', async () => {
  const failing = simulate(wordCount, {
    seed: 5,
    duration: '1s',
    workload: () => {},
    verify: () => {
      throw new Error('not what was wanted');
    },
  });
  await expect(failing).rejects.toMatchObject({ name: 'SimulationFailed', seed: 5, message: 'seed 5: not what was wanted' });
});
