import { expect, test } from 'vitest';
import { assignmentOf, countTopology, createLog, Disk, lines, startRig, until } from '../testing/worker-rig.ts';
import { decodeOffsetMetadata } from './offset-metadata.ts';

test('what a node tells of its progress is committed with the input offsets, and the next life knows it', async () => {
  const log = createLog();
  const known: (number | undefined)[] = [];
  const topology = countTopology({
    during(context) {
      const before = context.progress('finals');
      known.push(before);
      context.setProgress('finals', (before ?? 100) + 1);
    },
  });
  const disk = new Disk();
  const first = startRig({ topology, log, disk });
  log.produce('in', 0, lines(3));
  await first.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => log.committed.get('in-0')?.offset === 3);
  await first.worker.stop(10_000);
  expect(known).toEqual([undefined, 101, 102]);
  expect(decodeOffsetMetadata(log.committed.get('in-0')?.metadata ?? '').processors).toEqual(new Map([['finals', 103]]));

  const second = startRig({ topology, log, disk });
  log.produce('in', 0, lines(1, 3));
  await second.worker.assign(assignmentOf(log, ['0_0']));
  await until(() => log.committed.get('in-0')?.offset === 4);
  await second.worker.stop(10_000);
  expect(known[3]).toBe(103);
});
