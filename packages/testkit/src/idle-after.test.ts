// `idleAfter`: what silence closes, hands on and makes late; what holds time back; in all operators that wait for stream time.
import { serde } from '@millrace/core';
import { deadLetter, store, topic, topology, windows } from '@millrace/dsl';
import { describe, expect, test } from 'vitest';
import { testTopology } from './test-topology.ts';

const clicks = topic('clicks', { key: serde.string(), value: serde.string() });
const buys = topic('buys', { key: serde.string(), value: serde.string() });
const users = topic('users', { key: serde.string(), value: serde.string() });
const texts = topic('texts', { key: serde.string(), value: serde.string() });
const minutes = topic('minutes', { key: serde.windowed(serde.string(), { size: '1 minute' }), value: serde.safeInt() });
const visits = topic('visits', { key: serde.sessionWindowed(serde.string()), value: serde.safeInt() });

const tumbling = windows.tumbling({ size: '1 minute', grace: '10s' });

function perMinute(idleAfter: '1 minute' | undefined) {
  return topology('per-minute', (t) => {
    t.stream(clicks, idleAfter === undefined ? {} : { idleAfter })
      .groupByKey()
      .windowedBy(tumbling)
      .count({ emit: 'onWindowClose' })
      .toStream()
      .to(minutes);
  });
}

