import { MillraceError, serde } from '@millrace/core';
import { type Checkpoint, type KeyValueStore, keyValueView, readCheckpoint, type WindowStore } from '@millrace/state';
import { GraphBuilder, type SourceNode } from '@millrace/topology';
import { expect, test, vi } from 'vitest';
import { assignmentOf, CHANGELOG, countTopology, createHold, createLog, Disk, lines, type Rig, refuse, startRig, until } from './testing/worker-rig.ts';

const STORE = countTopology().stores.get('counts');
const counts = async (disk: Disk, task = '0_0') =>
  Object.fromEntries([...keyValueView<string, number>(await disk.of(task), STORE as never).range({})].map(({ key, value }) => [key, value]));
const inputAt = (rig: Rig, partition = 0) => rig.log.committed.get(`in-${partition}`)?.offset;

test('records are counted, written, committed and settled; stop leaves nothing open', async () => {
  const disk = new Disk();
  const rig = startRig({ disk });
  rig.log.produce('in', 0, lines(30));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 30);
  await rig.worker.stop(10_000);
  expect(await rig.ended()).toBeUndefined();
  expect(rig.log.visible('out').slice(-3)).toEqual(['a=10', 'b=10', 'c=10']);
  expect(rig.log.visible('out')).toHaveLength(30);
  expect(await counts(disk)).toEqual({ a: 10, b: 10, c: 10 });
  expect(rig.log.framesOut).toBe(0);
  expect(rig.states.map(([, state]) => state)).toEqual(['created', 'restoring', 'running', 'suspended', 'closed']);
});

test('one span passes the ten steps in order; records are processed while its commit is in flight; its offsets exclude them', async () => {
  const rig = startRig();
  const held = createHold();
  let holding = false;
  rig.log.gate = {
    before: async (call) => {
      if (call.kind !== 'end' || holding) return;
      holding = true;
      await held.hold;
    },
  };
  rig.log.produce('in', 0, lines(10));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => holding);
  rig.log.produce('in', 0, lines(5, 10));
  await until(() => rig.steps.some(({ step, detail }) => step === 4 && (detail as { whileClosing?: number }).whileClosing === 1));
  expect(inputAt(rig)).toBeUndefined();
  held.open();
  await until(() => inputAt(rig) === 15);

  const first = rig.steps.filter(({ span, step }) => span === 1 && step >= 6).map(({ step }) => step);
  expect(first).toEqual([6, 7, 8, 9, 10]);
  const fills = rig.steps.findIndex(({ step, span }) => step === 4 && span === 1);
  const fetched = rig.steps.findIndex(({ step }) => step === 1);
  const closed = rig.steps.findIndex(({ step, span }) => step === 6 && span === 1);
  expect(fetched).toBeLessThan(fills);
  expect(fills).toBeLessThan(closed);
  const offsets = rig.log.calls.flatMap((call) => (call.kind === 'sendOffsets' ? call.offsets.map(({ offset }) => offset) : []));
  expect(offsets).toEqual([10, 15]);
  await rig.worker.stop(10_000);
});

test('what the broker has committed is on disk after settleNow, also when its answer is still on the way', async () => {
  const disk = new Disk();
  const rig = startRig({ disk, timing: { settleIntervalMs: 60_000 } });
  const held = createHold();
  rig.log.gate = { after: (call) => (call.kind === 'end' ? held.hold : undefined) };
  rig.log.produce('in', 0, lines(6));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 6);
  const settled = rig.worker.settleNow();
  held.open();
  await settled;
  expect(await counts(disk)).toEqual({ a: 2, b: 2, c: 2 });
  await rig.worker.stop(10_000);
});

test('input is taken again when what the disk refused was dropped after a lost answer', async () => {
  let refusing = false;
  let refusals = 0;
  class RefusingDisk extends Disk {
    override async of(taskId: string) {
      const database = await super.of(taskId);
      return Object.assign(Object.create(database) as typeof database, {
        store: (name: string) => database.store(name),
        write(batch: Parameters<typeof database.write>[0]) {
          if (!refusing) return database.write(batch);
          refusals++;
          throw new MillraceError('ERR_STORE_IO', 'the disk is full');
        },
        detach: () => {},
      });
    }
  }
  const rig = startRig({ disk: new RefusingDisk() });
  const held = createHold();
  let ends = 0;
  rig.log.gate = {
    after: async (call) => {
      if (call.kind !== 'end') return;
      ends++;
      if (ends === 1) await held.hold;
      if (ends !== 2) return;
      await until(() => refusals > 0);
      refusing = false;
      refuse('ERR_TRANSACTION_INDEFINITE');
    },
  };
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => ends === 1);
  refusing = true;
  rig.log.produce('in', 0, lines(3, 3));
  await until(() => rig.steps.some(({ step, detail }) => step === 4 && (detail as { whileClosing?: number }).whileClosing === 1));
  held.open();
  await until(() => ends === 2);
  rig.log.produce('in', 0, lines(3, 6));
  await until(() => inputAt(rig) === 9);
  await rig.worker.stop(10_000);
  expect(rig.log.visible('out').slice(-3)).toEqual(['a=3', 'b=3', 'c=3']);
});

