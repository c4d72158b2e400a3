// millrace reset against an application that has run: what it says, when it refuses, and that everything is computed again from nothing.
import { join } from 'node:path';
import { runCli } from '@millrace/cli';
import { nodeDisk, nodeNetwork, serde, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppRig } from './app-rig.ts';

const rig = new AppRig();
beforeAll(() => rig.start());
afterAll(() => rig.close());

const text = { key: serde.string(), value: serde.string() };
const counting = topology('tally', (t) => {
  t.stream(topic('tally-in', text))
    .groupBy((value) => value, { as: 'word' })
    .count({ store: store.keyValue('tallies', { key: serde.string(), value: serde.safeInt() }), emit: 'onUpdate' })
    .toStream()
    .mapValues((count) => String(count), { value: serde.string() })
    .to(topic('tally-out', text));
});

async function reset(...args: string[]): Promise<{ readonly code: number; readonly out: readonly string[]; readonly err: string }> {
  const out: string[] = [];
  let err = '';
  const code = await runCli(['reset', 'tally.mjs', '--brokers', rig.address, ...args], {
    printLine: (line) => void out.push(line),
    printError: (line) => {
      err += line;
    },
    ports: { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger },
    loadModule: async () => ({ default: counting, other: topology('other', (t) => t.stream(topic('tally-in', text)).to(topic('tally-out', text))) }),
    onStop: () => () => {},
    exitNow: () => {},
  });
  return { code, out, err };
}
const options = { disk: 'tally', applicationId: 'tally', engine: 'lmdb' } as const;
const topicNames = async (): Promise<readonly string[]> => {
  const admin = rig.admin('looks');
  const found = [...(await admin.describeTopics(undefined)).keys()].filter((name) => name.startsWith('tally-')).sort();
  await admin.close();
  return found;
};
const results = async (): Promise<readonly string[]> => (await rig.read('tally-out')).map(({ key, value }) => `${key}=${value}`).sort();

test('it refuses while a member is alive, says what it would do, does it, and the application computes everything again from nothing', async () => {
  await rig.createTopicsWith(2, { 'retention.ms': '-1' }, 'tally-in', 'tally-out');
  await rig.createTopicsWith(1, {}, 'tally-old-changelog');
  const app = await rig.app(counting, options);
  await rig.send(
    'tally-in',
    ['a', 'b', 'a'].map((value, at) => ({ key: `k${at}`, value, timestamp: 1000 + at })),
  );
  await app.drained();

  const alive = await reset('--execute');
  expect([alive.code, alive.err]).toEqual([1, expect.stringMatching(/1 members are alive: .*Stop the application first/)]);
  await app.close({ leave: 'leave' });
  expect(await results()).toEqual(['a=1', 'a=2', 'b=1']);

  const made = await topicNames();
  const stateDir = join(rig.folder, 'tally');
  const dry = await reset('--state-dir', stateDir);
  expect(dry.code).toBe(0);
  expect(dry.out).toEqual([
    'application tally, to earliest',
    'position in tally-in: 0: 0, 1: 0',
    'position in tally-word-repartition: 0: 0, 1: 0',
    'delete topic tally-tallies-changelog',
    'delete topic tally-word-repartition',
    expect.stringMatching(/^delete folder .*tally/),
    'left alone: tally-old-changelog, which this topology does not name',
    'Nothing was changed; --execute does it.',
  ]);
  expect(await topicNames()).toEqual(made);

  expect((await reset('--state-dir', stateDir, '--execute')).out.at(-1)).toMatch(/^Done/);
  expect(await topicNames()).toEqual(['tally-in', 'tally-old-changelog', 'tally-out']);
  const again = await rig.app(counting, options);
  await again.drained();
  await again.close();
  expect(await results()).toEqual(['a=1', 'a=1', 'a=2', 'a=2', 'b=1', 'b=1']);

  // Without the state folder: what lies there is of topics that are not there any more, and is not believed.
  expect((await reset('--execute', '--to', 'latest')).code).toBe(0);
  const last = await rig.app(counting, options);
  await rig.send('tally-in', [{ key: 'k', value: 'a', timestamp: 2000 }]);
  await last.drained();
  await last.close();
  expect((await results()).filter((line) => line === 'a=1')).toHaveLength(3);
});

test('a place that means nothing, and a module with several topologies, are told of before anything is asked', async () => {
  expect(await reset('--to', 'soon')).toMatchObject({ code: 2, err: expect.stringContaining('--to is "soon"') });
  expect(await reset('--topology', 'nobody')).toMatchObject({ code: 2, err: expect.stringContaining('exports no topology "nobody"') });
});
