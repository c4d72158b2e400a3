// What a processor may ask of its task beside records and stores, in a running app: metrics of its own, a folder of its own.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serde } from '@millrace/core';
import { topic, topology } from '@millrace/dsl';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppRig } from './app-rig.ts';

const rig = new AppRig();
beforeAll(() => rig.start());
afterAll(() => rig.close());

const lines = topic('lines', { key: serde.string(), value: serde.string() });

test('what user code counts shows among the metrics, and its files lie in the folder of the task', async () => {
  await rig.createTopics(1, 'delete', 'lines');
  const folders: string[] = [];
  const counting = topology('counting', (t) => {
    t.stream(lines).process(
      {
        create(context) {
          const long = context.metrics.counter('long_lines', { unit: 'lines' });
          const length = context.metrics.histogram('line_length');
          context.metrics.gauge('last_offset', () => context.source?.offset ?? -1);
          return {
            process({ value }) {
              length.record(value.length);
              if (value.length > 3) long.add();
              mkdirSync(context.stateDir, { recursive: true });
              writeFileSync(join(context.stateDir, 'last.txt'), value);
              folders.push(context.stateDir);
            },
          };
        },
      },
      { as: 'count-long' },
    );
  });
  await rig.send('lines', [
    { key: 'a', value: 'one', timestamp: 1 },
    { key: 'b', value: 'three', timestamp: 2 },
  ]);
  const app = await rig.app(counting, { engine: 'memory', disk: 'metrics' });
  await app.drained();
  const sampleOf = (name: string) => app.metrics.snapshot().find((sample) => sample.name === name && sample.labels.task_id === '0_0');
  while (sampleOf('line_length_count')?.value !== 2) await new Promise<void>((resolve) => setImmediate(resolve)); // told once a second
  expect(sampleOf('long_lines')).toMatchObject({ value: 1, labels: { unit: 'lines', processor_node_id: 'count-long', thread_id: expect.any(String) } });
  expect(sampleOf('line_length_sum')?.value).toBe(8);
  const [folder = ''] = folders;
  expect(folder.startsWith(join(rig.folder, 'metrics'))).toBe(true);
  expect(folder).toContain('0_0');
  expect(readFileSync(join(folder, 'last.txt'), 'utf8')).toBe('three');
  await app.close();
});