test('a changelog whose tail an unclean leader change took away is noticed: the store is rebuilt from what is left, with the reason', async () => {
  const disk = new Disk();
  const log = createLog();
  const first = startRig({ disk, log });
  log.produce('in', 0, lines(9));
  await first.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => inputAt(first) === 9);
  await first.worker.stop(10_000);
  expect(await counts(disk)).toEqual({ a: 3, b: 3, c: 3 });

  const changelog = log.partition({ topic: CHANGELOG, partition: 0 });
  const { end } = changelog;
  changelog.loseTail(0);
  while (changelog.end < end + 2) log.produce(CHANGELOG, 0, [{ key: 'z', value: '\0\0\0\0\0\0\0\x07', at: 1 }]); // grown past the checkpoint again
  const warnings: object[] = [];
  const second = startRig({ disk, log, warn: (fields) => void warnings.push(fields) });
  await second.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => second.states.some(([, state]) => state === 'running'));
  await second.worker.stop(10_000);
  expect(await counts(disk)).toEqual({ z: 7 });
  expect(warnings).toContainEqual(expect.objectContaining({ store: 'counts', reason: 'lost tail' }));
});

test('a leader change that lost nothing costs no rebuild', async () => {
  const disk = new Disk();
  const log = createLog();
  const first = startRig({ disk, log });
  log.produce('in', 0, lines(9));
  await first.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => inputAt(first) === 9);
  const changelog = log.partition({ topic: CHANGELOG, partition: 0 });
  changelog.loseTail(changelog.end);
  log.produce('in', 0, lines(9, 9));
  await until(() => inputAt(first) === 18);
  await first.worker.stop(10_000);
  changelog.loseTail(changelog.end);
  const second = startRig({ disk, log });
  await second.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => second.states.some(([, state]) => state === 'running'));
  expect(second.restores.map(({ restored }) => restored)).toEqual(second.restores.map(() => 0));
  await second.worker.stop(10_000);
});

test('a store restored past the marker of a newer leader is not taken for one that lost its tail', async () => {
  const log = createLog();
  const first = startRig({ disk: new Disk(), log });
  log.produce('in', 0, lines(9));
  const held = createHold();
  let ends = 0;
  log.gate = { before: async (call) => void (call.kind === 'end' && ends++ === 0 && (await held.hold)) };
  await first.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => ends === 1);
  const changelog = log.partition({ topic: CHANGELOG, partition: 0 });
  changelog.loseTail(changelog.end); // nothing lost: the leader changes between the last record and the marker
  held.open();
  await until(() => inputAt(first) === 9);
  await first.worker.stop(10_000);

  const disk = new Disk();
  for (const rebuilt of [3, 0]) {
    const warnings: object[] = [];
    const rig = startRig({ disk, log, warn: (fields) => void warnings.push(fields) });
    await rig.worker.assign(assignmentOf(log, ['0_0']));
    await until(() => rig.states.some(([, state]) => state === 'running'));
    await rig.worker.stop(10_000);
    expect([rig.restores.at(-1)?.restored, warnings]).toEqual([rebuilt, []]);
  }
  expect(await counts(disk)).toEqual({ a: 3, b: 3, c: 3 });
});

test('a worker tells of every buffer with its bound', async () => {
  const rig = startRig();
  rig.log.produce('in', 0, lines(30));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 30);
  await until(() => rig.buffers.some(({ buffer, held }) => buffer === 'cached' && held > 0));
  expect(rig.buffers.map(({ buffer }) => buffer)).toEqual(['fetched', 'output', 'staged', 'cached', 'restore', 'idle-frames', 'idle-batches']);
  for (const { held, max } of rig.buffers) expect(held).toBeLessThanOrEqual(max);
  await rig.worker.stop(10_000);
});

test('a worker whose commits go on failing ends after taskTimeout with the last reason', async () => {
  const rig = startRig({ timing: { taskTimeoutMs: 100 } });
  rig.log.gate = { before: (call) => (call.kind === 'sendOffsets' ? refuse('ERR_TRANSACTION_ABORTABLE') : undefined) };
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  const error = await rig.ended();
  expect(error).toMatchObject({ code: 'ERR_TIMEOUT', cause: { code: 'ERR_TRANSACTION_ABORTABLE' } });
  expect(error?.message).toContain('could commit nothing for 100 ms');
  expect(rig.steps.filter(({ step }) => step === 8).length).toBeGreaterThan(1);
  expect(rig.log.visible('out')).toEqual([]);
});

test('under exactly-once batches of the open span wait while another is closing; under at-least-once they leave', async () => {
  for (const guarantee of ['exactly-once', 'at-least-once'] as const) {
    const rig = startRig({ guarantee });
    const held = createHold();
    let holding = false;
    rig.log.gate = {
      before: async (call) => {
        if ((call.kind !== 'sendOffsets' && call.kind !== 'commitOffsets') || holding) return;
        holding = true;
        await held.hold;
      },
    };
    rig.log.produce('in', 0, lines(3));
    await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
    await until(() => holding);
    rig.log.produce('in', 0, lines(3, 3));
    await until(() => rig.steps.some(({ step, detail }) => step === 4 && (detail as { whileClosing?: number }).whileClosing === 1));
    await until(() => rig.log.rows('out').length === (guarantee === 'at-least-once' ? 6 : 3));
    held.open();
    await until(() => inputAt(rig) === 6);
    expect(rig.log.visible('out')).toHaveLength(6);
    await rig.worker.stop(10_000);
  }
});

