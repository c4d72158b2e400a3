// Edits of a program as people make them, and what the lock file says of each.

import { checkLock, explainLock, type Finding, isDangerous, updateLock } from '@millrace/topology';
import { serde, store, type TopologyBuilder, type TopologyOptions, topic, topicPattern, topology, windows } from 'millrace';
import { describe, expect, test } from 'vitest';

const text = serde.string();
const orders = topic('orders', { key: text, value: text });
const users = topic('users', { key: text, value: text });
const counted = store.keyValue('counted', { key: text, value: serde.safeInt() });

type Build = (t: TopologyBuilder) => void;
/** What the check says when `before` was locked and `after` is to start. */
function edit(before: Build, after: Build, options: { readonly before?: TopologyOptions; readonly after?: TopologyOptions } = {}) {
  const locked = updateLock(topology('app', before, options.before), undefined);
  return checkLock(topology('app', after, options.after), locked);
}
const kinds = (findings: readonly Finding[]): string[] => findings.map(({ kind, severity, of }) => `${severity} ${kind} ${of}`);

const countByUser: Build = (t) =>
  void t
    .stream(orders)
    .groupBy((value) => value)
    .count({ store: counted });
const unnamedCount: Build = (t) => void t.stream(orders).groupByKey().count();

describe('nothing to say', () => {
  test('for the same program', () => {
    const report = edit(countByUser, countByUser);
    expect(report).toEqual({ topology: 'app', state: 'equal', findings: [] });
    expect(explainLock(report)).toBe('app: as locked.');
  });

  test('for a topology that is not in the file yet', () => {
    const other = updateLock(topology('other', countByUser), undefined);
    expect(checkLock(topology('app', countByUser), other).state).toBe('unlocked');
    expect(checkLock(topology('app', countByUser), undefined).state).toBe('unlocked');
  });

  test('for an operator without state behind everything', () => {
    const report = edit(
      countByUser,
      (t) =>
        void t
          .stream(orders)
          .groupBy((value) => value)
          .count({ store: counted })
          .toStream()
          .filter((n) => n > 1),
    );
    expect(report.findings).toEqual([]);
  });
});