describe('silence', () => {
  test('closes windows as the wall clock moves, and not before it has lasted long enough', () => {
    using t = testTopology(perMinute('1 minute'), { startAt: 1_000_000 });
    t.input(clicks).send('a', 'x', { at: 5_000 });
    t.advance('59s');
    expect(t.output(minutes).readAll()).toEqual([]);
    t.advance('1s'); // stream time is 65 s now, and the window closes at 70 s
    expect(t.output(minutes).readAll()).toEqual([]);
    t.advance('1 minute');
    expect(t.output(minutes).pairs()).toEqual([[{ key: 'a', window: { start: 0, end: 60_000 } }, 1]]);
  });

  test('closes nothing unless it is asked for', () => {
    using t = testTopology(perMinute(undefined), { startAt: 1_000_000 });
    t.input(clicks).send('a', 'x', { at: 5_000 });
    t.advance('1 day');
    expect(t.output(minutes).readAll()).toEqual([]);
  });

  test('moves nothing before the first record, and begins anew with each', () => {
    using t = testTopology(perMinute('1 minute'), { startAt: 1_000_000 });
    t.advance('1 hour');
    t.input(clicks).send('a', 'x', { at: 5_000 });
    t.advance('40s');
    t.input(clicks).send('a', 'y', { at: 45_000 });
    t.advance('40s');
    expect(t.output(minutes).readAll()).toEqual([]);
    t.advance('20s');
    expect(t.output(minutes).pairs()).toEqual([[{ key: 'a', window: { start: 0, end: 60_000 } }, 2]]);
  });

  test('makes what comes later with an older time late, also for windows that have emitted all along', () => {
    const counted = topology('counted', (t) => {
      t.stream(clicks, { idleAfter: '1 minute' }).groupByKey().windowedBy(tumbling).count({ emit: 'onUpdate' }).toStream().to(minutes);
    });
    using t = testTopology(counted, { startAt: 1_000_000 });
    t.input(clicks).send('a', 'x', { at: 5_000 });
    t.advance('2 minutes');
    t.input(clicks).send('a', 'late', { at: 6_000 });
    t.input(clicks).send('a', 'in time', { at: 125_000 });
    expect(t.output(minutes).pairs()).toEqual([
      [{ key: 'a', window: { start: 0, end: 60_000 } }, 1],
      [{ key: 'a', window: { start: 120_000, end: 180_000 } }, 1],
    ]);
    expect(t.dropped('late')).toBe(1);
  });

  test('goes through repartition topics: each partition closes its own sessions', () => {
    const sessions = topology('sessions', (t) => {
      t.stream(clicks, { idleAfter: '1 minute' })
        .groupBy((user) => user)
        .windowedBy(windows.session({ gap: '30s', grace: '10s' }))
        .count({ emit: 'onWindowClose' })
        .toStream()
        .to(visits);
    });
    using t = testTopology(sessions, { startAt: 1_000_000, partitions: { clicks: 3 } });
    for (const user of ['ada', 'bob', 'cy', 'dan', 'eve']) t.input(clicks).send(user, user, { at: 5_000 });
    expect(t.output(visits).readAll()).toEqual([]);
    t.advance('1 minute');
    expect(
      t
        .output(visits)
        .pairs()
        .map(([{ key }, count]) => `${key} ${count}`)
        .sort(),
    ).toEqual(['ada 1', 'bob 1', 'cy 1', 'dan 1', 'eve 1']);
  });

  test('hands on what suppress holds, with the last change of a table that emits at commits', () => {
    const final = topology('final', (t) => {
      t.stream(clicks, { idleAfter: '1 minute' }).groupByKey().windowedBy(tumbling).count().suppress({ until: 'windowClose' }).toStream().to(minutes);
    });
    using t = testTopology(final, { startAt: 1_000_000 });
    t.input(clicks).sendAll([
      ['a', 'x'],
      ['a', 'y'],
    ]);
    t.advance('3 minutes');
    expect(
      t
        .output(minutes)
        .pairs()
        .map(([, count]) => count),
    ).toEqual([2]);
  });

  test('gives out records of joins that have found no partner, once', () => {
    const joined = topology('joined', (t) => {
      t.stream(clicks, { idleAfter: '1 minute' })
        .outerJoin(t.stream(buys, { idleAfter: '1 minute' }), (click, buy) => `${click ?? '-'} ${buy ?? '-'}`, { within: '10s', grace: 0 })
        .to(texts);
    });
    using t = testTopology(joined, { startAt: 1_000_000 });
    t.input(clicks).send('a', 'click', { at: 5_000 });
    t.input(buys).send('b', 'buy', { at: 6_000 });
    t.advance('1 minute');
    t.advance('10 minutes');
    expect(t.output(texts).pairs()).toEqual([
      ['a', 'click -'],
      ['b', '- buy'],
    ]);
  });

  test('hands on what a stream-table join keeps back for its grace', () => {
    const rows = store.versioned('rows', { key: serde.string(), value: serde.string(), history: '1 hour' });
    const joined = topology('joined', (t) => {
      const table = t.table(users, { store: rows });
      t.stream(clicks, { idleAfter: '1 minute' })
        .join(table, (click, user) => `${click} ${user}`, { grace: '30s' })
        .to(texts);
    });
    using t = testTopology(joined, { startAt: 1_000_000 });
    t.input(users).send('a', 'Ada', { at: 1_000 });
    t.input(clicks).send('a', 'click', { at: 5_000 });
    expect(t.output(texts).readAll()).toEqual([]);
    t.advance('1 minute');
    expect(
      t
        .output(texts)
        .readAll()
        .map(({ value, timestamp }) => [value, timestamp]),
    ).toEqual([['click Ada', 5_000]]);
  });

  test('fires punctuators of stream time', () => {
    const fired: number[] = [];
    const timed = topology('timed', (t) => {
      t.stream(clicks, { idleAfter: '1 minute' }).process({
        create(context) {
          context.schedule('30s', 'streamTime', (at) => void fired.push(at));
          return { process: () => undefined };
        },
      });
    });
    using t = testTopology(timed, { startAt: 1_000_000 });
    t.input(clicks).send('a', 'x', { at: 5_000 });
    t.advance('1 minute');
    expect(fired).toEqual([5_000, 65_000]);
  });
});

