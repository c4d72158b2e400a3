import { silentLogger, virtualTime } from '@millrace/core';
import { expect, test } from 'vitest';
import { StateCleaner } from './state-cleaner.ts';

function rig(...stored: string[]) {
  const { clock, advance } = virtualTime();
  const removed: string[] = [];
  const directory = {
    storedTasks: () => stored.filter((task) => !removed.includes(task)),
    removeTask(task: string) {
      if (task === 'stuck') throw new Error('EBUSY');
      removed.push(task);
    },
  };
  return { cleaner: new StateCleaner({ directory, clock, log: silentLogger, delayMs: 1000 }), advance, removed };
}

test('state of a task that is elsewhere goes after the delay, counted from when it was first seen so', async () => {
  const { cleaner, advance, removed } = rig('0_0', '0_1');
  const isOurs = (task: string) => task === '0_0';
  cleaner.look(isOurs);
  await advance(999);
  cleaner.look(isOurs);
  expect(removed).toEqual([]);
  await advance(1);
  cleaner.look(isOurs);
  expect(removed).toEqual(['0_1']);
});

test('a task that comes back meanwhile keeps its state, and its time begins anew', async () => {
  const { cleaner, advance, removed } = rig('0_0');
  cleaner.look(() => false);
  await advance(900);
  cleaner.look(() => true);
  await advance(900);
  cleaner.look(() => false);
  await advance(900);
  cleaner.look(() => false);
  expect(removed).toEqual([]);
});

test('what cannot be removed is tried again after another delay', async () => {
  const { cleaner, advance, removed } = rig('stuck', '0_1');
  cleaner.look(() => false);
  await advance(1000);
  cleaner.look(() => false);
  expect(removed).toEqual(['0_1']);
});
