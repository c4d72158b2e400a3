// millrace.lock.json: what each topology looked like when its state was last agreed to, as text under version control.
// Owns the format. Never: reads or writes files; the callers have the text.
import { MillraceError } from '@millrace/core';
import type { Topology } from '../topology.ts';
import { compareTopologies, type Finding } from './compare.ts';
import { type TopologyFacts, topologyFacts } from './facts.ts';

export const LOCK_FILE = 'millrace.lock.json';
const VERSION = 1;

interface LockText {
  readonly version: number;
  readonly topologies: Readonly<Record<string, TopologyFacts>>;
}

/** What a check found. */
export interface LockReport {
  readonly topology: string;
  /** `unlocked`: the file has no section for this topology yet. */
  readonly state: 'equal' | 'changed' | 'unlocked';
  /** Worst first. */
  readonly findings: readonly Finding[];
}

/**
 * Compares a topology with the lock file's text. Throws ERR_OPTION for a text that is no lock file, or one of a newer version.
 *
 * @example
 * ```ts
 * const report = checkLock(orderTotals, readFileSync('millrace.lock.json', 'utf8'));
 * for (const { severity, effect, advice } of report.findings) console.log(severity, effect, advice);
 * ```
 */
export function checkLock(topology: Topology, lockText: string | undefined): LockReport {
  const locked = lockText === undefined ? undefined : parse(lockText).topologies[topology.name];
  if (locked === undefined) return { topology: topology.name, state: 'unlocked', findings: [] };
  const now = topologyFacts(topology);
  const findings = compareTopologies(locked, now);
  const equal = findings.length === 0 && JSON.stringify(locked) === JSON.stringify(now);
  return { topology: topology.name, state: equal ? 'equal' : 'changed', findings };
}

/** The lock file's text with this topology as it is now; sections of other topologies stay. Throws as `checkLock`. */
export function updateLock(topology: Topology, lockText: string | undefined): string {
  const topologies: LockText['topologies'] = lockText === undefined ? {} : parse(lockText).topologies;
  const all = { ...topologies, [topology.name]: topologyFacts(topology) };
  const sorted: Record<string, TopologyFacts> = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ version: VERSION, topologies: sorted } satisfies LockText, undefined, 2)}\n`;
}

/** The report for a person: one paragraph a finding. */
export function explainLock(report: LockReport): string {
  const { topology, state, findings } = report;
  if (state === 'unlocked') return `${topology}: not in the lock file yet. Write it with --update, and commit the file.`;
  if (state === 'equal') return `${topology}: as locked.`;
  if (findings.length === 0) return `${topology}: changed in details that no state depends on. Renew the lock file with --update.`;
  const paragraphs = findings.map(({ severity, effect, advice }) => `${severity.toUpperCase()}  ${effect}${advice === '' ? '' : `\n        ${advice}`}`);
  return `${topology}: ${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}\n\n${paragraphs.join('\n\n')}`;
}

/** True if starting would lose state or records, or read them as something else. */
export function isDangerous({ findings }: LockReport): boolean {
  return findings.some(({ severity }) => severity === 'danger');
}

function parse(text: string): LockText {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch (error) {
    throw new MillraceError('ERR_OPTION', `the lock file is not JSON: ${String(error)}. Take it from version control again.`, { option: 'lock' }, error);
  }
  const { version, topologies } = (read ?? {}) as Partial<LockText>;
  if (version !== VERSION || typeof topologies !== 'object' || topologies === null)
    throw new MillraceError(
      'ERR_OPTION',
      `the lock file is of version ${String(version)}, and this Millrace knows version ${VERSION}. Use the Millrace that wrote it, or write it anew with --update.`,
      { option: 'lock' },
    );
  return { version, topologies };
}