describe('time is held back', () => {
  test('by a stream that may be silent for ever, not by a table', () => {
    const withStream = topology('with-stream', (t) => {
      t.stream(clicks, { idleAfter: '1 minute' })
        .merge(t.stream(buys))
        .groupByKey()
        .windowedBy(tumbling)
        .count({ emit: 'onWindowClose' })
        .toStream()
        .to(minutes);
    });
    const withTable = topology('with-table', (t) => {
      t.stream(clicks, { idleAfter: '1 minute' })
        .leftJoin(t.table(users), (click) => click)
        .groupByKey()
        .windowedBy(tumbling)
        .count({ emit: 'onWindowClose' })
        .toStream()
        .to(minutes);
    });
    for (const [program, results] of [
      [withStream, 0],
      [withTable, 1],
    ] as const) {
      using t = testTopology(program, { startAt: 1_000_000 });
      t.input(clicks).send('a', 'x', { at: 5_000 });
      t.advance('1 hour');
      expect(t.output(minutes).readAll(), program.name).toHaveLength(results);
    }
  });

  test('by calls to the outside that have not been answered', async () => {
    let answer: (value: string) => void = () => undefined;
    const asked = topology('asked', (t) => {
      t.stream(clicks, { idleAfter: '1 minute' })
        .mapValuesAsync(() => new Promise<string>((resolve) => void (answer = resolve)), { concurrency: 1, timeout: '2 hours' })
        .groupByKey()
        .windowedBy(tumbling)
        .count({ emit: 'onWindowClose' })
        .toStream()
        .to(minutes);
    });
    using t = testTopology(asked, { startAt: 1_000_000 });
    t.input(clicks).send('a', 'x', { at: 5_000 });
    t.advance('1 hour');
    expect(t.output(minutes).readAll()).toEqual([]);
    answer('y');
    await t.settled();
    t.advance('2 minutes');
    expect(t.output(minutes).readAll()).toHaveLength(1);
  });

  test('by the longest that the sources of a task were given', () => {
    const joined = topology('joined', (t) => {
      t.stream(clicks, { idleAfter: '1 minute' })
        .leftJoin(t.stream(buys, { idleAfter: '5 minutes' }), (click, buy) => `${click} ${buy ?? '-'}`, { within: '1s', grace: 0 })
        .to(texts);
    });
    using t = testTopology(joined, { startAt: 1_000_000 });
    t.input(clicks).send('a', 'click', { at: 5_000 });
    t.advance('4 minutes');
    expect(t.output(texts).size).toBe(0);
    t.advance('1 minute');
    expect(t.output(texts).pairs()).toEqual([['a', 'click -']]);
  });
});

test('what fails when silence closes a window goes to the policy of its operator', () => {
  const failing = topology('failing', (t) => {
    t.stream(clicks, { idleAfter: '1 minute' })
      .groupByKey()
      .windowedBy(tumbling)
      .count({ emit: 'onWindowClose' })
      .toStream()
      .peek(
        (count) => {
          if (count === 1) throw new Error('one is not enough');
        },
        { onError: deadLetter('failed') },
      )
      .to(minutes);
  });
  using t = testTopology(failing, { startAt: 1_000_000 });
  t.input(clicks).sendAll([
    ['a', 'x'],
    ['b', 'y'],
    ['b', 'z'],
  ]);
  t.advance('3 minutes');
  expect(
    t
      .output(minutes)
      .pairs()
      .map(([{ key }]) => key),
  ).toEqual(['b']);
  expect(t.failures.map(({ error }) => String(error))).toEqual(['Error: one is not enough']);
});

test('an option that cannot be, and two readings of a topic that differ, are refused', () => {
  expect(() => topology('none', (t) => t.stream(clicks, { idleAfter: 0 }).to(clicks))).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }));
  expect(() =>
    topology('two', (t) => {
      t.stream(clicks, { idleAfter: '1s' }).to(texts);
      t.stream(clicks).to(buys);
    }),
  ).toThrow(/idleAfter/);
});
