import { serde } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { topology } from '../stream-builder.ts';
import { topic } from '../topic.ts';

const texts = topic('texts', { key: serde.string(), value: serde.string() });
const others = topic('others', { key: serde.string(), value: serde.string() });
const joined = topic('joined', { key: serde.string(), value: serde.string() });
const wide = topic('wide', { key: serde.safeInt(), value: serde.string() });
const pair = (l: unknown, r: unknown): string => `${String(l)}${String(r)}`;

describe('joins that cannot be', () => {
  test('sides whose keys have other bytes are refused where the join is written', () => {
    const build = () => topology('t', (t) => void t.stream(texts).join(t.stream(wide) as never, pair, { within: 1, grace: 0 }));
    expect(build).toThrow(expect.objectContaining({ code: 'ERR_TOPOLOGY', message: expect.stringContaining('equal keys would not meet') }));
    const tables = () => topology('t', (t) => void t.table(texts).join(t.table(wide) as never, pair));
    expect(tables).toThrow(expect.objectContaining({ code: 'ERR_TOPOLOGY' }));
  });

  test('a window that nothing fits in is refused, one wholly after its record is not', () => {
    const build = (before: number, after: number) => () =>
      topology('t', (t) => t.stream(texts).join(t.stream(others), pair, { before, after, grace: 0 }).to(joined));
    expect(build(-5, 4)).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }));
    expect(build(-5, 10)).not.toThrow();
  });

  test('plain JavaScript that leaves out the window is told what is missing', () => {
    expect(() => topology('t', (t) => void t.stream(texts).leftJoin(t.stream(others), pair, { grace: 0 } as never))).toThrow(/within, grace/);
  });
});

describe('a stream joined with itself', () => {
  const build = (optimize: boolean) =>
    topology('t', (t) => t.stream(texts).join(t.stream(texts), pair, { within: 5, grace: 1, storeName: 'both', as: 'self' }).to(joined), { optimize });

  test('keeps one buffer, also when it was read twice', () => {
    expect([...build(true).stores.keys()]).toEqual(['both-this-join-store']);
  });

  test('keeps two without optimization', () => {
    expect([...build(false).stores.keys()]).toEqual(['both-this-join-store', 'both-other-join-store']);
  });
});