test('a worker restarted on its disk goes on where it was, and counts nothing twice', async () => {
  const disk = new Disk();
  const log = createLog();
  log.produce('in', 0, lines(9));
  const first = startRig({ disk, log });
  await first.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => inputAt(first) === 9);
  await first.worker.stop(10_000);
  log.produce('in', 0, lines(3, 9));
  const second = startRig({ disk, log });
  await second.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => inputAt(second) === 12);
  await second.worker.stop(10_000);
  expect(log.visible('out').slice(-3)).toEqual(['a=4', 'b=4', 'c=4']);
});

test('a worker without the disk of the last one restores everything from the changelog', async () => {
  const log = createLog();
  log.produce('in', 0, lines(9));
  const first = startRig({ log });
  await first.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => inputAt(first) === 9);
  await first.worker.stop(10_000);
  const second = startRig({ log });
  await second.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => second.states.some(([, state]) => state === 'running'));
  expect(second.restores.at(-1)).toMatchObject({ store: 'counts', restored: 3, remaining: 0 });
  log.produce('in', 0, lines(3, 9));
  await until(() => inputAt(second) === 12);
  expect(log.visible('out').slice(-3)).toEqual(['a=4', 'b=4', 'c=4']);
  await second.worker.stop(10_000);
});

test('a record whose callback fails ends the worker; its span leaves no trace, the closing one is committed', async () => {
  const rig = startRig();
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 3);
  rig.log.produce('in', 0, [...lines(1, 3), { key: 'b', value: 'boom', at: 2000 }]);
  const error = await rig.ended();
  expect(error?.code).toBe('ERR_TASK_FAILED');
  expect(error?.where).toMatchObject({ node: 'count', topic: 'in', partition: 0, offset: 4 });
  expect(rig.failures[0]).toMatchObject({ stage: 'process', node: 'count', deliveries: 1 });
  expect(inputAt(rig)).toBe(3);
  expect(rig.log.visible('out')).toEqual(['a=1', 'b=1', 'c=1']);
});

test("onError 'skip' ends only the branch of the record that failed", async () => {
  const rig = startRig({ topology: countTopology({ onError: 'skip' }) });
  rig.log.produce('in', 0, [...lines(1), { key: 'b', value: 'boom', at: 2000 }, ...lines(1, 3)]);
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 3);
  expect(rig.log.visible('out')).toEqual(['a=1', 'a=2']);
  await rig.worker.stop(10_000);
});

test('a tombstone where the serde has no null goes to the decode policy; skip passes its offset', async () => {
  const rig = startRig({ errors: { decode: 'skip' } });
  rig.log.produce('in', 0, [{ key: 'a', value: null, at: 1 }]);
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 1);
  expect(rig.failures[0]).toMatchObject({ stage: 'decode', node: 'lines' });
  expect(rig.log.rows('out')).toHaveLength(0);
  await rig.worker.stop(10_000);
});

// ---- the failure table ------------------------------------------------------------------------------------------------

/** Lets the first call of `kind` fail, before it takes effect or after. */
async function failOnce(
  kind: 'sendOffsets' | 'end' | 'send' | 'commitOffsets',
  code: Parameters<typeof refuse>[0],
  when: 'before' | 'after',
  guarantee: 'exactly-once' | 'at-least-once' = 'exactly-once',
) {
  const disk = new Disk();
  const rig = startRig({ guarantee, disk });
  let left = 1;
  rig.log.gate = {
    [when]: (call: { kind: string }) => {
      if (call.kind === kind && left-- > 0) refuse(code);
    },
  };
  rig.log.produce('in', 0, lines(30));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 30);
  rig.log.produce('in', 0, lines(3, 30));
  await until(() => inputAt(rig) === 33);
  await rig.worker.stop(10_000);
  return { rig, counts: await counts(disk) };
}
const EXACT = Array.from({ length: 11 }, (_, index) => ['a', 'b', 'c'].map((key) => `${key}=${index + 1}`)).flat();

test.each([
  ['a batch refused', 'send', 'ERR_TRANSACTION_ABORTABLE', 'before'],
  ['a batch fenced', 'send', 'ERR_PRODUCER_FENCED', 'before'],
  ['offsets refused as abortable', 'sendOffsets', 'ERR_TRANSACTION_ABORTABLE', 'before'],
  ['offsets fenced', 'sendOffsets', 'ERR_PRODUCER_FENCED', 'before'],
  ['no answer to the offsets', 'sendOffsets', 'ERR_TRANSACTION_INDEFINITE', 'after'],
  ['EndTxn not applied and no answer', 'end', 'ERR_TRANSACTION_INDEFINITE', 'before'],
  ['EndTxn applied and no answer', 'end', 'ERR_TRANSACTION_INDEFINITE', 'after'],
  ['EndTxn timed out', 'end', 'ERR_TIMEOUT', 'after'],
] as const)('exactly-once: %s: dropped, done again, every count once', async (_name, kind, code, when) => {
  const { rig, counts: rows } = await failOnce(kind, code, when);
  expect(rig.log.visible('out')).toEqual(EXACT);
  expect(rows).toEqual({ a: 11, b: 11, c: 11 });
  const last = new Map(rig.log.rows(CHANGELOG).flatMap(({ key, value, visible }) => (visible ? [[key, Number(Buffer.from(value ?? '', 'utf8').at(-1))]] : [])));
  expect([...last.values()]).toEqual([11, 11, 11]);
  expect(rig.log.framesOut).toBe(0);
});

