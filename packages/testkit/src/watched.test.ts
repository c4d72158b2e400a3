import { serde } from '@millrace/core';
import { topic, topology } from '@millrace/dsl';
import { expect, test } from 'vitest';
import { testTopology } from './index.ts';

const words = topic('words', { key: serde.string(), value: serde.nullable(serde.string()) });
const out = topic('out', { key: serde.string(), value: serde.nullable(serde.string()) });

test('onRecord sees every record at every operator, tables by their rows', () => {
  const seen: unknown[] = [];
  using t = testTopology(
    topology(
      'watched',
      (b) => {
        b.table(words, { as: 'words' })
          .mapValues((word) => word.toUpperCase(), { as: 'loud' })
          .toStream({ as: 'stream' })
          .filter((_, key) => key !== 'b', { as: 'some' })
          .to(out);
      },
      { onRecord: (node, { key, value, timestamp }) => seen.push([node, key, value, timestamp]) },
    ),
  );
  t.input(words).send('a', 'x', { at: 5 });
  t.input(words).send('b', null, { at: 6 });
  expect(seen).toEqual([
    ['words', 'a', 'x', 5],
    ['loud', 'a', 'x', 5],
    ['stream', 'a', 'X', 5],
    ['some', 'a', 'X', 5],
    ['words', 'b', null, 6],
    ['loud', 'b', null, 6],
    ['stream', 'b', null, 6],
    ['some', 'b', null, 6],
  ]);
  expect(t.output(out).pairs()).toEqual([['a', 'X']]);
});

test('what onRecord throws is a failure of the operator', () => {
  const watching = topology(
    'watched',
    (b) =>
      b
        .stream(words)
        .filter(() => true, { as: 'some' })
        .to(out),
    {
      onRecord: () => {
        throw new Error('seen enough');
      },
    },
  );
  using t = testTopology(watching, { errors: { process: 'skip' } });
  t.input(words).send('a', 'x');
  expect(t.failures.map(({ node, stage }) => [node, stage])).toEqual([['some', 'process']]);
});
