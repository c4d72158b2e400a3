// Every call that an instance makes on its state directory fails (fault row S5): once, or from there on until the disk is well again; with each of the
// errors that a disk, its mount or a process short of files gives. The instance goes on, or ends with an error that names the folder; nothing is
// lost or counted twice. (What happens below a store engine's own files is shown with real disks by torture.)
import { type Disk, MillraceError, memoryDisk, serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppRig } from './app-rig.ts';
import { virtualGround } from './virtual-ground.ts';

const ERRORS = {
  EIO: 'i/o error',
  EROFS: 'read-only file system',
  EMFILE: 'too many open files',
  ENOSPC: 'no space left on device',
  EACCES: 'permission denied',
};
const CALLS = ['open', 'exists', 'list', 'makeDirectory', 'remove', 'rename', 'syncDirectory', 'readWhole', 'replaceWhole', 'lock'] as const;

/** The calls so far, and which of them fail with what. */
const trouble = { calls: [] as string[], fails: (_call: number): boolean => false, error: 'EIO' as keyof typeof ERRORS };
function unwell(disk: Disk): Disk {
  const made = Object.fromEntries(
    CALLS.map((name) => [
      name,
      (...given: readonly never[]) => {
        trouble.calls.push(`${name} ${given[0]}`);
        // A path that cannot be looked at is, to Node, not there.
        if (name !== 'exists' && trouble.fails(trouble.calls.length - 1))
          throw Object.assign(new Error(`${trouble.error}: ${ERRORS[trouble.error]}, ${name} '${given[0]}'`), { code: trouble.error });
        return (disk[name] as (...all: readonly never[]) => unknown)(...given);
      },
    ]),
  );
  return { ...made, join: (...parts: string[]) => disk.join(...parts) } as unknown as Disk;
}

const ground = virtualGround(55);
const { run } = ground;
const disk = memoryDisk();
const rig = new AppRig({ ...ground, appPorts: { ...ground.appPorts, disk: unwell(disk) } });
const text = { key: serde.string(), value: serde.string() };
const flow = topology('unwell', (t) => {
  t.stream(topic('in', text))
    .groupByKey()
    .count({ store: store.keyValue('counts', { key: serde.string(), value: serde.safeInt() }), emit: 'onUpdate' })
    .toStream()
    .mapValues((count) => String(count), { value: serde.string() })
    .to(topic('out', text));
});
beforeAll(async () => {
  await run(rig.start(), 'the broker');
  await run(rig.createTopicsWith(1, { 'retention.ms': '-1' }, 'in', 'out'), 'the topics');
});
afterAll(() => run(rig.close(), 'the end of the broker'));

let sent = 0;
const send = () => run(rig.send('in', [{ key: 'k', value: 'v', timestamp: ++sent }]), 'an acknowledgement');

/** One instance from start to stop, with a record on its way; why it did not go on, if it did not. */
async function life(): Promise<unknown> {
  const app = rig.create(flow, { engine: 'memory', disk: 'state', tuning: { sessionTimeout: 1000, stateCleanupDelay: 100 } });
  let failure: unknown;
  try {
    await run(app.start(), 'the start');
    await run(app.waitFor('running'), 'the state running');
    await send();
    await run(app.drained(), 'the record');
    await ground.pass(300); // the cleaner looks
  } catch (error) {
    failure = app.failure ?? error;
  }
  await run(app.close(), 'the stop');
  return failure;
}

test('each call, each error, once and for good', async () => {
  expect(await life()).toBeUndefined();
  trouble.calls = [];
  expect(await life()).toBeUndefined();
  const count = trouble.calls.length;
  expect(new Set(trouble.calls.map((call) => call.split(' ')[0]))).toEqual(
    new Set(['makeDirectory', 'list', 'lock', 'exists', 'readWhole', 'replaceWhole', 'remove']),
  );
  const wrong: string[] = [];
  const ends = new Set<string>();
  for (const error of Object.keys(ERRORS) as (keyof typeof ERRORS)[]) {
    for (const lasts of [false, true]) {
      for (let failing = 0; failing < count; failing++) {
        trouble.calls = [];
        trouble.error = error;
        trouble.fails = (call) => (lasts ? call >= failing : call === failing);
        const failure = await life().catch((found: unknown) => found);
        const what = `${error} ${lasts ? 'from' : 'at'} ${trouble.calls[failing]}`;
        trouble.fails = () => false;
        if (failure === undefined) continue;
        if (!MillraceError.is(failure) || !failure.message.includes('state') || !failure.message.includes(ERRORS[error]))
          wrong.push(`${what}: ${String(failure)}`);
        else ends.add(failure.code);
      }
    }
  }
  expect(wrong).toEqual([]);
  expect([...ends]).toEqual(['ERR_STATE_DIR']);
  expect(await life()).toBeUndefined();
  expect((await run(rig.read('out'), 'what came out')).map(({ value }) => Number(value))).toEqual(Array.from({ length: sent }, (_, at) => at + 1));
}, 600_000);
