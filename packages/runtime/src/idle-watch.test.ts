// `idleAfter` in a worker: each move of time is committed with what it made; a crash repeats it or undoes it whole; nothing that is still to
// come from above is overtaken.
import { serde } from '@millrace/core';
import { GraphBuilder, type Topology } from '@millrace/topology';
import { expect, test } from 'vitest';
import { decodeOffsetMetadata } from './commit/offset-metadata.ts';
import { MemoryLog } from './testing/memory-log.ts';
import { assignmentOf, startRig, until } from './testing/worker-rig.ts';

const text = serde.string() as never;
const HOUR_MS = 3_600_000;

interface Told {
  /** Stream times that the lower node was told of, by life. */
  readonly lives: number[][];
}

/** `in` → `app-between` → a node that writes `closed` to `out` when time has moved by itself, once in so many lives. */
function idleTopology(told: Told, idleAfterMs = 20): Topology {
  const graph = new GraphBuilder();
  const reading = { key: text, value: text, nullValues: 'serde', timestamp: 'record', onInvalidTimestamp: 'fail', startFrom: 'earliest' } as const;
  const between = { name: 'between', internal: true };
  graph.addRepartitionTopic('between', 1);
  graph.addSource({ ...reading, name: 'above', topics: [{ name: 'in', internal: false }], idleAfterMs, onError: undefined });
  graph.addSink({ name: 'down', parents: ['above'], topic: between, key: text, value: text });
  graph.addSource({ ...reading, name: 'below', topics: [between], onError: undefined });
  graph.addProcessor({
    name: 'closing',
    parents: ['below'],
    stores: [],
    create(context) {
      const life: number[] = [];
      told.lives.push(life);
      return {
        process: (key, value) => context.forward(key, `${value as string} at ${context.record.streamTime >= HOUR_MS ? 'moved time' : 'its time'}`),
        timeMoved(streamTime) {
          life.push(streamTime);
          if (context.progress('closed') !== undefined) return;
          context.setProgress('closed', 1);
          context.forward('k', 'closed');
        },
      };
    },
  });
  graph.addSink({ name: 'results', parents: ['closing'], topic: { name: 'out', internal: false }, key: text, value: text });
  return graph.build('idling');
}

function idleLog(): MemoryLog {
  const log = new MemoryLog();
  log.createTopic('in', 1);
  log.createTopic('app-between', 1);
  log.createTopic('out', 1);
  return log;
}

const idleTimeOf = (log: MemoryLog): number | undefined => decodeOffsetMetadata(log.committed.get('app-between-0')?.metadata ?? '').processors.get('$idle');

test('a move of time is committed with what it made, and the next life begins with it', async () => {
  const log = idleLog();
  const told: Told = { lives: [] };
  const topology = idleTopology(told);
  const first = startRig({ topology, log });
  log.produce('in', 0, [{ key: 'k', value: 'v', at: 1000 }]);
  await first.worker.assign(assignmentOf(log, ['0_0', '1_0']));
  await until(() => log.visible('out').includes('closed'));
  await until(() => idleTimeOf(log) !== undefined);
  await first.worker.stop(10_000);
  const movedTo = idleTimeOf(log) as number;
  expect(movedTo).toBeGreaterThanOrEqual(1020);
  expect(log.visible('out')).toEqual(['v at its time', 'closed']);

  const second = startRig({ topology, log });
  await second.worker.assign(assignmentOf(log, ['0_0', '1_0']));
  await until(() => (told.lives[1]?.length ?? 0) > 0);
  await second.worker.stop(10_000);
  expect(told.lives[1]?.[0]).toBe(movedTo);
  expect(log.visible('out')).toEqual(['v at its time', 'closed']);
});

test('a crash before the commit undoes the move with what it made, and the move is made again', async () => {
  const log = idleLog();
  const told: Told = { lives: [] };
  const topology = idleTopology(told);
  log.produce('in', 0, [{ key: 'k', value: 'v', at: 1000 }]);
  let crashed = false;
  log.gate = {
    before(call) {
      if (call.kind !== 'end' || !call.commit || crashed || !log.rows('out').some(({ value }) => value === 'closed')) return;
      crashed = true;
      throw new Error('the process is gone');
    },
  };
  const first = startRig({ topology, log });
  await first.worker.assign(assignmentOf(log, ['0_0', '1_0']));
  await first.ended();
  expect(crashed).toBe(true);
  expect(log.visible('out')).toEqual(['v at its time']);

  const second = startRig({ topology, log });
  await second.worker.assign(assignmentOf(log, ['0_0', '1_0']));
  await until(() => log.visible('out').includes('closed'));
  await second.worker.stop(10_000);
  expect(told.lives.length).toBeGreaterThan(1);
  expect(log.rows('out').filter(({ value }) => value === 'closed').length).toBeGreaterThan(1);
  expect(log.visible('out')).toEqual(['v at its time', 'closed']);
});

test('what a task above has not processed yet is waited for, however long the silence below', async () => {
  const log = idleLog();
  const told: Told = { lives: [] };
  const topology = idleTopology(told);
  log.produce('in', 0, [{ key: 'k', value: 'slow', at: 1500 }]);
  log.produce('app-between', 0, [{ key: 'k', value: 'v', at: 1000 }]);
  const rig = startRig({ topology, log });
  await rig.worker.assign(assignmentOf(log, ['1_0'])); // nobody has the task above
  const asked = (): number => log.calls.filter(({ kind }) => kind === 'committedOffsets').length;
  await until(() => asked() >= 4); // one at the begin, and one for each time it was looked whether the silence is one
  expect(told.lives[0]).toEqual([]);
  await rig.worker.assign(assignmentOf(log, ['0_0', '1_0']));
  await until(() => log.visible('out').includes('closed'));
  await rig.worker.stop(10_000);
  expect(log.visible('out')).toEqual(['v at its time', 'slow at its time', 'closed']);
});

test('an error while looking is no reason to end; it is looked again', async () => {
  const log = idleLog();
  const told: Told = { lives: [] };
  let refused = 0;
  log.gate = {
    before(call) {
      if (call.kind === 'listOffsets' && log.visible('out').length > 0 && refused < 1) {
        refused += 1;
        throw new Error('not now');
      }
    },
  };
  log.produce('in', 0, [{ key: 'k', value: 'v', at: 1000 }]);
  const rig = startRig({ topology: idleTopology(told), log });
  await rig.worker.assign(assignmentOf(log, ['0_0', '1_0']));
  await until(() => log.visible('out').includes('closed'));
  await rig.worker.stop(10_000);
  expect(refused).toBe(1);
});
