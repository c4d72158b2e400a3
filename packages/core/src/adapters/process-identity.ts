// Who a process is, beyond its number: numbers are used again, so a lock names start time and boot as well.
// Never: guesses that a process lives on. Without /proc it asks the system for the number alone.
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

export interface ProcessIdentity {
  readonly pid: number;
  /** Start of the process in clock ticks since boot where /proc tells it, else in whole seconds since the epoch. */
  readonly start: number;
  readonly boot: string;
  /** Where the number is valid: machine and process namespace (containers have their own). */
  readonly place: string;
}

let own: ProcessIdentity | undefined;

export function ownIdentity(): ProcessIdentity {
  own ??= { pid: process.pid, start: startTicks(process.pid) ?? Math.round(Date.now() / 1000 - process.uptime()), boot: bootId(), place: place() };
  return own;
}

/**
 * True when that very process still runs. A process of another machine or container cannot be seen from here and counts as
 * gone: a restarted container must find its way back to its own volume (a volume that two machines share needs an owner elsewhere).
 */
export function isAlive(identity: ProcessIdentity): boolean {
  const self = ownIdentity();
  if (identity.place !== self.place || identity.boot !== self.boot) return false;
  if (identity.pid === self.pid) return Math.abs(identity.start - self.start) <= (self.boot === '' ? 2 : 0); // without ticks, seconds may differ by rounding
  const ticks = startTicks(identity.pid);
  if (ticks !== undefined) return ticks === identity.start;
  if (self.boot !== '') return false; // there is a /proc, and it has no such process
  try {
    process.kill(identity.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function startTicks(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name before may hold blanks and brackets
    const state = fields[0];
    const ticks = Number(fields[19]);
    return state === 'Z' || state === 'X' || !Number.isSafeInteger(ticks) ? undefined : ticks; // a zombie holds no files
  } catch {
    return undefined;
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}

function place(): string {
  let namespace = '';
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // no namespaces on this system
  }
  return `${hostname()} ${namespace}`.trim();
}
