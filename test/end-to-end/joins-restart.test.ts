// Joins through the real worker and the embedded broker, over restarts: on the same disk, and on an empty one that is filled from the log.
import { seededChance, serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppRig, asTable, ENGINE_NAMES, type Sent } from './app-rig.ts';

const rig = new AppRig();
beforeAll(() => rig.start());
afterAll(() => rig.close());

const text = serde.string();
const texts = (name: string) => topic(name, { key: text, value: text });
const updates = (name: string) => topic(name, { key: text, value: serde.nullable(text) });
const pair = (l: string | undefined, r: string | undefined): string => `${l ?? '-'}+${r ?? '-'}`;
const keyOf = (value: string): string => value.slice(0, value.indexOf('|'));

describe.each(ENGINE_NAMES)('on %s', (engine) => {
  test('a global table is whole before the first record, follows its topic, and comes back after a restart with what it missed', async () => {
    const [facts, cities, out] = [`facts-${engine}`, `cities-${engine}`, `named-${engine}`];
    await rig.createTopics(3, 'delete', facts, cities, out);
    const names = store.keyValue('names', { key: text, value: text });
    const built = topology(`global-${engine}`, (t) => {
      const table = t.globalTable(texts(cities), { store: names });
      t.stream(texts(facts))
        .leftJoin(table, pair, { on: (value) => keyOf(value) })
        .to(texts(out));
    });
    const rows = Array.from({ length: 300 }, (_, at) => ({ key: `c${at}`, value: `city ${at}`, timestamp: at }));
    await rig.send(cities, rows);
    await rig.send(facts, [
      { key: 'x', value: 'c7|1', timestamp: 1 },
      { key: 'y', value: 'c299|2', timestamp: 2 },
      { key: 'z', value: 'none|3', timestamp: 3 },
    ]);
    const first = await rig.app(built, { engine, disk: `global-${engine}` });
    await first.drained();
    expect(asTable(await rig.read(out))).toEqual(
      new Map([
        ['x', 'c7|1+city 7'],
        ['y', 'c299|2+city 299'],
        ['z', 'none|3+-'],
      ]),
    );
    expect(await first.reads.read('global', 'names', { kind: 'entry', key: 'c7' })).toMatchObject([{ key: 'c7', value: 'city 7', timestamp: 7 }]);
    expect(first.reads.locatePartition('names', first.reads.partitionOf('names', 'c7'))).toMatchObject({ kind: 'here', taskId: 'global' });
    await first.close();

    await rig.send(cities, [
      { key: 'c7', value: 'renamed', timestamp: 1000 },
      { key: 'c299', value: null, timestamp: 1001 },
    ]);
    await rig.send(facts, [
      { key: 'x', value: 'c7|4', timestamp: 4 },
      { key: 'y', value: 'c299|5', timestamp: 5 },
      { key: 'w', value: 'c8|6', timestamp: 6 },
    ]);
    const second = await rig.app(built, { engine, disk: `global-${engine}` });
    await second.drained();
    expect(asTable(await rig.read(out))).toEqual(
      new Map([
        ['w', 'c8|6+city 8'],
        ['x', 'c7|4+renamed'],
        ['y', 'c299|5+-'],
        ['z', 'none|3+-'],
      ]),
    );
    await second.close();
  });
});

