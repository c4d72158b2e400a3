import { MetricRegistry } from '@millrace/core';
import { expect, test } from 'vitest';
import { BufferGauges } from './buffer-gauges.ts';

test('buffers are gauges with their bounds; one that is no longer told of counts as empty', () => {
  const metrics = new MetricRegistry();
  const gauges = new BufferGauges(metrics);
  gauges.told('worker-0', [
    { buffer: 'fetched', unit: 'bytes', held: 5, max: 10 },
    { buffer: 'suppress', unit: 'items', held: 3, max: Number.POSITIVE_INFINITY, taskId: '0_1', node: 'hold' },
  ]);
  const shown = () => metrics.snapshot().map(({ name, labels, value }) => [name, Object.values(labels).join(' '), value]);
  expect(shown()).toEqual([
    ['millrace_buffer_bytes', 'worker-0 fetched', 5],
    ['millrace_buffer_bytes_max', 'worker-0 fetched', 10],
    ['millrace_buffer_items', 'worker-0 suppress 0_1 hold', 3],
    ['millrace_buffer_items_max', 'worker-0 suppress 0_1 hold', Number.POSITIVE_INFINITY],
  ]);
  gauges.told('worker-0', [{ buffer: 'fetched', unit: 'bytes', held: 7, max: 10 }]);
  expect(shown().map(([, , value]) => value)).toEqual([7, 10, 0, Number.POSITIVE_INFINITY]);
});
