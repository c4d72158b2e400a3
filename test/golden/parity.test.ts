// Recorded behaviour of Apache Kafka Streams 4.3.1, run against our DSL, operators, stores and graph.
// A case that uses what is not built yet is counted by its reason and listed at the end; any other difference fails.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import type { Case } from './case-format.ts';
import { checkCase } from './check-case.ts';
import { NotExpressible } from './functions.ts';

/** `parity`: the cases handed over; `recorded`: those asked of Java since. */
const root = fileURLToPath(new URL('./', import.meta.url));
const read = (path: string): Case => JSON.parse(readFileSync(`${root}${path}`, 'utf8')) as Case;
const areas = [...['parity/cases', 'recorded'].flatMap((place) => readdirSync(`${root}${place}`).map((area) => `${place}/${area}`)), 'parity/describe'];

const skipped = new Map<string, string[]>();
const different = new Map<string, string[]>();
let ran = 0;

for (const area of areas) {
  describe(area, () => {
    for (const file of readdirSync(`${root}${area}`).sort()) {
      const given = read(`${area}/${file}`);
      test(`${given.name}: ${given.about}`, (context) => {
        try {
          const { differences, onPurpose } = checkCase(given);
          for (const rule of onPurpose) different.set(rule, [...(different.get(rule) ?? []), given.name]);
          expect(Object.fromEntries(differences.map(({ part, actual }) => [part, actual]))).toEqual(Object.fromEntries(differences.map(({ part, expected }) => [part, expected])));
          expect(differences).toEqual([]);
          ran++;
        } catch (error) {
          if (!(error instanceof NotExpressible)) throw error;
          skipped.set(error.message, [...(skipped.get(error.message) ?? []), given.name]);
          context.skip(error.message);
        }
      });
    }
  });
}

afterAll(() => {
  const reasons = [...skipped].sort((a, b) => b[1].length - a[1].length).map(([reason, names]) => `  ${names.length} ${reason}`);
  const count = [...skipped.values()].reduce((sum, names) => sum + names.length, 0);
  const differences = [...different].map(([rule, names]) => `  ${names.length} ${rule}`);
  console.log(`parity: ${ran} equal, ${count} skipped\n${reasons.join('\n')}\nequal but for a difference on purpose:\n${differences.join('\n')}`);
});
