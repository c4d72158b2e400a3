import { silentLogger } from '@millrace/core';
import { expect, test } from 'vitest';
import { UserMetrics } from './user-metrics.ts';

test('what user code counts carries task and node beside its own labels, and goes with the task', () => {
  const metrics = new UserMetrics(silentLogger);
  const counter = metrics.of('0_1', 'alerts').counter('alerts_sent', { level: 'high' });
  counter.add();
  metrics.of('0_1', 'alerts').counter('alerts_sent', { level: 'high' }).add(2); // the next life of the processor goes on counting
  metrics.of('0_2', 'alerts').gauge('queue', () => 7);
  const labels = { level: 'high', task_id: '0_1', processor_node_id: 'alerts' };
  expect(metrics.snapshot()).toEqual([
    { name: 'alerts_sent', labels, value: 3 },
    { name: 'queue', labels: { task_id: '0_2', processor_node_id: 'alerts' }, value: 7 },
  ]);
  metrics.forget('0_1');
  expect(metrics.snapshot().map(({ name }) => name)).toEqual(['queue']);
});

test('series of a task are bounded, which is said once', () => {
  const warnings: string[] = [];
  const metrics = new UserMetrics({ ...silentLogger, warn: (_fields, text) => void warnings.push(text) });
  for (let n = 0; n < 500; n++)
    metrics
      .of('0_0', 'n')
      .counter('per_key', { key: String(n) })
      .add();
  expect(metrics.snapshot()).toHaveLength(200);
  expect(warnings).toHaveLength(1);
});

test.each(['with space', '', '1st', 'millrace_mine'])('the name %j is refused', (name) => {
  expect(() => new UserMetrics(silentLogger).of('0_0', 'n').counter(name)).toThrow(expect.objectContaining({ code: 'ERR_NAME' }));
});
