import { expect, test } from 'vitest';
import { FetchLanes, type Lane } from './fetch-lanes.ts';

function both(): { readonly lanes: FetchLanes; readonly main: Lane; readonly extra: Lane } {
  const lanes = new FetchLanes();
  const main = lanes.choose(1) as Lane;
  main.state = 'parked';
  const extra = lanes.choose(1) as Lane;
  return { lanes, main, extra };
}

test('the main lane comes first; the extra one only while that is parked; a third waits', () => {
  const { lanes, main, extra } = both();
  expect([main.extra, extra.extra]).toEqual([false, true]);
  extra.state = 'parked';
  expect(lanes.choose(1)).toBe(undefined);
  expect(lanes.choose(2)?.extra).toBe(false);
});

test('while the main lane rests after a small answer nothing starts beside it', () => {
  const { lanes, main } = both();
  main.state = 'resting';
  expect(lanes.choose(1)).toBe(undefined);
});

test('when the main lane found nothing it waits for the extra one, so that at rest one request is parked', () => {
  const { lanes, main, extra } = both();
  extra.state = 'parked';
  main.state = 'free';
  main.empty = true;
  expect(lanes.choose(1)).toBe(undefined);
  extra.state = 'free';
  expect(lanes.choose(1)).toBe(main);
});

test('a main lane that brought data goes on at once, whatever the extra one does', () => {
  const { lanes, main, extra } = both();
  extra.state = 'parked';
  main.state = 'free';
  main.empty = false;
  expect(lanes.choose(1)).toBe(main);
});