describe('stores', () => {
  test('a new one begins empty', () => {
    const report = edit(unnamedCount, (t) => {
      unnamedCount(t);
      t.table(users, { store: store.keyValue('names', { key: text, value: text }) });
    });
    expect(kinds(report.findings)).toContain('note store-added names');
    expect(isDangerous(report)).toBe(false);
  });

  test('one that is gone leaves its rows behind', () => {
    const report = edit(
      (t) => {
        countByUser(t);
        t.stream(users)
          .groupByKey()
          .count({ store: store.keyValue('perUser', { key: text, value: serde.safeInt() }) });
      },
      (t) => {
        countByUser(t);
        t.stream(users).peek(() => {});
      },
    );
    expect(kinds(report.findings)).toEqual(['danger store-removed perUser']);
  });

  test('a renamed one would begin empty', () => {
    const renamed = store.keyValue('tally', { key: text, value: serde.safeInt() });
    const report = edit(
      countByUser,
      (t) =>
        void t
          .stream(orders)
          .groupBy((value) => value, { as: 'counted' })
          .count({ store: renamed }),
    );
    expect(kinds(report.findings)).toContain('danger store-renamed counted');
    expect(report.findings[0]?.effect).toMatch(/would be called "tally". It would begin empty/);
  });

  test('a name with a number shifts when an operator comes before it', () => {
    const report = edit(
      unnamedCount,
      (t) =>
        void t
          .stream(orders)
          .filter(() => true)
          .groupByKey()
          .count(),
    );
    expect(kinds(report.findings)).toEqual(['danger store-renamed KSTREAM-AGGREGATE-STATE-STORE-0000000001']);
    expect(report.findings[0]?.effect).toMatch(/"KSTREAM-AGGREGATE-STATE-STORE-0000000002": its name has a number in it/);
    expect(report.findings[0]?.advice).toMatch(/handle/);
  });

  test('a name with a number that another operator takes over would be read as its own', () => {
    const report = edit(
      (t) => {
        t.stream(orders).groupByKey().count();
        t.stream(users).groupByKey().count();
      },
      (t) => {
        t.stream(users).groupByKey().count();
        t.stream(orders).groupByKey().count();
      },
    );
    expect(kinds(report.findings).filter((one) => one.includes('taken-over'))).toHaveLength(2);
    expect(report.findings[0]?.effect).toMatch(/rows of KSTREAM-AGGREGATE over orders would be read as those of KSTREAM-AGGREGATE over users/);
  });

  test('another serde cannot read the rows', () => {
    const wide = store.keyValue('counted', { key: text, value: serde.float64() });
    const report = edit(
      countByUser,
      (t) =>
        void t
          .stream(orders)
          .groupBy((value) => value)
          .aggregate({ initial: () => 0, add: (sum) => sum + 1, store: wide }),
    );
    expect(kinds(report.findings)).toContain('danger store-serde counted');
    expect(report.findings.find(({ kind }) => kind === 'store-serde')?.effect).toMatch(/values of store "counted" were written as .* and would be read as/);
  });

  test('another kind cannot either', () => {
    const windowed = store.window('counted', { key: text, value: serde.safeInt() });
    const report = edit(
      countByUser,
      (t) =>
        void t
          .stream(orders)
          .groupBy((value) => value)
          .windowedBy(windows.tumbling({ size: '1m', grace: 0 }))
          .count({ store: windowed }),
    );
    expect(kinds(report.findings)).toContain('danger store-kind counted');
  });

  test('other windows lie beside the old ones, and less retention drops rows', () => {
    const per = (size: number, retention: number): Build => {
      const handle = store.window('perTime', { key: text, value: serde.safeInt(), retention });
      return (t) =>
        void t
          .stream(orders)
          .groupByKey()
          .windowedBy(windows.tumbling({ size, grace: 0 }))
          .count({ store: handle });
    };
    expect(kinds(edit(per(1000, 60_000), per(2000, 60_000)).findings)).toEqual(['danger store-window perTime']);
    expect(kinds(edit(per(1000, 60_000), per(1000, 30_000)).findings)).toEqual(['warning store-retention perTime']);
    expect(kinds(edit(per(1000, 60_000), per(1000, 90_000)).findings)).toEqual(['note store-retention perTime']);
  });

  test('without a changelog it is lost with its disk', () => {
    const unlogged = store.keyValue('counted', { key: text, value: serde.safeInt(), changelog: false });
    const report = edit(
      countByUser,
      (t) =>
        void t
          .stream(orders)
          .groupBy((value) => value)
          .count({ store: unlogged }),
    );
    expect(kinds(report.findings)).toEqual(['warning store-log counted']);
  });

  test('a table that changes between its topic and a changelog of its own', () => {
    const table: Build = (t) => void t.table(users, { store: store.keyValue('names', { key: text, value: text }) });
    const off = { optimize: false };
    expect(kinds(edit(table, table, { after: off }).findings)).toEqual(['danger store-log names']);
    expect(kinds(edit(table, table, { before: off }).findings)).toEqual(['warning store-log names']);
  });

  test('one whose input is computed otherwise keeps its rows', () => {
    const report = edit(
      (t) => void t.stream(orders).groupByKey().count({ store: counted }),
      (t) =>
        void t
          .stream(orders)
          .filter(() => true)
          .groupByKey()
          .count({ store: counted }),
    );
    expect(kinds(report.findings)).toEqual(['note store-input counted']);
  });
});

