// Runs a folder of recorded cases and says in a few lines what came out otherwise: what `npm run parity` prints.
// Takes `cases/**`, `describe/**`, loose case files, and partitioner.json. Knows no test runner.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Case } from './case-format.ts';
import { checkCase, type Difference } from './check-case.ts';
import { checkPartitioner, type Vectors } from './check-partitioner.ts';
import { NotExpressible } from './functions.ts';

export interface Summary {
  equal: number;
  failed: number;
  readonly skipped: Map<string, string[]>;
  /** Cases that are equal but for differences on purpose, by the names of those: see on-purpose.ts. */
  readonly onPurpose: Map<string, string[]>;
}

const SHOWN_LINES = 24;
const SHOWN_CASES = 200;

export function runFolder(folder: string, print: (line: string) => void): Summary {
  const summary: Summary = { equal: 0, failed: 0, skipped: new Map(), onPurpose: new Map() };
  const fail = (name: string, differences: readonly Difference[]): void => {
    summary.failed++;
    if (summary.failed <= SHOWN_CASES) for (const line of explain(name, differences)) print(line);
  };
  const folders = [folder, join(folder, 'cases'), join(folder, 'describe')].filter((one, at) => existsSync(one) && (at > 0 || !existsSync(join(folder, 'cases'))));
  for (const file of folders.flatMap(jsonFiles)) {
    if (file.endsWith('partitioner.json')) continue;
    const given = JSON.parse(readFileSync(file, 'utf8')) as Case;
    if (!Array.isArray(given.topology) || given.expect === undefined) continue;
    const name = given.name ?? relative(folder, file);
    try {
      const { differences, onPurpose } = checkCase(given);
      if (differences.length > 0) fail(name, differences);
      else summary.equal++;
      for (const rule of onPurpose) summary.onPurpose.set(rule, [...(summary.onPurpose.get(rule) ?? []), name]);
    } catch (error) {
      if (error instanceof NotExpressible) summary.skipped.set(error.message, [...(summary.skipped.get(error.message) ?? []), name]);
      else fail(name, [{ part: 'threw', expected: undefined, actual: error instanceof Error ? (error.stack ?? error.message) : String(error) }]);
    }
  }
  const vectors = join(folder, 'partitioner.json');
  if (existsSync(vectors)) {
    for (const differences of checkPartitioner(JSON.parse(readFileSync(vectors, 'utf8')) as Vectors)) {
      if (differences.length > 0) fail('partitioner', differences);
      else summary.equal++;
    }
  }
  return summary;
}

function jsonFiles(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => path.endsWith('.json') && statSync(path).isFile())
    .sort();
}

/** The case, then per part the lines that differ: `-` recorded, `+` ours. */
function explain(name: string, differences: readonly Difference[]): readonly string[] {
  return [`FAILED ${name}`, ...differences.flatMap(({ part, expected, actual }) => [`  ${part}`, ...lineDifferences(linesOf(expected), linesOf(actual))])];
}

function linesOf(value: unknown): readonly string[] {
  if (value === undefined) return [];
  if (typeof value === 'string') return value.split('\n');
  if (Array.isArray(value)) return value.map((one) => JSON.stringify(one));
  if (typeof value === 'object' && value !== null) return Object.entries(value).map(([key, one]) => `${key}: ${JSON.stringify(one)}`);
  return [String(value)];
}

/** Common beginning and end are left out but for one line before. */
function lineDifferences(expected: readonly string[], actual: readonly string[]): readonly string[] {
  let from = 0;
  while (from < expected.length && from < actual.length && expected[from] === actual[from]) from++;
  let same = 0;
  while (same < expected.length - from && same < actual.length - from && expected[expected.length - 1 - same] === actual[actual.length - 1 - same]) same++;
  const before = from > 0 ? [`      ${expected[from - 1]}`] : [];
  const lines = [...before, ...expected.slice(from, expected.length - same).map((line) => `    - ${line}`), ...actual.slice(from, actual.length - same).map((line) => `    + ${line}`)];
  return lines.length <= SHOWN_LINES ? lines : [...lines.slice(0, SHOWN_LINES), `    … ${lines.length - SHOWN_LINES} more lines`];
}
