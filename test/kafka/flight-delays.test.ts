// The flight example on Apache Kafka, with real processes: right answers, whatever is killed.
// Each test begins without the example's topics and groups, so that none sees what another has left.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { committedUpdatesOn } from '../end-to-end/committed-updates.ts';
import { expectGrowingUpdates } from '../end-to-end/flight-audit.ts';
import { type FlightProcess, naiveResults, resultsOf, startFlights } from '../end-to-end/flight-process.ts';

const address = process.env.MILLRACE_TEST_KAFKA ?? '';
const GROUPS = ['flight-delays', 'flight-delays-loader'];
/** A killed member stays in its group for the session timeout of 45 s. */
const GROUP_EMPTY_WITHIN_MS = 60_000;

let admin: Admin;
let folder = '';
let running: FlightProcess[] = [];

beforeAll(async () => {
  admin = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
});
afterAll(async () => {
  await admin.disconnect();
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-flights-'));
  running = [];
  await removeGroups();
  await removeTopics();
}, 2 * GROUP_EMPTY_WITHIN_MS);
afterEach(async () => {
  for (const run of running) await run.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

async function removeGroups(): Promise<void> {
  const deadline = Date.now() + GROUP_EMPTY_WITHIN_MS;
  for (;;) {
    const { groups } = await admin.describeGroups(GROUPS);
    const left = groups.filter((group) => group.state !== 'Dead');
    if (left.length === 0) return;
    const empty = left.filter((group) => group.members.length === 0).map((group) => group.groupId);
    if (empty.length > 0) await admin.deleteGroups(empty);
    else if (Date.now() > deadline) throw new Error(`the groups ${left.map((group) => group.groupId).join(', ')} still have members`);
    else await wait(200);
  }
}

async function removeTopics(): Promise<void> {
  const isOurs = (name: string): boolean => ['flights', 'airports', 'state-delays'].includes(name) || name.startsWith('flight-delays-');
  const ours = (await admin.listTopics()).filter(isOurs);
  if (ours.length > 0) await admin.deleteTopics({ topics: ours });
  while ((await admin.listTopics()).some(isOurs)) await wait(100);
}

function start(stateDir: string, ...more: string[]): FlightProcess {
  const run = startFlights(['--brokers', address, '--http-port', '0', '--data-dir', stateDir, ...more]);
  running.push(run);
  return run;
}

function results(stateDir: string, ...more: string[]): ReturnType<typeof resultsOf> {
  return resultsOf(['--brokers', address, '--data-dir', stateDir, ...more]);
}

/** Matches the progress of a run that has loaded at least so many flights; an earlier run may have got further than asked. */
function atLeast(flights: number): RegExp {
  const counts = Array.from({ length: 21 }, (_, thousands) => thousands * 1000).filter((count) => count >= flights);
  return new RegExp(`loading flights: (${counts.join('|')}) of`);
}

/** From the first breath to the last: while nothing is there, while the file is loaded and processed, when all is done. */
const MOMENTS: readonly ((run: FlightProcess) => Promise<unknown>)[] = [
  () => wait(300),
  (run) => run.printed('loading airports: 0'),
  (run) => run.printed('loading flights: 0'),
  (run) => run.printed(atLeast(4000)),
  (run) => run.printed(atLeast(8000)).then(() => wait(30)),
  (run) => run.printed(atLeast(12_000)).then(() => wait(60)),
  (run) => run.printed(atLeast(16_000)).then(() => wait(90)),
  (run) => run.printed(atLeast(20_000)),
  (run) => run.printed('The worst days'),
  () => wait(1500),
];

async function killAtEveryMoment(stateDir: string, ...more: string[]): Promise<void> {
  for (const moment of MOMENTS) {
    const run = start(stateDir, ...more);
    await moment(run);
    await run.kill('SIGKILL');
  }
}

test('on Kafka, the results equal a plain loop over the file, and every flight is in them once', async () => {
  expect(await results(join(folder, 'state'))).toEqual(naiveResults());
  expectGrowingUpdates(await committedUpdatesOn(address, 'state-delays'));
}, 120_000);

test('on Kafka, killed at ten different moments and resumed, the results are the same and no update is doubled', async () => {
  const stateDir = join(folder, 'state');
  await killAtEveryMoment(stateDir);
  expect(await results(stateDir)).toEqual(naiveResults());
  expectGrowingUpdates(await committedUpdatesOn(address, 'state-delays'));
}, 300_000);

test('on Kafka, an instance that comes back without its folder restores all of it from the changelogs', async () => {
  const lost = start(join(folder, 'lost'));
  await lost.printed('The worst days');
  await lost.kill('SIGTERM');
  expect(await results(join(folder, 'new'))).toEqual(naiveResults());
  expectGrowingUpdates(await committedUpdatesOn(address, 'state-delays'));
}, 120_000);

test.each(['the first', 'the second'])(
  'on Kafka, two instances with a folder each share the work, and the results survive the death of %s',
  async (which) => {
    const first = start(join(folder, 'one'));
    await first.printed('loading flights');
    const second = start(join(folder, 'two'));
    await second.printed(/loading flights|The worst days/);
    const [killed, left] = which === 'the first' ? [first, second] : [second, first];
    await killed.kill('SIGKILL');
    await left.printed('The worst days');
    await left.kill('SIGTERM');
    expect(left.child.exitCode).toBe(0);
    expect(await results(join(folder, which === 'the first' ? 'two' : 'one'))).toEqual(naiveResults());
    expectGrowingUpdates(await committedUpdatesOn(address, 'state-delays'));
  },
  300_000,
);

test('on Kafka, at least once and undisturbed, the results equal the plain loop', async () => {
  expect(await results(join(folder, 'state'), '--guarantee', 'at-least-once')).toEqual(naiveResults());
}, 120_000);

test('on Kafka, at least once and killed at ten moments, no flight is missing', async () => {
  const stateDir = join(folder, 'state');
  await killAtEveryMoment(stateDir, '--guarantee', 'at-least-once');
  const found = await results(stateDir, '--guarantee', 'at-least-once');
  const expected = naiveResults();
  expect(found.map(({ state, day }) => `${state} ${day}`)).toEqual(expected.map(({ state, day }) => `${state} ${day}`));
  expect(found.filter((row, at) => row.flights < (expected[at]?.flights ?? 0))).toEqual([]);
}, 300_000);
