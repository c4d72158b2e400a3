import { expect, test } from 'vitest';
import { jsonLogger } from './log.ts';

test('lines are JSON with time, level and text, from the level asked for up', () => {
  const lines: unknown[] = [];
  const log = jsonLogger(
    'warn',
    (line) => lines.push(JSON.parse(line)),
    () => 0,
  );
  log.info({ a: 1 }, 'quiet');
  log.warn({ port: 9092 }, 'loud');
  expect(lines).toEqual([{ time: '1970-01-01T00:00:00.000Z', level: 'warn', text: 'loud', port: 9092 }]);
});
