// Runs the example: loads the file, processes it, prints the worst days, and stays up for queries.
// npm start [-- --once] [--json] [--data-dir D] [--brokers host:port,…] [--http-port P] [--guarantee exactly-once|at-least-once]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type App, createApp, explainError } from 'millrace';
import { load } from './load.ts';
import { progressPrinter, type ResultRow, restoreProgress, resultRow, sortRows, worstDays } from './report.ts';
import flightDelays, { airports, flights, results, stateDelays, unknownOrigins } from './topology.ts';

interface Flags {
  readonly once: boolean;
  readonly json: boolean;
  readonly dataDir: string | undefined;
  readonly brokers: readonly string[] | undefined;
  readonly httpPort: number | undefined;
  readonly guarantee: 'exactly-once' | 'at-least-once';
}

const USAGE = 'usage: npm start -- [--once] [--json] [--data-dir DIR] [--brokers HOST:PORT,…] [--http-port PORT] [--guarantee exactly-once|at-least-once]';

function readFlags(argv: readonly string[]): Flags {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      once: { type: 'boolean' },
      json: { type: 'boolean' },
      'data-dir': { type: 'string' },
      brokers: { type: 'string' },
      'http-port': { type: 'string' },
      guarantee: { type: 'string' },
    },
  });
  const guarantee = values.guarantee ?? 'exactly-once';
  if (guarantee !== 'exactly-once' && guarantee !== 'at-least-once')
    throw new TypeError(`--guarantee is '${guarantee}'; it must be exactly-once or at-least-once`);
  const httpPort = values['http-port'] === undefined ? undefined : Number(values['http-port']);
  if (httpPort !== undefined && !(Number.isInteger(httpPort) && httpPort >= 0 && httpPort < 65_536))
    throw new TypeError(`--http-port is '${values['http-port']}'; it must be a port number, 0 for any free one`);
  return {
    once: values.once ?? false,
    json: values.json ?? false,
    dataDir: values['data-dir'],
    brokers: values.brokers?.split(',').filter((one) => one !== ''),
    httpPort,
    guarantee,
  };
}

/** `--once` without a data directory starts from nothing and leaves nothing behind. */
function chooseFolder(flags: Flags): { readonly path: string; remove(): void } {
  if (flags.dataDir !== undefined) return { path: resolve(flags.dataDir), remove() {} };
  if (!flags.once) return { path: resolve('.millrace'), remove() {} };
  const path = mkdtempSync(join(tmpdir(), 'millrace-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

async function main(): Promise<void> {
  const flags = readFlags(process.argv.slice(2));
  const say = (line: string): void => void (flags.json ? process.stderr : process.stdout).write(`${line}\n`);
  const progress = progressPrinter(process.stderr);
  const folder = chooseFolder(flags);
  const stopping = new AbortController();
  const app = createApp(flightDelays, {
    module: new URL('./topology.js', import.meta.url),
    stateDir: folder.path,
    guarantee: flags.guarantee,
    ...(flags.brokers === undefined ? {} : { brokers: flags.brokers, createTopics: true }),
    ...(flags.httpPort === undefined ? {} : { http: { port: flags.httpPort } }),
  });
  const restored = restoreProgress((done, total) => progress('restoring state', done, total));
  app.events.subscribe((event) => {
    if (event.kind === 'restoreProgress') restored(`${event.store} ${event.partition}`, event.restored, event.remaining);
  });
  const stop = (): void => {
    if (stopping.signal.aborted) process.exit(1);
    stopping.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    await app.start();
    await load(app.brokers, ({ topic, done, total }) => progress(`loading ${topic}`, done, total), stopping.signal);
    if (!stopping.signal.aborted) await app.drained({ signal: stopping.signal });
    if (!stopping.signal.aborted) await show(app, flags, say);
    if (!flags.once && !stopping.signal.aborted) {
      invite(app, say);
      await app.finished(stopping.signal);
    }
  } finally {
    await app.close();
    folder.remove();
  }
}

async function show(app: App, flags: Flags, say: (line: string) => void): Promise<void> {
  const rows = await latestResults(app);
  if (flags.json) {
    for (const row of rows) process.stdout.write(`${JSON.stringify(row)}\n`);
  } else say(`\nThe worst days of early 2001, ${rows.length} states and days in all:\n${worstDays(rows)}\n`);
  let unknown = 0;
  for await (const { value } of app.store(unknownOrigins).range()) unknown += value;
  say(unknown === 0 ? 'Every flight found its airport.' : `${unknown} flights left from an airport that is not in the file.`);
}

/** The last committed result of every state and day, whichever instance computed it. */
async function latestResults(app: App): Promise<readonly ResultRow[]> {
  const latest = new Map<string, ResultRow>();
  for await (const { key, value } of app.history(results)) latest.set(`${key.key} ${key.window.start}`, resultRow(key.key, key.window.start, value));
  return sortRows([...latest.values()]);
}

function invite(app: App, say: (line: string) => void): void {
  say(`broker   ${app.brokers.join(',')}  (topics ${flights.name}, ${airports.name}, ${results.name})`);
  say(`queries  ${app.url}`);
  say(`try      curl '${app.url}/v1/stores/${stateDelays.name}/windows/CA?from=2001-01-01&to=2001-01-07'`);
  say('stop     Ctrl-C');
}

main().catch((error: unknown) => {
  process.stderr.write(`${explainError(error)}\n${error instanceof TypeError ? `${USAGE}\n` : ''}`);
  process.exitCode = 1;
});