describe.each(['memory', 'rocksdb'] as const)('on %s', (engine) => {
  test('a foreign-key join has the rows of the naive join over two restarts, the second with an empty disk', async () => {
    const [left, right, out] = [`left-${engine}`, `right-${engine}`, `joined-${engine}`];
    await rig.createTopics(3, 'compact', left, right, out);
    const built = topology(`foreign-${engine}`, (t) => {
      t.table(texts(left))
        .leftForeignKeyJoin(t.table(texts(right)), pair, { on: (value) => keyOf(value) || null, as: 'fk' })
        .toStream()
        .to(updates(out));
    });
    const chance = seededChance(41);
    const lefts = new Map<string, string | null>();
    const rights = new Map<string, string | null>();
    const draw = (side: Map<string, string | null>, key: string, value: string | null, timestamp: number): Sent => {
      side.set(key, value);
      return { key, value, timestamp };
    };
    for (const [round, disk] of ['one', 'one', 'two'].entries()) {
      const app = await rig.app(built, { engine, disk: `foreign-${engine}-${disk}` });
      for (let step = 0; step < 2; step++) {
        const at = round * 1000 + step * 100;
        await rig.send(
          left,
          Array.from({ length: 20 }, (_, n) =>
            draw(lefts, `l${chance.integer(12)}`, chance.integer(5) === 0 ? null : `r${chance.integer(5)}|${at + n}`, at + n),
          ),
        );
        await rig.send(
          right,
          Array.from({ length: 8 }, (_, n) => draw(rights, `r${chance.integer(5)}`, chance.integer(4) === 0 ? null : `v${at + n}`, at + n)),
        );
      }
      await app.drained();
      await app.close();
      const expected = new Map<string, string>();
      for (const [key, value] of [...lefts].sort()) if (value !== null) expected.set(key, pair(value, rights.get(keyOf(value)) ?? undefined));
      expect(asTable(await rig.read(out)), `after round ${round}`).toEqual(expected);
    }
  });

  test('joins of streams and of tables go on where they were: pairs over a restart come once, rows are those of the last values', async () => {
    const [left, right, pairs, rows] = [`l-${engine}`, `r-${engine}`, `pairs-${engine}`, `rows-${engine}`];
    const [leftRows, rightRows] = [`lt-${engine}`, `rt-${engine}`];
    await rig.createTopics(2, 'delete', left, right, pairs, rows);
    await rig.createTopics(2, 'compact', leftRows, rightRows);
    const built = topology(`joins-${engine}`, (t) => {
      t.stream(texts(left))
        .join(t.stream(texts(right)), pair, { within: 500, grace: 5000 })
        .to(texts(pairs));
      t.table(texts(leftRows))
        .outerJoin(t.table(texts(rightRows)), pair)
        .toStream()
        .to(updates(rows));
    });
    const facts: { readonly side: 'left' | 'right'; readonly record: Sent }[] = [];
    const last = { left: new Map<string, string | null>(), right: new Map<string, string | null>() };
    const chance = seededChance(7);
    for (const [round, disk] of ['one', 'one', 'two'].entries()) {
      const app = await rig.app(built, { engine, disk: `joins-${engine}-${disk}` });
      for (const side of ['left', 'right'] as const) {
        const records = Array.from({ length: 40 }, (_, n) => ({
          key: 'abcd'.charAt(chance.integer(4)),
          value: `${side[0]}${round}.${n}`,
          timestamp: round * 400 + n * 10,
        }));
        for (const record of records) facts.push({ side, record });
        await rig.send(side === 'left' ? left : right, records);
        const changes = records.map(({ key, value, timestamp }) => ({ key, value: chance.integer(4) === 0 ? null : value, timestamp }));
        for (const { key, value } of changes) last[side].set(key, value);
        await rig.send(side === 'left' ? leftRows : rightRows, changes);
      }
      await app.drained();
      await app.close();
    }
    const expected: string[] = [];
    for (const l of facts)
      for (const r of facts)
        if (l.side === 'left' && r.side === 'right' && l.record.key === r.record.key && Math.abs(l.record.timestamp - r.record.timestamp) <= 500)
          expected.push(`${l.record.key} ${pair(l.record.value ?? '', r.record.value ?? '')}`);
    expect((await rig.read(pairs)).map(({ key, value }) => `${key} ${value}`).sort()).toEqual(expected.sort());
    const table = new Map<string, string>();
    for (const key of 'abcd') {
      const [l, r] = [last.left.get(key) ?? undefined, last.right.get(key) ?? undefined];
      if (l !== undefined || r !== undefined) table.set(key, pair(l, r));
    }
    expect(asTable(await rig.read(rows))).toEqual(table);
  });

  test('records that wait for a versioned table wait over a restart, and find rows that came late meanwhile', async () => {
    const [facts, rows, out] = [`waiting-${engine}`, `versions-${engine}`, `as-of-${engine}`];
    await rig.createTopics(1, 'delete', facts, rows, out);
    const graceMs = 300;
    const history = store.versioned('history', { key: text, value: text, history: 10_000 });
    const built = topology(
      `versioned-${engine}`,
      (t) => {
        t.stream(texts(facts))
          .leftJoin(t.table(texts(rows), { store: history }), pair, { grace: graceMs })
          .to(texts(out));
      },
      { optimize: false },
    );
    const chance = seededChance(5);
    const sent: Sent[] = [];
    const versions = new Map<string, Sent>();
    for (const [round, disk] of ['one', 'one', 'two'].entries()) {
      const app = await rig.app(built, { engine, disk: `versioned-${engine}-${disk}` });
      // Rows of the time that records of the round before still wait for, and of this round's.
      const late = Array.from({ length: 60 }, (_, n) => {
        const timestamp = Math.max(0, round * 1000 - 790 + chance.integer(1200));
        return { key: 'abc'.charAt(chance.integer(3)), value: chance.integer(5) === 0 ? null : `v${round}.${n}`, timestamp };
      });
      for (const row of late) versions.set(`${row.key}@${row.timestamp}`, row);
      await rig.send(rows, late);
      await app.drained();
      const records = Array.from({ length: 50 }, (_, n) => ({
        key: 'abc'.charAt(chance.integer(3)),
        value: `f${round}.${n}`,
        timestamp: round * 1000 + n * 10,
      }));
      sent.push(...records);
      await rig.send(facts, records);
      await app.drained();
      await app.close();
    }
    const endsAt = Math.max(...sent.map(({ timestamp }) => timestamp)) - graceMs;
    const expected = sent
      .filter(({ timestamp }) => timestamp <= endsAt)
      .map(({ key, value, timestamp }) => {
        const row = [...versions.values()].filter((one) => one.key === key && one.timestamp <= timestamp).sort((a, b) => b.timestamp - a.timestamp)[0];
        return `${key} ${pair(value ?? '', row?.value ?? undefined)} ${timestamp}`;
      });
    expect((await rig.read(out)).map((row) => `${row.key} ${row.value} ${row.timestamp}`).sort()).toEqual(expected.sort());
  });
});
