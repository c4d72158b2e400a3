import { expect, test } from 'vitest';
import { LateCommits } from './late-commits.ts';

/** When commits are due in so many seconds, looked at four times a second. */
function dueIn(late: LateCommits, seconds: number, generation = 5): readonly number[] {
  const due: number[] = [];
  for (let nowMs = 0; nowMs <= seconds * 1000; nowMs += 250) if (late.takeDue(generation, nowMs)) due.push(nowMs / 1000);
  return due;
}

test('nothing is committed again while every commit was answered', () => {
  expect(dueIn(new LateCommits(), 100)).toEqual([]);
});

test('after a commit without an answer positions are committed again ten times, ever further apart', () => {
  const late = new LateCommits();
  late.expect(5, 0);
  expect(dueIn(late, 5000)).toEqual([1, 3, 7, 15, 31, 63, 127, 255, 511, 1023]);
});

test('another silence begins anew; a newer generation ends it with a last commit, also if its number came back', () => {
  const late = new LateCommits();
  late.expect(5, 0);
  expect(late.takeDue(5, 1000)).toBe(true);
  late.expect(5, 1500);
  expect(late.takeDue(5, 2400)).toBe(false);
  expect(late.takeDue(5, 2500)).toBe(true);
  expect(late.takeDue(6, 2600)).toBe(true);
  expect(late.takeDue(6, 100_000)).toBe(false);
  expect(late.takeDue(5, 200_000)).toBe(false);
});