test.each(['ERR_TIMEOUT', 'ERR_CONNECTION', 'ERR_RETRIABLE'] as const)('at-least-once: an offset commit answered with %s is sent again', async (code) => {
  const { rig, counts: rows } = await failOnce('commitOffsets', code, 'after', 'at-least-once');
  expect(rig.log.calls.filter(({ kind }) => kind === 'initialise')).toHaveLength(1);
  expect(rows).toEqual({ a: 11, b: 11, c: 11 });
});

test('at-least-once: positions are committed again after a commit without an answer, should it be carried out late', async () => {
  const rig = startRig({ guarantee: 'at-least-once' });
  let late: (() => Promise<void>) | undefined;
  rig.log.gate = {
    before: (call) => {
      if (call.kind !== 'commitOffsets' || late !== undefined) return;
      const { group, offsets } = call;
      late = () => rig.log.createAdmin().commitOffsets(group, offsets);
      refuse('ERR_TIMEOUT');
    },
  };
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 3);
  rig.log.produce('in', 0, lines(3, 3));
  await until(() => inputAt(rig) === 6);
  await late?.();
  expect(inputAt(rig)).toBe(3);
  await until(() => inputAt(rig) === 6);
  expect(rig.log.rows('out')).toHaveLength(6);
  await rig.worker.stop(10_000);
});

test('offsets refused because the generation turned go out again under the new one, in the same transaction', async () => {
  const rig = startRig();
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0'], 1));
  await until(() => inputAt(rig) === 3);
  rig.log.generation = 2;
  rig.log.produce('in', 0, lines(3, 3));
  await until(() => rig.points.includes('offsets-refused'));
  expect(inputAt(rig)).toBe(3);
  await rig.worker.assign(assignmentOf(rig.log, ['0_0'], 2));
  await until(() => inputAt(rig) === 6);
  expect(rig.log.calls.some((call) => call.kind === 'end' && !call.commit)).toBe(false);
  expect(rig.log.visible('out')).toHaveLength(6);
  await rig.worker.stop(10_000);
});

test('offsets refused by a turned generation are aborted when the task has gone to somebody else meanwhile', async () => {
  const rig = startRig({ partitions: 2 });
  rig.log.produce('in', 0, lines(3));
  rig.log.produce('in', 1, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0', '0_1'], 1));
  await until(() => inputAt(rig, 0) === 3 && inputAt(rig, 1) === 3);
  rig.log.generation = 3;
  rig.log.produce('in', 1, lines(3, 3));
  await until(() => rig.points.includes('offsets-refused'));
  // Generation 2 took 0_1 away; the worker slept, the group went on without its answer.
  const released = rig.worker.assign(assignmentOf(rig.log, ['0_0'], 2));
  const kept = rig.worker.assign(assignmentOf(rig.log, ['0_0'], 3));
  await Promise.all([released, kept]);
  expect(inputAt(rig, 1)).toBe(3);
  expect(rig.log.calls.some((call) => call.kind === 'end' && !call.commit)).toBe(true);
  rig.log.produce('in', 0, lines(3, 3));
  await until(() => inputAt(rig, 0) === 6);
  await rig.worker.stop(10_000);
});

test('membership lost at the commit: everything is dropped, and a new assignment starts over', async () => {
  const rig = startRig();
  let left = 1;
  rig.log.gate = {
    before: (call) => {
      if (call.kind === 'sendOffsets' && left-- > 0) refuse('ERR_MEMBERSHIP_LOST');
    },
  };
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => rig.lost !== undefined);
  expect(rig.states.at(-1)).toEqual(['0_0', 'closed']);
  await rig.worker.assign(assignmentOf(rig.log, ['0_0'], 1, 'another'));
  await until(() => inputAt(rig) === 3);
  expect(rig.log.visible('out')).toEqual(['a=1', 'b=1', 'c=1']);
  await rig.worker.stop(10_000);
});

test('a commit that is refused for its generation while no newer one comes is given up in time, and all of it is done again', async () => {
  const rig = startRig({ timing: { transactionTimeoutMs: 50 } });
  let left = 1;
  rig.log.gate = {
    before: (call) => {
      if (call.kind === 'sendOffsets' && left-- > 0) refuse('ERR_GENERATION');
    },
  };
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 3);
  expect(rig.points).toContain('dropped');
  expect(rig.log.visible('out')).toEqual(['a=1', 'b=1', 'c=1']);
  await rig.worker.stop(10_000);
});

test('lost drops without a commit', async () => {
  const rig = startRig({ timing: { commitIntervalMs: 60_000 } });
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => rig.steps.some(({ step }) => step === 4));
  await rig.worker.lost();
  expect(rig.states.at(-1)).toEqual(['0_0', 'closed']);
  expect(inputAt(rig)).toBeUndefined();
  expect(rig.log.visible('out')).toEqual([]);
  await rig.worker.stop(10_000);
});

/** A worker with a span on its way: what it sends is held. */
async function untilSending() {
  const rig = startRig();
  const held = createHold();
  let holding = false;
  rig.log.gate = {
    before: async (call) => {
      if (call.kind !== 'send') return;
      holding = true;
      await held.hold;
    },
  };
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => holding);
  return { rig, held };
}

test('lost while its last commit waits for acknowledgements: it stops, and nothing is committed', async () => {
  const { rig, held } = await untilSending();
  const stopped = rig.worker.stop(10_000);
  const lost = rig.worker.lost();
  held.open();
  await Promise.all([stopped, lost]);
  expect(inputAt(rig)).toBeUndefined();
  expect(rig.log.visible('out')).toEqual([]);
  expect(rig.log.calls.filter(({ kind }) => kind === 'sendOffsets')).toEqual([]);
});

