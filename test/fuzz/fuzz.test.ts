// Every decoder on damaged bytes: a short run here, as long as you like with `npm run fuzz` (docs/fuzzing.md).
import { appendFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { writeCorpus } from './corpus.ts';
import { BROKER_DECODERS } from './decoders-broker.ts';
import { PROTOCOL_DECODERS } from './decoders-protocol.ts';
import { TEXT_DECODERS } from './decoders-text.ts';
import { fuzz } from './runner.ts';

const asked = process.env.MILLRACE_FUZZ_DECODER;
const executions = Number(process.env.MILLRACE_FUZZ_EXECUTIONS ?? 0);
const seed = Number(process.env.MILLRACE_FUZZ_SEED ?? 1);
const SHORT_RUN = 2_000;
/** What may be left of a run, however long: the inputs that are kept, caches of codecs. */
const HEAP_GROWTH_MAX_MIB = 64;

const decoders = [...PROTOCOL_DECODERS, ...BROKER_DECODERS, ...TEXT_DECODERS].filter(({ name }) => asked === undefined || asked === 'all' || asked === name);

test('there is a decoder of that name', () => {
  expect(
    decoders.map(({ name }) => name),
    `No decoder is called ${asked}.`,
  ).not.toEqual([]);
});

for (const decoder of decoders) {
  const available = decoder.seeds().length > 0;
  test(`${decoder.name}: damaged bytes are refused or read, quickly and within bounds`, { timeout: 24 * 3_600_000 }, async (context) => {
    if (!available) return context.skip('this Node has no such codec (zstd: from 22.15 on)');
    const count = executions > 0 ? executions : decoder.seeds().length + (decoder.shortRun ?? SHORT_RUN);
    const report = await fuzz(decoder, count, seed);
    expect(report.accepted).toBeGreaterThan(0);
    expect(report.refused + report.accepted).toBe(count);
    // Without a collection just before, what is there is mostly garbage.
    if (globalThis.gc !== undefined) expect(report.heapGrowthMiB).toBeLessThan(HEAP_GROWTH_MAX_MIB);
    const { pool, ...figures } = report;
    if (process.env.MILLRACE_FUZZ_KEEP === '1') writeCorpus(decoder.name, pool);
    if (process.env.MILLRACE_FUZZ_REPORT !== undefined)
      appendFileSync(process.env.MILLRACE_FUZZ_REPORT, `${JSON.stringify({ ...figures, new: pool.length, seed })}\n`);
  });
}