describe('internal topics, sources and sub-topologies', () => {
  test('a repartition topic with another name leaves records behind', () => {
    const named =
      (as: string): Build =>
      (t) =>
        void t
          .stream(orders)
          .groupBy((value) => value, { as })
          .count({ store: counted });
    const report = edit(named('by-user'), named('by-customer'));
    expect(kinds(report.findings)).toEqual(['danger repartition-renamed by-user-repartition']);
  });

  test('one that comes, goes, or has another width', () => {
    const plain: Build = (t) => void t.stream(orders).to(topic('copy', { key: text, value: text }));
    const through =
      (partitions: number): Build =>
      (t) =>
        t
          .stream(orders)
          .repartition({ as: 'mid', partitions })
          .to(topic('copy', { key: text, value: text }));
    expect(kinds(edit(plain, through(4)).findings)).toEqual(['note repartition-added mid-repartition', 'warning subtopologies topology'].sort().reverse());
    expect(kinds(edit(through(4), plain).findings)).toEqual(['danger repartition-removed mid-repartition', 'warning subtopologies topology']);
    expect(kinds(edit(through(4), through(8)).findings)).toEqual(['danger repartition-partitions mid-repartition']);
  });

  test('one whose records are written otherwise', () => {
    const through =
      (value: typeof text | ReturnType<typeof serde.json<string>>): Build =>
      (t) =>
        void t
          .stream(orders)
          .groupBy((v) => v, { as: 'by', value })
          .count({ store: counted });
    expect(kinds(edit(through(text), through(serde.json<string>())).findings)).toEqual(['danger repartition-serde by-repartition']);
  });

  test('a topic that is read anew, no longer, or otherwise', () => {
    const reading =
      (...topics: (typeof orders)[]): Build =>
      (t) =>
        void t.stream(topics).groupByKey().count({ store: counted });
    expect(kinds(edit(reading(orders), reading(orders, users)).findings)).toContain('note source-added users');
    expect(kinds(edit(reading(orders, users), reading(orders)).findings)).toContain('warning source-removed users');
    const json = topic('orders', { key: text, value: serde.json<string>() });
    expect(kinds(edit(reading(orders), reading(json)).findings)).toContain('warning source-serde orders');
  });

  test('a pattern stands in the file as it is written: topics that come and go are no change, another expression is', () => {
    const matching =
      (pattern: RegExp): Build =>
      (t) =>
        void t
          .stream(topicPattern(pattern, { key: text, value: text }))
          .groupByKey()
          .count({ store: counted });
    expect(updateLock(topology('app', matching(/orders-.+/i)), undefined)).toContain('"/orders-.+/i"');
    expect(edit(matching(/orders-.+/), matching(/orders-.+/)).state).toBe('equal');
    const report = edit(matching(/orders-.+/), matching(/orders-(eu|us)/));
    expect(kinds(report.findings)).toEqual(expect.arrayContaining(['note source-added /orders-(eu|us)/', 'warning source-removed /orders-.+/']));
    expect(isDangerous(report)).toBe(false);
  });

  test('a store whose sub-topology gets another number is restored', () => {
    const report = edit(
      (t) => void t.stream(orders).groupByKey().count({ store: counted }),
      (t) => {
        t.stream(users).peek(() => {});
        t.stream(orders).groupByKey().count({ store: counted });
      },
    );
    expect(kinds(report.findings)).toEqual(['warning store-moved counted', 'warning subtopologies topology', 'note source-added users']);
    expect(isDangerous(report)).toBe(false);
  });
});

describe('the file', () => {
  test('keeps the sections of other topologies, in order of names', () => {
    const both = updateLock(topology('a', countByUser), updateLock(topology('b', countByUser), undefined));
    expect(Object.keys((JSON.parse(both) as { topologies: object }).topologies)).toEqual(['a', 'b']);
    expect(updateLock(topology('a', countByUser), both)).toBe(both);
  });

  test('that is none, or of a newer version, is refused with what to do', () => {
    const built = topology('a', countByUser);
    expect(() => checkLock(built, '<<<<<<<')).toThrow(/not JSON.*version control/s);
    expect(() => checkLock(built, '{"version":9,"topologies":{}}')).toThrow(/of version 9/);
  });

  test('explains worst first', () => {
    const report = edit(unnamedCount, (t) => {
      t.stream(users).peek(() => {});
      unnamedCount(t);
    });
    const lines = explainLock(report).split('\n');
    expect(lines[0]).toBe('app: 3 findings');
    expect(lines[2]).toMatch(/^DANGER {2}The store/);
  });
});