test('what was done as one member is not committed as another, also when nobody told of the loss', async () => {
  const { rig, held } = await untilSending();
  const refused = rig.worker.assign(assignmentOf(rig.log, ['0_0'], 3, 'another')).catch((error: MillraceError) => error.code);
  held.open();
  expect((await rig.ended())?.code).toBe('ERR_MEMBERSHIP_LOST');
  expect(await refused).toBe('ERR_MEMBERSHIP_LOST');
  const members = rig.log.calls.flatMap((call) => (call.kind === 'sendOffsets' ? [call.group.memberId] : []));
  expect(members).not.toContain('another');
});

test('a fetch that failed for a moment is tried again; one that cannot pass ends the worker', async () => {
  const rig = startRig();
  rig.log.fetchFailures.set('in-0', new MillraceError('ERR_CONNECTION', 'nobody answers'));
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 3);
  rig.log.fetchFailures.set('in-0', new MillraceError('ERR_AUTHORIZATION', 'no right to read'));
  rig.log.changed();
  expect((await rig.ended())?.code).toBe('ERR_AUTHORIZATION');
});

test('a store that turns out corrupt is rebuilt from its changelog, and nothing is counted twice', async () => {
  let corrupt = 7;
  const disk = new Disk();
  const rig = startRig({
    disk,
    topology: countTopology({
      during: () => {
        if (--corrupt === 0) throw new MillraceError('ERR_STORE_CORRUPT', 'a block does not match its checksum');
      },
    }),
  });
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 3);
  rig.log.produce('in', 0, lines(6, 3));
  await until(() => inputAt(rig) === 9);
  await rig.worker.stop(10_000);
  expect(await rig.ended()).toBeUndefined();
  expect(rig.log.visible('out')).toEqual(EXACT.slice(0, 9));
  expect(await counts(disk)).toEqual({ a: 3, b: 3, c: 3 });
  expect(rig.restores.some(({ restored }) => restored === 3)).toBe(true);
});

/** Counts in two stores; `damage` is asked before each record. */
function twoStores(damage: () => void) {
  const graph = new GraphBuilder();
  const text = serde.string() as never;
  const source = { key: text, value: text, nullValues: 'serde', timestamp: 'record', onInvalidTimestamp: 'fail', startFrom: 'earliest' } as const;
  graph.addSource({ name: 'lines', topics: [{ name: 'in', internal: false }], ...source, onError: undefined });
  for (const name of ['counts', 'seen'])
    graph.addStore({ kind: 'keyValue', name, key: text, value: serde.safeInt() as never, changelog: { config: {} }, queryable: true });
  graph.addProcessor({
    name: 'count',
    parents: ['lines'],
    stores: ['counts', 'seen'],
    create: (context) => ({
      process(key) {
        damage();
        for (const name of ['counts', 'seen']) {
          const store = context.store(name) as KeyValueStore<string, number>;
          store.put(key as string, (store.get(key as string) ?? 0) + 1);
        }
      },
    }),
  });
  return graph.build('two-stores');
}

test.each([
  ['a store that says of itself that it is corrupt is rebuilt alone: the others of its task are as they were', { store: 'counts' }, { counts: 3, seen: 0 }],
  ['where nobody knows which store it was, all of the task are rebuilt', {}, { counts: 3, seen: 3 }],
])('%s', async (_what, where, restored) => {
  let corrupt = 7;
  const disk = new Disk();
  await disk.of('0_0', ['counts', 'seen']);
  const log = createLog();
  log.createTopic('app-seen-changelog', 1);
  const rig = startRig({
    disk,
    log,
    topology: twoStores(() => {
      if (--corrupt === 0) throw new MillraceError('ERR_STORE_CORRUPT', 'a row is too short', where);
    }),
  });
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 3);
  const before = rig.restores.length;
  rig.log.produce('in', 0, lines(6, 3));
  await until(() => inputAt(rig) === 9);
  await rig.worker.stop(10_000);
  expect(await rig.ended()).toBeUndefined();
  const most = (store: string) => Math.max(...rig.restores.slice(before).flatMap((one) => (one.store === store ? [one.restored] : [])));
  expect({ counts: most('counts'), seen: most('seen') }).toEqual(restored);
  expect(await counts(disk)).toEqual({ a: 3, b: 3, c: 3 });
});

test('drops are counted and told, at the latest when the worker stops', async () => {
  const rig = startRig({ topology: countTopology({ onError: 'skip' }) });
  rig.log.produce('in', 0, [
    { key: 'a', value: 'boom', at: 1 },
    { key: 'a', value: 'boom', at: 2 },
  ]);
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 2);
  await rig.worker.stop(10_000);
  expect(rig.drops.reduce((sum, [node, reason, count]) => (node === 'count' && reason === 'skipped' ? sum + count : sum), 0)).toBe(2);
});

// ---- revocation -------------------------------------------------------------------------------------------------------

