// The flight example as a real process, and what its results must be: used by the end-to-end suites.
// Runs the built example (`npm test` builds first).
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { readAirports, readFlights } from '../../examples/01-flight-delays/src/dataset.ts';

export interface ResultRow {
  readonly state: string;
  readonly day: string;
  readonly flights: number;
  readonly delayed: number;
  readonly averageDelay: number;
}

const MAIN = fileURLToPath(new URL('../../examples/01-flight-delays/dist/main.js', import.meta.url));

export interface FlightProcess {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves when either stream has printed `text`; rejects when the process ends first. */
  printed(text: string | RegExp): Promise<void>;
  /** Resolves with the exit code, or null after a signal. */
  ended(): Promise<number | null>;
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

export function startFlights(args: readonly string[], cwd?: string): FlightProcess {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'], ...(cwd === undefined ? {} : { cwd }) });
  let stdout = '';
  let stderr = '';
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of [...listeners]) listener();
  };
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8');
    changed();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
    changed();
  });
  const over = once(child, 'close').then(() => {
    changed();
    return child.exitCode;
  });
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    printed: (text) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const all = stdout + stderr;
          const seen = typeof text === 'string' ? all.includes(text) : text.test(all);
          if (!seen && child.exitCode === null && child.signalCode === null) return;
          listeners.delete(check);
          if (seen) resolve();
          else reject(new Error(`the process ended (${child.exitCode ?? child.signalCode}) before it printed ${String(text)}:\n${all.slice(-2000)}`));
        };
        listeners.add(check);
        check();
      }),
    ended: () => over,
    async kill(signal) {
      child.kill(signal);
      await over;
    },
  };
}

/** Runs to the end and gives the rows. Throws with what was printed when the exit code is not 0. */
export async function resultsOf(args: readonly string[], cwd?: string): Promise<readonly ResultRow[]> {
  const run = startFlights(['--once', '--json', '--http-port', '0', ...args], cwd);
  const code = await run.ended();
  if (code !== 0) throw new Error(`exit code ${code}\n${run.stderr().slice(-4000)}`);
  return rowsOf(run.stdout());
}

export function rowsOf(stdout: string): readonly ResultRow[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ResultRow);
}

/** The same answer without any of our code: a loop over the file. */
export function naiveResults(): readonly ResultRow[] {
  const stateOf = new Map(readAirports().map((airport) => [airport.iata, airport.state]));
  const sums = new Map<string, { flights: number; delayed: number; minutes: number }>();
  for (const flight of readFlights()) {
    const state = stateOf.get(flight.origin);
    if (state === undefined) continue;
    const key = `${state} ${flight.date.slice(0, 10).replaceAll('/', '-')}`;
    const sum = sums.get(key) ?? { flights: 0, delayed: 0, minutes: 0 };
    sum.flights++;
    if (flight.delay > 15) sum.delayed++;
    sum.minutes += flight.delay;
    sums.set(key, sum);
  }
  return [...sums]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, sum]) => ({
      state: key.split(' ')[0] as string,
      day: key.split(' ')[1] as string,
      flights: sum.flights,
      delayed: sum.delayed,
      averageDelay: twoDecimals(sum.minutes, sum.flights),
    }));
}

/** Half away from zero, by decimal digits: long division, independent of the example's own arithmetic. */
function twoDecimals(total: number, count: number): number {
  const negative = total < 0;
  const scaled = BigInt(Math.abs(total)) * 1000n;
  const thousandths = scaled / BigInt(count);
  const lastDigit = thousandths % 10n;
  const hundredths = thousandths / 10n + (lastDigit >= 5n ? 1n : 0n);
  const value = Number(hundredths) / 100;
  return negative && value !== 0 ? -value : value;
}
