import { expect, test } from 'vitest';
import { runScenario } from './run-scenario.ts';

test.each([1, 2, 3])(
  'topics that match appear under faults, and every record of each counts once (seed %i)',
  async (seed) => {
    const { trace, faults } = await runScenario(seed, { scenario: 'patterns', guarantee: 'exactly-once', workers: 2 });
    expect(trace.filter((line) => / topic feed-/.test(line))).toHaveLength(3);
    expect(Object.keys(faults).length).toBeGreaterThan(0);
  },
  120_000,
);
