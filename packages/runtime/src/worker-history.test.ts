// Random histories of one group's worker over the log in memory: requests refused, answers lost, callbacks that fail, revocations, kills,
// fresh disks. Whatever happened, under exactly-once every count of every key appears once, in order, and a store equals the fold of its changelog.
import { seededChance } from '@millrace/core';
import { keyValueView } from '@millrace/state';
import { expect, test } from 'vitest';
import { assignmentOf, CHANGELOG, countTopology, createLog, Disk, type Rig, refuse, startRig, until } from './testing/worker-rig.ts';

const PARTITIONS = 2;
const KEYS = 5;
const STORE = countTopology().stores.get('counts');

const BEFORE = {
  send: ['ERR_TRANSACTION_ABORTABLE', 'ERR_PRODUCER_FENCED', 'ERR_TRANSACTION_INDEFINITE'],
  sendOffsets: ['ERR_TRANSACTION_ABORTABLE', 'ERR_PRODUCER_FENCED', 'ERR_TRANSACTION_INDEFINITE', 'ERR_MEMBERSHIP_LOST'],
  end: ['ERR_TRANSACTION_INDEFINITE', 'ERR_TIMEOUT', 'ERR_CONNECTION'],
  committedOffsets: ['ERR_RETRIABLE'],
  listOffsets: ['ERR_TIMEOUT'],
  initialise: ['ERR_RETRIABLE'],
} as const;
const AFTER = { sendOffsets: ['ERR_TRANSACTION_INDEFINITE'], end: ['ERR_TRANSACTION_INDEFINITE', 'ERR_CONNECTION'] } as const;

async function history(seed: number): Promise<void> {
  const chance = seededChance(seed);
  const log = createLog(PARTITIONS);
  const all = ['0_0', '0_1'];
  const written = new Map<string, number>();
  let produced = 0;
  let quiet = false;
  let failNext = 0;
  const topology = () =>
    countTopology({
      during: () => {
        if (!quiet && failNext > 0 && --failNext === 0) throw new Error('the callback fails');
      },
    });
  const pick = <T>(from: readonly T[]): T => from[chance.integer(from.length)] as T;
  log.gate = {
    before: async (call) => {
      if (chance.integer(4) === 0) await new Promise<void>((resolve) => setImmediate(resolve));
      const codes = BEFORE[call.kind as keyof typeof BEFORE];
      if (!quiet && codes !== undefined && chance.integer(12) === 0) refuse(pick(codes));
    },
    after: (call) => {
      const codes = AFTER[call.kind as keyof typeof AFTER];
      if (!quiet && codes !== undefined && chance.integer(15) === 0) refuse(pick(codes));
    },
  };
  const feed = (): void => {
    const partition = chance.integer(PARTITIONS);
    const rows = Array.from({ length: 1 + chance.integer(20) }, () => {
      const key = `k${partition}${chance.integer(KEYS)}`;
      written.set(key, (written.get(key) ?? 0) + 1);
      return { key, value: `v${produced++}`, at: 1000 + produced };
    });
    log.produce('in', partition, rows);
  };
  let disk = new Disk();
  let generation = 1;
  let member = 1;
  const begin = (): Rig =>
    startRig({
      log,
      disk,
      topology: topology(),
      timing: {
        commitIntervalMs: 1,
        settleIntervalMs: chance.integer(5),
        pollWaitMs: 2,
        stagedBytesMax: pick([2000, 1_000_000]),
        cacheBytesMax: pick([500, 1_000_000]),
      },
    });
  let rig = begin();
  const assign = (tasks: readonly string[]): void => {
    log.generation = ++generation;
    rig.worker.assign(assignmentOf(log, tasks, generation, `m${member}`)).catch(() => undefined);
  };
  assign(all);
  for (let move = 0; move < 40; move++) {
    feed();
    switch (chance.integer(10)) {
      case 0:
        assign(pick([['0_0'], ['0_1'], all, []]));
        break;
      case 1:
        await rig.worker.lost().catch(() => undefined);
        member += 1;
        assign(all);
        break;
      case 2:
        failNext = 1 + chance.integer(10);
        break;
      case 3: // stop, sometimes with another disk after it
        await rig.worker.stop(pick([0, 10_000]));
        await rig.ended();
        if (chance.integer(2) === 0) disk = new Disk();
        rig = begin();
        member += 1;
        assign(all);
        break;
      default:
        for (let turn = chance.integer(20); turn > 0; turn--) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    if (rig.lost !== undefined) {
      rig.lost = undefined;
      member += 1;
      assign(all);
    }
    const dead = await Promise.race([
      rig.running.then(
        () => true,
        () => true,
      ),
      Promise.resolve(false),
    ]);
    if (!dead) continue;
    rig = begin();
    member += 1;
    assign(all);
  }
  quiet = true;
  // Whatever state the last moves left: one worker with everything.
  await rig.worker.stop(10_000);
  await rig.ended();
  rig = begin();
  member += 1;
  assign(all);
  await until(() => all.every((task) => rig.states.some(([id, state]) => id === task && state === 'running')));
  const ends = [0, 1].map((partition) => log.rows('in', partition).length);
  await until(() => [0, 1].every((partition) => ends[partition] === 0 || log.committed.get(`in-${partition}`)?.offset === ends[partition]));
  await rig.worker.stop(10_000);
  expect(await rig.ended()).toBeUndefined();

  const seen = new Map<string, number[]>();
  for (const value of log.visible('out')) {
    const [key, count] = (value as string).split('=') as [string, string];
    seen.set(key, [...(seen.get(key) ?? []), Number(count)]);
  }
  for (const [key, count] of written) expect(seen.get(key), `seed ${seed}, key ${key}`).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  for (const task of all) {
    const rows = Object.fromEntries([...keyValueView<string, number>(await disk.of(task), STORE as never).range({})].map(({ key, value }) => [key, value]));
    const partition = Number(task.slice(2));
    expect(rows, `seed ${seed}, store of ${task}`).toEqual(Object.fromEntries([...written].filter(([key]) => key.startsWith(`k${partition}`)).sort()));
    const folded: Record<string, number> = {};
    for (const { key, value, visible } of log.rows(CHANGELOG, partition)) if (visible) folded[key as string] = value?.codePointAt(value.length - 1) ?? 0;
    for (const [key, count] of Object.entries(rows)) if (count < 128) expect(folded[key], `seed ${seed}, changelog of ${key}`).toBe(count);
  }
  expect(log.framesOut, `seed ${seed}: frames not released`).toBe(0);
}

const SEEDS = 40;
test.each(Array.from({ length: SEEDS }, (_, index) => index + 1))('history %i: every count once', history, 5_000);
