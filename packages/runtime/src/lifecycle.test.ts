import { expect, test } from 'vitest';
import { Publisher } from './feed.ts';
import { APP_MOVES, type AppState, canReach, Lifecycle } from './lifecycle.ts';

test('every move of the table can be made, and no other', () => {
  const states = Object.keys(APP_MOVES) as AppState[];
  const pathTo: Readonly<Record<AppState, readonly AppState[]>> = {
    created: [],
    rebalancing: ['rebalancing'],
    running: ['rebalancing', 'running'],
    stopping: ['stopping'],
    stopped: ['stopping', 'stopped'],
    failing: ['failing'],
    failed: ['failing', 'failed'],
  };
  for (const from of states) {
    for (const to of states) {
      const lifecycle = new Lifecycle(() => undefined);
      for (const step of pathTo[from]) lifecycle.move(step);
      if (from === to || APP_MOVES[from].includes(to)) lifecycle.move(to);
      else expect(() => lifecycle.move(to), `${from} to ${to}`).toThrow(/no move/);
    }
  }
});

test('running cannot be reached once the app stops', () => {
  expect(canReach('stopping', 'running')).toBe(false);
  expect(canReach('rebalancing', 'running')).toBe(true);
});

test('a slow reader of a feed loses the oldest events, not the newest, and the publisher never waits', async () => {
  const feed = new Publisher<number>();
  const reader = feed.iterate({ bufferedMax: 2 });
  for (const value of [1, 2, 3, 4]) feed.publish(value);
  feed.end();
  const seen: number[] = [];
  for await (const value of reader) seen.push(value);
  expect(seen).toEqual([3, 4]);
});

test('a feed that may not drop fails its reader instead', async () => {
  const feed = new Publisher<number>();
  const reader = feed.iterate({ bufferedMax: 1, overflow: 'fail' });
  feed.publish(1);
  feed.publish(2);
  expect((await reader.next()).value).toBe(1);
  await expect(reader.next()).rejects.toThrow(/fell 1 events behind/);
});
