// Mistakes of those who write without types, or with a slip: each is told where it is written, with what belongs there.
import { MillraceError, serde, store, type TopologyBuilder, type TopologyOptions, topic, topology, windows } from 'millrace';
import { expect, test } from 'vitest';

const text = serde.string();
const words = topic('words', { key: text, value: text });
const other = topic('other', { key: text, value: text });
const nothing = undefined as never;
const odd = (value: unknown): never => value as never;

function refusal(build: (t: TopologyBuilder) => void, options: TopologyOptions = {}): MillraceError {
  try {
    topology('wrong', build, options);
  } catch (error) {
    if (MillraceError.is(error)) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

test.each<readonly [string, (t: TopologyBuilder) => void, RegExp]>([
  ['no predicate', (t) => void t.stream(words).filter(nothing), /filter\(\): the predicate must be a function, but is undefined/],
  ['a text for a mapper', (t) => void t.stream(words).mapValues(odd('x')), /mapValues\(\): the mapper must be a function, but is "x"/],
  ['no action', (t) => t.stream(words).forEach(nothing), /forEach\(\): the action/],
  ['no predicate of a branch', (t) => void t.stream(words).split({ long: nothing }), /the predicate of "long"/],
  ['no joiner', (t) => void t.stream(words).join(t.table(other), nothing), /a join: the joiner/],
  [
    'no initial value',
    (t) =>
      void t
        .stream(words)
        .groupByKey()
        .aggregate(odd({ add: () => 1 })),
    /aggregate\(\): initial must be a function/,
  ],
  ['no fold at all', (t) => void t.stream(words).groupByKey().aggregate(nothing), /aggregate\(\) needs \{ initial: …, add: … \}, but was given undefined/],
  [
    'sessions that cannot be merged',
    (t) =>
      void t
        .stream(words)
        .groupByKey()
        .windowedBy(windows.session({ gap: 5, grace: 0 }))
        .aggregate(odd({ initial: () => 1, add: () => 1 })),
    /over sessions: merge must be a function/,
  ],
  ['a foreign key of nothing', (t) => void t.table(words).foreignKeyJoin(t.table(other), (a) => a, nothing), /foreignKeyJoin\(\) needs \{ on: … \}/],
  ['a processor without create', (t) => void t.stream(words).process(odd({})), /process\(\): create must be a function/],
  ['an asynchronous processor without call', (t) => void t.stream(words).processAsync(odd({ read: () => 1 }), { concurrency: 1 }), /processAsync\(\): call/],
  ['a misspelt start', (t) => void t.stream(words, { startFrom: odd('begin') }), /startFrom is "begin"; it takes 'earliest'/],
])('%s', (_name, build, message) => {
  const error = refusal(build);
  expect(error.code).toBe('ERR_OPTION');
  expect(error.message).toMatch(message);
  expect(error.where.script).toMatch(/mistakes\.test\.ts:\d+/);
});

test('misspelt options of the topology', () => {
  const fine = (t: TopologyBuilder): void => t.stream(words).to(other);
  expect(refusal(fine, { optimize: odd(['mergeRepartition']) }).message).toMatch(
    /optimize has "mergeRepartition"; it takes true, false or a list of reuseSourceTopics/,
  );
  expect(refusal(fine, { naming: odd('explict') }).message).toMatch(/naming has "explict"; it takes 'generated' or 'explicit'/);
});

test('a store without anything', () => {
  expect(() => store.keyValue('s', nothing)).toThrow(
    expect.objectContaining({ code: 'ERR_OPTION', message: expect.stringContaining("store.keyValue('s') needs its serdes") }),
  );
});

test('what shows only when the graph is complete names the line of the second of two', () => {
  const lines: number[] = [];
  // The second frame: the first is this function's own.
  const here = (): void => void lines.push(Number([...(new Error().stack ?? '').matchAll(/mistakes\.test\.ts:(\d+)/g)][1]?.[1]));
  const twice = refusal((t) => {
    t.stream(words).peek(() => {}, { as: 'same' });
    here();
    t.stream(other).peek(() => {}, { as: 'same' });
  });
  expect(twice.message).toMatch(/Two operators are called "same"/);
  expect(Number(/:(\d+):\d+$/.exec(String(twice.where.script))?.[1])).toBe((lines[0] as number) + 1);
  const read = refusal((t) => {
    t.table(words);
    here();
    t.table(words);
  });
  expect(read.message).toMatch(/Topic "words" is read by two sources/);
  expect(Number(/:(\d+):\d+$/.exec(String(read.where.script))?.[1])).toBe((lines[1] as number) + 1);
});
