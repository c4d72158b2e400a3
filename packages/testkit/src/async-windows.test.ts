// Windows below asynchronous operators: with `order: 'input'` nothing is late because a call was slow, with `none` it can be.
import { serde } from '@millrace/core';
import { topic, topology, windows } from '@millrace/dsl';
import { expect, test } from 'vitest';
import { testTopology } from './index.ts';

const words = topic('words', { key: serde.string(), value: serde.string() });
const counts = topic('counts', { key: serde.windowed(serde.string(), { size: 10 }), value: serde.safeInt() });

/** Windows of 10 ms without any grace, below calls that are answered in the opposite order; returns what was late. */
async function lateBelow(order: 'input' | 'none' | 'key', rekeyed: boolean): Promise<{ readonly late: number; readonly counted: number }> {
  const answers: (() => void)[] = [];
  const built = topology('windows', (b) => {
    const answered = b.stream(words).mapValuesAsync((word) => new Promise<string>((answer) => answers.push(() => answer(word))), {
      concurrency: 10,
      order,
      as: 'call',
      value: serde.string(),
    });
    const group = rekeyed ? answered.groupBy(() => 'all', { key: serde.string(), as: 'all' }) : answered.groupByKey();
    group
      .windowedBy(windows.tumbling({ size: 10, grace: 0 }))
      .count({ emit: 'onUpdate' })
      .toStream()
      .to(counts);
  });
  using t = testTopology(built);
  for (const at of [0, 4, 20, 21, 40]) t.input(words).send('k', `w${at}`, { at });
  const settled = t.settled();
  for (let turn = 0; turn < 20; turn++) {
    while (answers.length > 0) answers.pop()?.();
    await new Promise<void>((go) => setImmediate(go));
  }
  await settled;
  return { late: t.dropped('late'), counted: t.output(counts).size };
}

test.each([false, true])("order 'input': nothing is late for a window below, however slow a call was (behind a repartition: %s)", async (rekeyed) => {
  expect(await lateBelow('input', rekeyed)).toEqual({ late: 0, counted: 5 });
});

test("order 'none': what was overtaken is late for a window without grace", async () => {
  const { late, counted } = await lateBelow('none', false);
  expect(late).toBeGreaterThan(0);
  expect(late + counted).toBe(5);
});