test('revocation is a barrier: what left is committed, settled and closed before the answer; kept tasks go on', async () => {
  const disk = new Disk();
  const rig = startRig({ partitions: 2, disk, timing: { commitIntervalMs: 60_000, settleIntervalMs: 60_000 } });
  rig.log.produce('in', 0, lines(3));
  rig.log.produce('in', 1, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0', '0_1']));
  await until(() => rig.steps.reduce((sum, { step, detail }) => sum + (step === 4 ? (detail as { records: number }).records : 0), 0) === 6);
  const held = createHold();
  rig.log.gate = { before: (call) => (call.kind === 'end' ? held.hold : undefined) };
  let answered = false;
  const revoked = rig.worker.assign(assignmentOf(rig.log, ['0_0'])).then(() => {
    answered = true;
  });
  await until(() => rig.points.includes('before-end'));
  rig.log.produce('in', 0, lines(3, 3));
  await until(() => rig.steps.some(({ step, detail }) => step === 4 && (detail as { whileClosing?: number }).whileClosing !== undefined));
  expect(answered).toBe(false);
  held.open();
  await revoked;
  expect(inputAt(rig, 1)).toBe(3);
  expect(await counts(disk, '0_1')).toEqual({ a: 1, b: 1, c: 1 });
  expect(rig.states.filter(([task]) => task === '0_1').at(-1)).toEqual(['0_1', 'closed']);
  rig.log.produce('in', 1, lines(3, 3));
  await rig.worker.stop(10_000);
  expect(inputAt(rig, 0)).toBe(6);
  expect(inputAt(rig, 1)).toBe(3);
  expect(rig.log.framesOut).toBe(0);
});

test('a task that is taken away before its turn to be opened came is not opened at all: its database may be closed by then', async () => {
  const held = createHold();
  const asked: string[] = [];
  class SlowDisk extends Disk {
    override async of(taskId: string, stores?: readonly string[]): ReturnType<Disk['of']> {
      asked.push(taskId);
      await held.hold;
      return super.of(taskId, stores);
    }
  }
  const rig = startRig({ partitions: 2, disk: new SlowDisk() });
  await rig.worker.assign(assignmentOf(rig.log, ['0_0', '0_1']));
  await until(() => asked.length === 1);
  await rig.worker.assign(assignmentOf(rig.log, ['0_0'], 2));
  held.open();
  await until(() => rig.states.some(([, state]) => state === 'running'));
  expect(asked).not.toContain('0_1');
  await rig.worker.stop(10_000);
});

test('a task that is taken away while its log ends are asked for is left alone: its database is closed', async () => {
  const closed: string[] = [];
  class ClosingDisk extends Disk {
    override async of(taskId: string, stores?: readonly string[]): ReturnType<Disk['of']> {
      return new Proxy(await super.of(taskId, stores), {
        get(database, name) {
          if (name === 'detach') return () => void closed.push(taskId);
          if (name === 'store' && closed.includes(taskId)) throw new MillraceError('ERR_STORE_CLOSED', `${taskId} has been closed`);
          const value: unknown = Reflect.get(database, name);
          return typeof value === 'function' ? value.bind(database) : value;
        },
      });
    }
  }
  const rig = startRig({ partitions: 2, disk: new ClosingDisk() });
  const held = createHold();
  const asked: string[] = [];
  rig.log.gate = {
    before: ({ kind }) => {
      if (kind !== 'listOffsets') return undefined;
      asked.push(kind);
      return held.hold;
    },
  };
  await rig.worker.assign(assignmentOf(rig.log, ['0_0', '0_1']));
  await until(() => asked.length > 0);
  await rig.worker.assign(assignmentOf(rig.log, ['0_0'], 2));
  expect(closed).toEqual(['0_1']);
  held.open();
  await until(() => rig.states.some(([, state]) => state === 'running'));
  await rig.worker.stop(10_000);
  expect(await rig.ended()).toBeUndefined();
});

test('transactional ids of vanished members are initialised before committed offsets are fetched, and those before log ends', async () => {
  const rig = startRig();
  await rig.worker.assign({ ...assignmentOf(rig.log, ['0_0']), fence: ['app-gone-0'] });
  await until(() => rig.states.some(([, state]) => state === 'running'));
  const kinds = rig.log.calls.map(({ kind }) => kind).filter((kind) => ['initialise', 'fence', 'committedOffsets', 'listOffsets'].includes(kind));
  expect(kinds.slice(0, 3)).toEqual(['initialise', 'fence', 'committedOffsets']);
  expect(new Set(kinds.slice(3))).toEqual(new Set(['listOffsets']));
  await rig.worker.stop(10_000);
});

// ---- restore ----------------------------------------------------------------------------------------------------------

/** A changelog row as the counting store writes it. */
const row = (key: string, count: number) => ({ key, value: `\0\0\0\0\0\0\0${String.fromCharCode(count)}`, at: 5 });
const committedInput = (rig: { log: ReturnType<typeof createLog> }, offset: number) => rig.log.committed.set('in-0', { offset: offset as never, metadata: '' });

async function startsWith(log: ReturnType<typeof createLog>, disk = new Disk()) {
  const rig = startRig({ log, disk });
  await rig.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => rig.states.some(([, state]) => state === 'running'));
  await rig.worker.stop(10_000);
  expect(await rig.ended()).toBeUndefined();
  return { rig, rows: await counts(disk) };
}

test('restore ends at an empty changelog', async () => {
  expect((await startsWith(createLog())).rows).toEqual({});
});

test('restore ends where the last offset is a marker', async () => {
  const log = createLog();
  log.produce(CHANGELOG, 0, [row('a', 4)]);
  log.marker(CHANGELOG, 0);
  committedInput({ log }, 0);
  expect((await startsWith(log)).rows).toEqual({ a: 4 });
});

