import { MillraceError, serde, silentLogger, systemClock, systemTimers } from '@millrace/core';
import { type KeyValueStore, memoryEngine, type OpenDatabase } from '@millrace/state';
import { type ErrorPolicy, GraphBuilder, type Topology } from '@millrace/topology';
import { afterEach, expect, test } from 'vitest';
import { MemoryLog } from '../testing/memory-log.ts';
import { until } from '../testing/worker-rig.ts';
import { GlobalKeeper } from './global-keeper.ts';
import { GlobalRows } from './global-rows.ts';

const text = serde.string() as never;

/** Keeps the values of `cities` in upper case; value `boom` throws. */
function citiesTopology(onError?: ErrorPolicy): Topology {
  const graph = new GraphBuilder();
  const reading = { key: text, value: text, timestamp: 'record', onInvalidTimestamp: 'fail', startFrom: 'earliest', onError: undefined } as const;
  graph.addGlobalStore({
    source: { name: 'read', topics: [{ name: 'cities', internal: false }], nullValues: 'tombstone', ...reading },
    processor: {
      name: 'keep',
      onError,
      create(context) {
        const store = context.store('names') as KeyValueStore<string, string>;
        return {
          process(key, value) {
            if (value === 'boom') throw new Error('boom');
            if (value === null) store.delete(key as string);
            else store.put(key as string, (value as string).toUpperCase());
          },
        };
      },
    },
    store: { kind: 'keyValue', name: 'names', key: text, value: text, changelog: false, queryable: true },
  });
  graph.addSource({ name: 'facts', topics: [{ name: 'in', internal: false }], nullValues: 'serde', ...reading });
  return graph.build('cities');
}

const open: GlobalKeeper[] = [];
afterEach(async () => {
  for (const keeper of open.splice(0)) await keeper.close();
});

function keep(log: MemoryLog, database: OpenDatabase, onError?: ErrorPolicy) {
  const topology = citiesTopology(onError);
  const dropped: string[] = [];
  const taken: number[] = [];
  let failure: Error | undefined;
  const rows = new GlobalRows({
    applicationId: 'app',
    topology,
    database,
    errors: {},
    log: silentLogger,
    wallClockMs: () => 0,
    dropped: (node, reason) => void dropped.push(`${node} ${reason}`),
  });
  const take = rows.take.bind(rows);
  rows.take = (topic, partition, reader) => {
    taken.push(reader.offset);
    take(topic, partition, reader);
  };
  const keeper = new GlobalKeeper({
    topology,
    database,
    rows,
    createConsumer: () => log.createConsumer(),
    admin: log.createAdmin(),
    clock: systemClock,
    timers: systemTimers,
    log: silentLogger,
    failed: (error) => {
      failure = error;
    },
    abandoned: () => false,
  });
  open.push(keeper);
  return { keeper, taken, dropped, failure: () => failure, view: () => [...(rows.view('names')?.range() ?? [])].map(({ key, value }) => `${key}=${value}`) };
}

async function rig() {
  const log = new MemoryLog();
  log.createTopic('cities', 2);
  const database = await memoryEngine.open({ directory: '', stores: GlobalRows.storesOf(citiesTopology()), cacheBytes: 0 });
  return { log, database };
}
const row = (key: string | null, value: string | null, at = 1) => ({ key, value, at });

test('start resolves with all partitions in the store, past markers at the end; what comes later follows', async () => {
  const { log, database } = await rig();
  log.produce('cities', 0, [row('a', 'x'), row('b', 'y')]);
  log.produce('cities', 1, [row('c', 'z')]);
  log.marker('cities', 1);
  const { keeper, view } = keep(log, database);
  await keeper.start();
  expect(view()).toEqual(['a=X', 'b=Y', 'c=Z']);
  log.produce('cities', 1, [row('c', null), row('d', 'w')]);
  await until(() => view().join() === 'a=X,b=Y,d=W');
});

test('a second start on the same disk takes only what is new', async () => {
  const { log, database } = await rig();
  log.produce('cities', 0, [row('a', 'x'), row('b', 'y')]);
  const first = keep(log, database);
  await first.keeper.start();
  await first.keeper.close();
  log.produce('cities', 0, [row('b', 'z')]);
  const second = keep(log, database);
  await second.keeper.start();
  expect(second.taken).toEqual([2]);
  expect(second.view()).toEqual(['a=X', 'b=Z']);
});

test('if one partition cannot be trusted, the store is emptied and all partitions are read again', async () => {
  const { log, database } = await rig();
  log.produce('cities', 0, [row('a', 'x')]);
  log.produce('cities', 1, [row('c', 'z')]);
  const first = keep(log, database);
  await first.keeper.start();
  await first.keeper.close();
  // The checkpoint of partition 0 lies below what the log still has: deletes may have been missed.
  log.produce('cities', 0, [row('a', null), row('b', 'y')]);
  log.truncate('cities', 0, 3);
  log.produce('cities', 0, [row('d', 'w')]);
  const second = keep(log, database);
  await second.keeper.start();
  expect(second.view()).toEqual(['c=Z', 'd=W']);
});

test('a record that fails ends the start with its place, unless the policy passes it over', async () => {
  const { log, database } = await rig();
  log.produce('cities', 1, [row('a', 'x'), row('b', 'boom')]);
  const strict = keep(log, database);
  await expect(strict.keeper.start()).rejects.toMatchObject({ code: 'ERR_TASK_FAILED', where: { topic: 'cities', partition: 1, offset: 1, node: 'keep' } });
  const lenient = keep(log, database, 'skip');
  await lenient.keeper.start();
  expect(lenient.view()).toEqual(['a=X']);
  expect(lenient.dropped).toEqual(['keep skipped']);
});

test('a topic that loses what comes next is told once, after the start', async () => {
  const { log, database } = await rig();
  log.produce('cities', 0, [row('a', 'x')]);
  const { keeper, failure } = keep(log, database);
  await keeper.start();
  log.fetchFailures.set('cities-0', new MillraceError('ERR_TOPIC_MISSING', 'gone'));
  log.produce('cities', 1, [row('b', 'y')]);
  await until(() => failure() !== undefined);
  expect(failure()).toMatchObject({ code: 'ERR_TOPIC_MISSING' });
});

test('a topic that does not exist is told with its store', async () => {
  const log = new MemoryLog();
  const { database } = await rig();
  await expect(keep(log, database).keeper.start()).rejects.toMatchObject({ code: 'ERR_TOPIC_MISSING', where: { topic: 'cities', store: 'names' } });
});
