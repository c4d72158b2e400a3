// 300 random programs over random disordered input against naive recomputation; `npm run oracles -- --programs 10000` runs more.
import { describe, expect, test } from 'vitest';
import { runOracles } from './oracles/run-oracles.ts';

describe.each([1, 101, 201])('seeds from %i', (first) => {
  test('a hundred random programs give what a naive recomputation of their whole input gives', () => {
    const differences: string[] = [];
    const summary = runOracles(first, 100, (line) => differences.push(line));
    expect(differences).toEqual([]);
    expect(summary.equal).toBe(100);
    expect(summary.compared).toBeGreaterThan(1000);
  }, 60_000);
});