test('restore ends in a changelog of markers only, and of aborted records only', async () => {
  const log = createLog();
  const other = log.createProducer('other');
  await other.initialise();
  other.begin();
  log.marker(CHANGELOG, 0);
  await other.end(false);
  expect((await startsWith(log)).rows).toEqual({});
});

test('restore begins where the first offset is not 0', async () => {
  const log = createLog();
  log.produce(CHANGELOG, 0, [row('a', 1), row('a', 2)]);
  log.produce(CHANGELOG, 0, [row('b', 3)]);
  log.truncate(CHANGELOG, 0, 2);
  committedInput({ log }, 0);
  expect((await startsWith(log)).rows).toEqual({ b: 3 });
});

test('a store that is level is not read again', async () => {
  const log = createLog();
  const disk = new Disk();
  log.produce(CHANGELOG, 0, [row('a', 1)]);
  committedInput({ log }, 0);
  await startsWith(log, disk);
  const { rig, rows } = await startsWith(log, disk);
  expect(rows).toEqual({ a: 1 });
  expect(rig.restores.map(({ restored }) => restored)).toEqual(rig.restores.map(() => 0));
});

test('a checkpoint behind the log replays the gap only', async () => {
  const log = createLog();
  const disk = new Disk();
  log.produce(CHANGELOG, 0, [row('a', 1), row('b', 1)]);
  committedInput({ log }, 0);
  await startsWith(log, disk);
  log.produce(CHANGELOG, 0, [row('b', 2)]);
  const { rig, rows } = await startsWith(log, disk);
  expect(rows).toEqual({ a: 1, b: 2 });
  expect(rig.restores.at(-1)).toMatchObject({ restored: 1, remaining: 0 });
});

test('a checkpoint beyond the log end, or before its start, or of another topic: the store is rebuilt', async () => {
  const disk = new Disk();
  const long = createLog();
  long.produce(CHANGELOG, 0, [row('a', 1), row('b', 1), row('c', 1)]);
  committedInput({ log: long }, 0);
  await startsWith(long, disk);

  const shorter = createLog();
  shorter.produce(CHANGELOG, 0, [row('z', 7)]);
  committedInput({ log: shorter }, 0);
  expect((await startsWith(shorter, disk)).rows).toEqual({ z: 7 });

  const truncated = createLog();
  truncated.produce(CHANGELOG, 0, [row('a', 1), row('q', 2)]);
  truncated.produce(CHANGELOG, 0, [row('q', 3)]);
  truncated.produce(CHANGELOG, 0, [row('r', 1)]);
  truncated.truncate(CHANGELOG, 0, 2);
  committedInput({ log: truncated }, 0);
  expect((await startsWith(truncated, disk)).rows).toEqual({ q: 3, r: 1 });
});

test('changelog data without committed offsets is refused under exactly-once: they have expired', async () => {
  const log = createLog();
  log.produce(CHANGELOG, 0, [row('a', 1)]);
  const rig = startRig({ log });
  await rig.worker.assign(assignmentOf(log, ['0_0']));
  expect((await rig.ended())?.code).toBe('ERR_OFFSETS_EXPIRED');
});

test('a store without a changelog keeps what was committed when a later span is dropped: nothing else has it', async () => {
  const disk = new Disk();
  const rig = startRig({ disk, topology: countTopology({ changelog: false }), timing: { settleIntervalMs: 60_000 } });
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 3 && rig.commits.length === 1);
  let refused = false;
  rig.log.gate = {
    before: (call) => {
      if (call.kind !== 'sendOffsets' || refused) return;
      refused = true;
      refuse('ERR_TRANSACTION_ABORTABLE');
    },
  };
  rig.log.produce('in', 0, lines(3, 3));
  await until(() => inputAt(rig) === 6);
  await rig.worker.stop(10_000);
  expect(rig.log.visible('out')).toEqual(['a=1', 'b=1', 'c=1', 'a=2', 'b=2', 'c=2']);
  expect(await counts(disk)).toEqual({ a: 2, b: 2, c: 2 });
});

test('the checkpoint of a worker without any input is kept fresh: after a day of quiet and a crash its stores are not rebuilt', async () => {
  const disk = new Disk();
  const rig = startRig({ disk });
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  const database = await disk.of('0_0');
  const levelAt = () => (readCheckpoint(database, 'counts') as Checkpoint | undefined)?.levelAtMs ?? 0;
  await until(() => inputAt(rig) === 3 && rig.points.includes('after-settle'));
  const later = Date.now() + 11 * 60_000;
  const clock = vi.spyOn(Date, 'now').mockReturnValue(later);
  try {
    await until(() => levelAt() === later);
  } finally {
    clock.mockRestore();
  }
  await rig.worker.stop(10_000);
});

test('an iterator ends with the callback that opened it: a record, a timer', async () => {
  const opened: { readonly rows: { next(): IteratorResult<unknown> }; readonly by: string }[] = [];
  const seen: string[] = [];
  let scheduled = false;
  const rig = startRig({
    topology: countTopology({
      during(context, value) {
        const store = context.store('counts') as KeyValueStore<string, number>;
        const open = (by: string): void => {
          for (const { rows, by: opener } of opened.splice(0)) if (rows.next().done !== true) seen.push(`${by} reads on where ${opener} had begun`);
          opened.push({ rows: store.range(), by });
        };
        open(value);
        if (scheduled) return;
        scheduled = true;
        context.schedule(1, 'wallClock', () => open('timer'));
      },
    }),
  });
  rig.log.produce('in', 0, lines(30));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 30);
  rig.log.produce('in', 0, lines(3, 30));
  await until(() => inputAt(rig) === 33);
  await rig.worker.stop(10_000);
  expect(seen).toEqual([]);
});

