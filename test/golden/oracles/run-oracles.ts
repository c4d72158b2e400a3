// Many random programs, one after another, each from its own seed; says which gave something else than the naive recomputation.
import { plainAggregate, cogroups, finalWindows, regroupedTable, sessionWindows, slidingWindows, timeWindows } from './aggregates.ts';
import { Chance } from './facts.ts';
import { foreignKeyJoin, globalJoin, selfJoin, streamStreamJoin, streamTableJoin, tableTableJoin } from './joins.ts';
import type { Verdict } from './verdict.ts';

const FAMILIES: readonly ((chance: Chance) => Verdict)[] = [
  plainAggregate,
  timeWindows,
  slidingWindows,
  sessionWindows,
  finalWindows,
  cogroups,
  regroupedTable,
  streamStreamJoin,
  selfJoin,
  tableTableJoin,
  foreignKeyJoin,
  streamTableJoin,
  globalJoin,
];

export interface OracleSummary {
  equal: number;
  failed: number;
  /** Rows or records that were compared. */
  compared: number;
}

const SHOWN_FAILURES = 20;
const SHOWN_LINES = 6;

/** Undefined: equal. Else the program and the first lines that differ. */
export function differenceOf({ about, expected, actual }: Verdict): string | undefined {
  const at = expected.findIndex((line, index) => line !== actual[index]);
  if (at < 0 && expected.length === actual.length) return undefined;
  const from = at < 0 ? expected.length : at;
  const some = (lines: readonly string[]): string => lines.slice(from, from + SHOWN_LINES).join('\n      ');
  return `${about}: ${expected.length} lines expected, ${actual.length} given; from line ${from} expected\n      ${some(expected)}\n    given\n      ${some(actual)}`;
}

/** The program of a seed: families take turns. */
export function judge(seed: number): Verdict {
  const family = FAMILIES[seed % FAMILIES.length] as (typeof FAMILIES)[number];
  return family(new Chance(seed));
}

export function runOracles(firstSeed: number, programs: number, print: (line: string) => void): OracleSummary {
  const summary: OracleSummary = { equal: 0, failed: 0, compared: 0 };
  for (let seed = firstSeed; seed < firstSeed + programs; seed++) {
    const difference = attempt(seed, summary);
    if (difference === undefined) summary.equal++;
    else if (++summary.failed <= SHOWN_FAILURES) print(`FAILED seed ${seed}: ${difference}`);
  }
  return summary;
}

function attempt(seed: number, summary: OracleSummary): string | undefined {
  try {
    const verdict = judge(seed);
    verdict.running.t.close();
    summary.compared += verdict.expected.length;
    return differenceOf(verdict);
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
