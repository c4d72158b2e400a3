// A few kills of each kind on every run of the suite; `npm run torture` does the same for as long as one likes.
// Runs the built packages (`npm test` builds first).
import { expect, test } from 'vitest';

interface TortureOptions {
  readonly kills: number;
  readonly seed: number;
  readonly instances: number;
  readonly workers: number;
  readonly engine: string;
  readonly guarantee: string;
  readonly sessionMs: number;
  readonly pauseMs: number;
  readonly perSecond: number;
  readonly shared: boolean;
  readonly proxy?: boolean;
  readonly parts?: readonly string[];
  readonly faults?: readonly string[];
}
interface TortureResult {
  readonly findings: readonly string[];
  readonly acknowledged: number;
}

const few: TortureOptions = {
  kills: 4,
  seed: 1,
  instances: 2,
  workers: 1,
  engine: 'auto',
  guarantee: 'exactly-once',
  sessionMs: 1500,
  pauseMs: 300,
  perSecond: 400,
  shared: false,
};

async function torture(options: TortureOptions): Promise<TortureResult> {
  const program = (await import(new URL('../torture/torture.mjs', import.meta.url).href)) as { torture(options: TortureOptions): Promise<TortureResult> };
  return program.torture(options);
}

test('instances are killed, frozen and stopped, and the broker dies: every input is counted once', async () => {
  const result = await torture({ ...few, workers: 2, faults: ['killOne', 'freeze', 'stopOne', 'killBroker'] });
  expect(result.findings).toEqual([]);
  expect(result.acknowledged).toBeGreaterThan(100);
}, 180_000);

test('between instances and broker connections end, answers are lost, requests come late, bits flip: money is neither made nor lost', async () => {
  const faults = ['netCut', 'netLoseAnswer', 'netLateRequest', 'netTruncate', 'netFlipBody'];
  const result = await torture({ ...few, seed: 8, proxy: true, parts: ['ledger'], faults });
  expect(result.findings).toEqual([]);
  expect(result.acknowledged).toBeGreaterThan(100);
}, 180_000);

test('instances that share the embedded broker stop while they start or take it over: each ends in time, with code 0', async () => {
  const result = await torture({ ...few, shared: true, seed: 3, instances: 3, faults: ['scale', 'killOne', 'stopOne'] });
  expect(result.findings).toEqual([]);
}, 180_000);