test('records that were fetched are processed, also when retention overtakes the position behind them', async () => {
  const rig = startRig({
    topology: countTopology({
      during(_context, value) {
        const until = performance.now() + 1; // several turns for one fetch
        while (performance.now() < until);
        if (value !== 'v5') return;
        rig.log.produce('in', 0, lines(10, 60));
        rig.log.truncate('in', 0, 65);
      },
    }),
  });
  rig.log.produce('in', 0, lines(60));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await until(() => inputAt(rig) === 70);
  await rig.worker.stop(10_000);
  expect(rig.log.visible('out')).toHaveLength(65);
});

function windowed(retentionMs: number) {
  const graph = new GraphBuilder();
  const lineSource = countTopology().nodes.get('lines') as SourceNode;
  graph.addSource({ ...lineSource });
  graph.addStore({
    kind: 'window',
    name: 'counts',
    key: serde.string() as never,
    value: serde.safeInt() as never,
    windowSizeMs: 1000,
    retentionMs,
    duplicates: false,
    changelog: { config: {} },
    queryable: true,
  } as never);
  graph.addProcessor({
    name: 'count',
    parents: ['lines'],
    stores: ['counts'],
    onError: undefined,
    create(context) {
      const store = context.store('counts') as WindowStore<string, number>;
      return {
        process(key) {
          const count = (store.get(key as string, 1000) ?? 0) + 1;
          store.put(key as string, count, 1000);
          context.forward(key, `${key as string}=${count}`);
        },
      };
    },
  });
  graph.addSink({
    name: 'results',
    parents: ['count'],
    topic: { name: 'out', internal: false },
    key: serde.string() as never,
    value: serde.string() as never,
  });
  return graph.build('windows');
}

test('a store whose retention has changed is rebuilt from its changelog: rows laid out for another one are not read', async () => {
  const disk = new Disk();
  const log = createLog();
  const first = startRig({ log, disk, topology: windowed(600_000) });
  log.produce('in', 0, lines(3));
  await first.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => inputAt(first) === 3);
  await first.worker.stop(10_000);
  const second = startRig({ log, disk, topology: windowed(6_000_000) });
  log.produce('in', 0, lines(3, 3));
  await second.worker.assign(assignmentOf(log, ['0_0']));
  await Promise.race([second.ended(), until(() => inputAt(second) === 6)]);
  await second.worker.stop(10_000);
  expect(await second.ended()).toBeUndefined();
  expect(log.visible('out')).toEqual(['a=1', 'b=1', 'c=1', 'a=2', 'b=2', 'c=2']);
});

test('a store that has become another kind while its changelog is the old one ends the worker with that reason, and what to do', async () => {
  const log = createLog();
  const first = startRig({ log });
  log.produce('in', 0, lines(3));
  await first.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => inputAt(first) === 3);
  await first.worker.stop(10_000);
  const second = startRig({ log, topology: windowed(600_000) });
  await second.worker.assign(assignmentOf(log, ['0_0']));
  expect(await second.ended()).toMatchObject({
    code: 'ERR_STORE_UNREADABLE',
    response: 'stop',
    message: expect.stringMatching(
      /app-counts-changelog-0 .* none of a window store: .* Most likely 'counts' was a store of another kind .* Give the store another name/,
    ),
    where: { store: 'counts' },
  });
});

test('a corrupt store without a changelog ends the worker: there is nothing to rebuild it from, and trying again would never end', async () => {
  let hits = 0;
  const rig = startRig({
    topology: countTopology({
      changelog: false,
      during: () => {
        hits += 1;
        throw new MillraceError('ERR_STORE_CORRUPT', 'a row is too short', { store: 'counts' });
      },
    }),
  });
  rig.log.produce('in', 0, lines(3));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await Promise.race([rig.ended(), until(() => hits > 20)]);
  const tries = hits;
  await rig.worker.stop(10_000);
  expect(await rig.ended()).toMatchObject({ code: 'ERR_STORE_CORRUPT' });
  expect(tries).toBe(1);
});

test('a value that a store cannot write is found at the close; the span is done again, and the error policy decides about its record', async () => {
  const disk = new Disk();
  const asked: unknown[] = [];
  const rig = startRig({
    disk,
    topology: countTopology({
      onError: (failure) => {
        asked.push([failure.stage, failure.source?.offset, String(failure.error)]);
        return 'skip';
      },
      during(context, value) {
        if (value === 'v1') (context.store('counts') as KeyValueStore<string, number>).put('half', 0.5);
      },
    }),
  });
  rig.log.produce('in', 0, lines(6));
  await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
  await Promise.race([rig.ended(), until(() => inputAt(rig) === 6)]);
  await rig.worker.stop(10_000);
  expect(await rig.ended()).toBeUndefined();
  expect(asked).toEqual([['process', 1, expect.stringContaining('store counts cannot write a value')]]);
  expect(rig.log.visible('out')).toEqual(['a=1', 'c=1', 'a=2', 'b=1', 'c=2']);
  expect(await counts(disk)).toEqual({ a: 2, b: 1, c: 2 });
});
