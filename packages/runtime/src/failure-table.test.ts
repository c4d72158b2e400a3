// design's failure table, row by row, each by name: what happens to a span, and that every count is there once whatever it was. The same by chance:
// worker-history.test.ts; with the real client and broker: test/end-to-end/error-codes.test.ts; with real processes: torture.
import { type ErrorCode, MillraceError } from '@millrace/core';
import { keyValueView } from '@millrace/state';
import { describe, expect, test } from 'vitest';
import type { MemoryLog } from './testing/memory-log.ts';
import { assignmentOf, countTopology, createLog, Disk, lines, type Rig, refuse, startRig, until } from './testing/worker-rig.ts';

const inputAt = (rig: Rig) => rig.log.committed.get('in-0')?.offset;
const STORE = countTopology().stores.get('counts');
const ALL = ['a=1', 'b=1', 'c=1', 'a=2', 'b=2', 'c=2'];

async function rowsOf(disk: Disk): Promise<readonly (readonly [string, number])[]> {
  const rows = [...keyValueView<string, number>(await disk.of('0_0'), STORE as never).range({})];
  return rows.map(({ key, value }) => [key, value] as const);
}
/** Everything fed so far is counted once, in the log and on the disk. */
async function expectAll(rig: Rig, disk: Disk): Promise<void> {
  rig.log.produce('in', 0, lines(3, 3));
  await until(() => inputAt(rig) === 6);
  await rig.worker.stop(10_000);
  expect(rig.log.visible('out')).toEqual(ALL);
  expect(await rowsOf(disk)).toEqual([
    ['a', 2],
    ['b', 2],
    ['c', 2],
  ]);
}
/** Another worker gets the task, under the next generation. */
async function takeOver(log: MemoryLog, disk: Disk): Promise<Rig> {
  log.generation = 2;
  const next = startRig({ log, disk });
  await next.worker.assign(assignmentOf(log, ['0_0'], 2, 'next'));
  await until(() => next.states.some(([, state]) => state === 'running'));
  return next;
}
const never = (): Promise<never> => new Promise(() => {});

describe('a crash', () => {
  test.each(['before', 'after'] as const)(
    '%s EndTxn is applied: the next worker finds it aborted or done, and replays what its disk has not seen',
    async (when) => {
      const disk = new Disk();
      const log = createLog();
      const dead = startRig({ log, disk });
      let reached = false;
      log.gate = {
        [when]: (call: { readonly kind: string }) => {
          if (call.kind !== 'end' || reached) return undefined;
          reached = true;
          return never(); // nothing of this process happens any more
        },
      };
      log.produce('in', 0, lines(3));
      await dead.worker.assign(assignmentOf(log, ['0_0']));
      await until(() => reached);
      expect(log.visible('out')).toEqual(when === 'before' ? [] : ALL.slice(0, 3));
      const next = await takeOver(log, disk);
      await until(() => inputAt(next) === 3);
      await expectAll(next, disk);
    },
  );
});

/** A disk that can be told to refuse writes. */
class FullDisk extends Disk {
  full = false;
  refusals = 0;
  readonly #filling = this;
  override async of(taskId: string) {
    const database = await super.of(taskId);
    const disk = this.#filling;
    return Object.assign(Object.create(database) as typeof database, {
      store: (name: string) => database.store(name),
      write(batch: Parameters<typeof database.write>[0]) {
        if (!disk.full) return database.write(batch);
        disk.refusals++;
        throw new MillraceError('ERR_STORE_IO', 'the disk is full');
      },
      detach: () => {},
    });
  }
}

describe('the settle fails', () => {
  test('it is tried again, no input is taken meanwhile, and then all goes on', async () => {
    const disk = new FullDisk();
    const rig = startRig({ disk });
    await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
    await until(() => rig.states.some(([, state]) => state === 'running'));
    disk.full = true;
    rig.log.produce('in', 0, lines(3));
    await until(() => disk.refusals > 0);
    expect(rig.log.visible('out')).toEqual(ALL.slice(0, 3)); // committed, not on disk
    rig.log.produce('in', 0, lines(3, 3));
    await until(() => disk.refusals > 1);
    expect(inputAt(rig)).toBe(3);
    disk.full = false;
    await until(() => inputAt(rig) === 6);
    await rig.worker.stop(10_000);
    expect(rig.log.visible('out')).toEqual(ALL);
  });

  test('for longer than taskTimeout: the worker ends with the reason, and whoever comes next has it all from the changelog', async () => {
    const disk = new FullDisk();
    const rig = startRig({ disk, timing: { taskTimeoutMs: 100 } });
    await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
    await until(() => rig.states.some(([, state]) => state === 'running'));
    disk.full = true;
    rig.log.produce('in', 0, lines(3));
    const why = await rig.ended();
    expect(why).toMatchObject({ code: 'ERR_STORE_IO', message: expect.stringContaining('the disk is full') });
    disk.full = false;
    await expectAll(await takeOver(rig.log, disk), disk);
  });
});

describe('a request is refused, or its answer never comes', () => {
  const refusals: readonly (readonly [kind: 'send' | 'sendOffsets' | 'end', when: 'before' | 'after', code: ErrorCode])[] = [
    ['send', 'before', 'ERR_TRANSACTION_ABORTABLE'], // [48], [120]
    ['sendOffsets', 'before', 'ERR_TRANSACTION_ABORTABLE'],
    ['end', 'before', 'ERR_TRANSACTION_ABORTABLE'],
    ['send', 'before', 'ERR_PRODUCER_FENCED'], // [47], [90], [49]
    ['sendOffsets', 'before', 'ERR_PRODUCER_FENCED'],
    ['end', 'before', 'ERR_PRODUCER_FENCED'],
    ['send', 'before', 'ERR_TRANSACTION_INDEFINITE'], // no answer to AddPartitions
    ['sendOffsets', 'before', 'ERR_TRANSACTION_INDEFINITE'], // none to AddOffsets, and it was not carried out
    ['sendOffsets', 'after', 'ERR_TRANSACTION_INDEFINITE'], // none to TxnOffsetCommit, though it was
    ['end', 'before', 'ERR_TRANSACTION_INDEFINITE'],
    ['end', 'after', 'ERR_TRANSACTION_INDEFINITE'],
    ['end', 'after', 'ERR_CONNECTION'],
  ];
  test.each(refusals)('%s, %s it is carried out: %s', async (kind, when, code) => {
    const disk = new Disk();
    const rig = startRig({ disk });
    let left = 1;
    rig.log.gate = {
      [when]: (call: { readonly kind: string }) => {
        if (call.kind === kind && left-- > 0) refuse(code);
      },
    };
    rig.log.produce('in', 0, lines(3));
    await rig.worker.assign(assignmentOf(rig.log, ['0_0']));
    await until(() => inputAt(rig) === 3);
    expect(left).toBeLessThan(1);
    expect(rig.points).toContain('dropped');
    await expectAll(rig, disk);
  });
});
