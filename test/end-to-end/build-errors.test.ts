// Mistakes that show while a topology is built: typed, with a code, and with the line of the script that made them.
import { MillraceError, serde, store, topic, topology, windows } from 'millrace';
import { expect, test } from 'vitest';

const text = serde.string();
const lines = topic('lines', { key: text, value: text });
const others = topic('lines', { key: text, value: serde.safeInt() });
const counts = store.keyValue('counts', { key: text, value: serde.safeInt() });

const mistakes: readonly [what: string, build: () => unknown, code: string, message: RegExp][] = [
  [
    'one name for two operators',
    () =>
      topology(
        't',
        (t) =>
          void t
            .stream(lines)
            .peek(() => {}, { as: 'x' })
            .peek(() => {}, { as: 'x' }),
      ),
    'ERR_TOPOLOGY',
    /Two operators are called "x"/,
  ],
  ['an illegal name', () => topology('t', (t) => void t.stream(lines, { as: 'a b' })), 'ERR_NAME', /"a b" is not legal/],
  [
    'one topic declared in two ways',
    () =>
      topology('t', (t) => {
        t.stream(lines);
        t.stream(others);
      }),
    'ERR_TOPOLOGY',
    /declared twice/,
  ],
  [
    'one store for two operators',
    () =>
      topology('t', (t) => {
        const grouped = t.stream(lines).groupByKey();
        grouped.count({ store: counts });
        grouped.count({ store: counts });
      }),
    'ERR_TOPOLOGY',
    /given to two operators/,
  ],
  [
    'a store of the wrong kind',
    () =>
      topology(
        't',
        (t) =>
          void t
            .stream(lines)
            .groupByKey()
            .windowedBy(windows.tumbling({ size: 1, grace: 0 }))
            .count({ store: counts as never }),
      ),
    'ERR_TOPOLOGY',
    /is declared with store.keyValue/,
  ],
  ['a topology that reads nothing', () => topology('t', () => {}), 'ERR_TOPOLOGY', /reads nothing/],
  ['an asynchronous build', () => topology('t', (async () => {}) as () => void), 'ERR_TOPOLOGY', /asynchronous/],
];

test.each(mistakes)('%s', (_what, build, code, message) => {
  let thrown: unknown;
  try {
    build();
  } catch (error) {
    thrown = error;
  }
  expect(MillraceError.is(thrown)).toBe(true);
  const error = thrown as MillraceError;
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
  expect(error.where.script).toMatch(/build-errors\.test\.ts:\d+:\d+$/);
  expect(error.message.endsWith(`(${String(error.where.script)})`)).toBe(true);
  expect(error.stack).toContain(error.message);
});
