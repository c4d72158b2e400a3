import { silentLogger, virtualTime } from '@millrace/core';
import { expect, test } from 'vitest';
import { Strays } from './strays.ts';

function rig() {
  const time = virtualTime();
  const said: string[] = [];
  let freed = 0;
  const log = { ...silentLogger, warn: (_fields: object, text: string) => void said.push(text) };
  const strays = new Strays({ node: 'ask', timeoutMs: 200, timers: time.timers, log, freed: () => void freed++ });
  return { time, said, strays, freed: () => freed };
}

test('a stray holds its place until it ends, once', () => {
  const { strays, freed } = rig();
  const [one, other] = [strays.add(), strays.add()];
  expect(strays.count).toBe(2);
  one();
  one();
  expect([strays.count, freed()]).toEqual([1, 1]);
  other();
  expect([strays.count, freed()]).toEqual([0, 2]);
});

test('one that never ends gives its place up after ten times its time', async () => {
  const { strays, time, freed } = rig();
  strays.add();
  await time.advance(1_999);
  expect(strays.count).toBe(1);
  await time.advance(1);
  expect([strays.count, freed()]).toEqual([0, 1]);
});

test('those that end within a moment are not worth a word; of the others there is one warning a minute', async () => {
  const { strays, time, said } = rig();
  strays.add()();
  await time.advance(1_500);
  expect(said).toEqual([]);
  strays.add();
  strays.add();
  await time.advance(1_500);
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(/2 calls of ask go on .* context\.signal/);
  strays.add();
  await time.advance(10_000);
  expect(said).toHaveLength(1);
  await time.advance(60_000);
  strays.add();
  await time.advance(1_500);
  expect(said).toHaveLength(2);
});
