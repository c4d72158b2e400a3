import { expect, test } from 'vitest';
import { MetricRegistry } from './metrics.ts';

test('equal names and labels are one series, whatever the order of labels', () => {
  const metrics = new MetricRegistry();
  metrics.counter('records', { task: '0_1', store: 's' }).add(2);
  metrics.counter('records', { store: 's', task: '0_1' }).add();
  metrics.counter('records', { store: 's', task: '0_2' }).add(5);
  expect(metrics.snapshot().map(({ value }) => value)).toEqual([3, 5]);
});

test('a histogram counts, sums and keeps its largest value', () => {
  const metrics = new MetricRegistry();
  const latency = metrics.histogram('latency');
  latency.record(2);
  latency.record(7);
  expect(Object.fromEntries(metrics.snapshot().map(({ name, value }) => [name, value]))).toEqual({ latency_count: 2, latency_sum: 9, latency_max: 7 });
});

test('a gauge that throws reads as NaN and hurts nobody', () => {
  const metrics = new MetricRegistry();
  metrics.gauge('broken', () => {
    throw new Error('closed');
  });
  expect(metrics.snapshot()).toEqual([{ name: 'broken', labels: {}, value: Number.NaN }]);
});

test('past ten thousand series new ones count but are not listed', () => {
  const metrics = new MetricRegistry();
  for (let key = 0; key < 10_050; key++) metrics.counter('per key', { key: String(key) }).add();
  expect(metrics.snapshot()).toHaveLength(10_000);
});
