// The lock file from the command line: first written, then checked, an edit refused, then accepted.
import { memoryDisk, memoryNetwork, seededChance, serde, silentLogger, virtualTime } from '@millrace/core';
import { GraphBuilder, type Topology } from '@millrace/topology';
import { expect, test } from 'vitest';
import type { CliDeps } from '../command.ts';
import { runCli } from '../run-cli.ts';

function counting(storeName: string): Topology {
  const text = serde.string();
  const graph = new GraphBuilder();
  graph.addSource({
    name: 'in',
    topics: [{ name: 'lines', internal: false }],
    key: text,
    value: text,
    nullValues: 'serde',
    timestamp: 'record',
    onInvalidTimestamp: 'fail',
    startFrom: 'earliest',
    onError: undefined,
  });
  graph.addStore({ kind: 'keyValue', name: storeName, key: text, value: text, changelog: { config: {} }, queryable: true });
  graph.addProcessor({ name: 'count', parents: ['in'], stores: [storeName], create: () => ({ process() {} }) });
  return graph.build('counting');
}

function fakeProcess() {
  const time = virtualTime({ startMs: 0 });
  const out: string[] = [];
  const err: string[] = [];
  const modules = new Map<string, Record<string, unknown>>();
  const deps: CliDeps = {
    printLine: (line) => void out.push(line),
    printError: (line) => void err.push(line),
    loadModule: async (path) => modules.get(path) ?? Promise.reject(new Error(`no ${path}`)),
    ports: { clock: time.clock, timers: time.timers, chance: seededChance(1), network: memoryNetwork(time.timers), disk: memoryDisk(), log: silentLogger },
    onStop: () => () => {},
    exitNow: () => {},
  };
  return { out, err, modules, run: (...args: string[]) => runCli(args, deps) };
}

test('a lock file is written, holds, refuses an edit that orphans state, and takes it when told to', async () => {
  const { out, modules, run } = fakeProcess();
  modules.set('app.js', { default: counting('counts') });
  expect(await run('check', 'app.js')).toBe(1);
  expect(out.at(-1)).toMatch(/not in the lock file yet/);
  expect(await run('check', 'app.js', '--update')).toBe(0);
  expect(await run('check', 'app.js')).toBe(0);
  expect(out.at(-1)).toBe('counting: as locked.');

  modules.set('app.js', { default: counting('tally') });
  expect(await run('check', 'app.js')).toBe(1);
  expect(out.at(-1)).toMatch(/DANGER {2}The store "counts" would be called "tally"/);
  expect(await run('check', 'app.js', '--update')).toBe(0);
  expect(await run('check', 'app.js', '--json')).toBe(0);
  expect(JSON.parse(out.at(-1) as string)).toEqual({ topology: 'counting', state: 'equal', findings: [] });
});

test('describe shows a topology in the format asked for', async () => {
  const { out, err, modules, run } = fakeProcess();
  modules.set('app.js', { default: counting('counts') });
  expect(await run('describe', 'app.js')).toBe(0);
  expect(out.at(-1)).toMatch(/^Topologies:/);
  expect(await run('describe', 'app.js', '--format', 'mermaid')).toBe(0);
  expect(out.at(-1)).toMatch(/^flowchart TD/);
  expect(await run('describe', 'app.js', '--format', 'svg')).toBe(2);
  expect(err.at(-1)).toMatch(/kafka, json, mermaid, dot/);
});

test('a module that is not there, or has no topology, is said', async () => {
  const { err, modules, run } = fakeProcess();
  expect(await run('check', 'app.js')).toBe(1);
  expect(err.at(-1)).toMatch(/"app.js" cannot be loaded/);
  modules.set('app.js', { other: 1 });
  expect(await run('check', 'app.js')).toBe(1);
  expect(err.at(-1)).toMatch(/exports no topology/);
});
