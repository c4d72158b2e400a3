// The flight example, end to end, with real processes: right answers, whatever is killed.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { committedUpdates } from './committed-updates.ts';
import { expectGrowingUpdates } from './flight-audit.ts';
import { naiveResults, resultsOf, startFlights } from './flight-process.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-flights-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('the results equal a plain loop over the file, and standard output holds nothing else', async () => {
  const run = startFlights(['--once', '--json', '--http-port', '0'], folder);
  expect(await run.ended()).toBe(0);
  const lines = run
    .stdout()
    .split('\n')
    .filter((line) => line !== '');
  expect(lines.map((line) => JSON.parse(line))).toEqual(naiveResults());
  expect(lines[0]).toBe(JSON.stringify(naiveResults()[0]));
});

test('killed at ten different moments and resumed, the results are the same and no update is doubled', async () => {
  const dataDir = join(folder, 'data');
  const moments: readonly ((run: ReturnType<typeof startFlights>) => Promise<unknown>)[] = [
    () => wait(150), // before the broker is up, or just after
    (run) => run.printed('loading airports: 0'),
    (run) => run.printed('loading flights: 0'),
    (run) => run.printed(/loading flights: [2-9]000/),
    (run) => run.printed(/loading flights: 1[0-9]000/).then(() => wait(30)),
    (run) => run.printed('loading flights: 20000'),
    (run) => run.printed('loading flights: 20000').then(() => wait(80)),
    (run) => run.printed('loading flights: 20000').then(() => wait(200)),
    (run) => run.printed('The worst days'),
    () => wait(900),
  ];
  for (const moment of moments) {
    const run = startFlights(['--data-dir', dataDir, '--http-port', '0']);
    await moment(run);
    await run.kill('SIGKILL');
  }
  expect(await resultsOf(['--data-dir', dataDir])).toEqual(naiveResults());
  expectGrowingUpdates(await committedUpdates(dataDir, 'state-delays'));
}, 180_000);

test.each(['the first', 'the second'])(
  'two instances in one folder share the work, and the results survive the death of %s',
  async (which) => {
    const first = startFlights([], folder);
    await first.printed('loading flights');
    const second = startFlights([], folder);
    await second.printed(/loading flights|The worst days/);
    const [killed, left] = which === 'the first' ? [first, second] : [second, first];
    await killed.kill('SIGKILL');
    await left.printed('The worst days');
    await left.kill('SIGTERM');
    expect(left.child.exitCode).toBe(0);
    const dataDir = join(folder, '.millrace');
    expect(await resultsOf(['--data-dir', dataDir])).toEqual(naiveResults());
    expectGrowingUpdates(await committedUpdates(dataDir, 'state-delays'));
  },
  120_000,
);
