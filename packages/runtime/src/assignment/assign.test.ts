import { describe, expect, test } from 'vitest';
import { assignTasks, type Member, spreadOverWorkers, type TaskFacts } from './assign.ts';

const member = (memberId: string, facts: Partial<Member> = {}): Member => ({
  memberId,
  instanceId: memberId,
  address: undefined,
  workers: 1,
  owned: [],
  stored: [],
  transactionalIds: [`app-${memberId}-0`],
  known: [],
  topologyHash: 'h',
  ...facts,
});
const tasks = (count: number, stateful = true): TaskFacts[] => Array.from({ length: count }, (_, partition) => ({ id: `0_${partition}`, stateful }));
const counts = (result: ReturnType<typeof assignTasks>): number[] => [...result.tasks.values()].map((list) => list.length);

describe('assignTasks', () => {
  test('one member gets every task', () => {
    expect(assignTasks([member('a')], tasks(4)).tasks.get('a')).toEqual(['0_0', '0_1', '0_2', '0_3']);
  });

  test('tasks are dealt evenly, and each to one member', () => {
    const result = assignTasks([member('a'), member('b'), member('c')], tasks(8));
    expect(counts(result).sort()).toEqual([2, 3, 3]);
    expect([...result.tasks.values()].flat().sort()).toEqual(tasks(8).map((task) => task.id));
  });

  test('a task that another member still runs is withheld, not given to two', () => {
    const result = assignTasks([member('a', { owned: ['0_0', '0_1', '0_2', '0_3'] }), member('b')], tasks(4));
    expect(result.tasks.get('a')).toHaveLength(2);
    expect(result.tasks.get('b')).toEqual([]);
    expect(result.withheld).toHaveLength(2);
    const kept = result.tasks.get('a') as string[];
    const next = assignTasks([member('a', { owned: kept }), member('b')], tasks(4));
    expect(next.tasks.get('a')).toEqual(kept);
    expect(next.tasks.get('b')).toHaveLength(2);
    expect(next.withheld).toEqual([]);
  });

  test('a balanced group is left as it is', () => {
    const result = assignTasks([member('a', { owned: ['0_1', '0_3'] }), member('b', { owned: ['0_0', '0_2'] })], tasks(4));
    expect(result.tasks.get('a')).toEqual(['0_1', '0_3']);
    expect(result.withheld).toEqual([]);
  });

  test('a free task goes where its state lies', () => {
    const result = assignTasks([member('a'), member('b', { stored: ['0_1'] })], tasks(2));
    expect(result.tasks.get('b')).toEqual(['0_1']);
  });

  test('where a free task makes a member too full, the free one goes on to another and no running one stops', () => {
    const members = [
      member('a', { workers: 2, owned: ['0_2'], stored: ['0_0'] }), // holds the free task's state, and has room for two
      member('b', { owned: ['0_1'] }),
      member('c', { workers: 2 }),
    ];
    const result = assignTasks(members, tasks(3));
    expect([...result.tasks.values()]).toEqual([['0_2'], ['0_1'], ['0_0']]);
    expect(result.withheld).toEqual([]);
  });

  test('a task that two members claim is nobody’s until they have settled it', () => {
    const result = assignTasks([member('a', { owned: ['0_0'] }), member('b', { owned: ['0_0'] })], tasks(1));
    expect([...result.tasks.values()].flat()).toEqual([]);
    expect(result.withheld).toEqual(['0_0']);
  });

  test('members with more workers get more', () => {
    expect(counts(assignTasks([member('a', { workers: 3 }), member('b')], tasks(8)))).toEqual([6, 2]);
  });

  test('the ids of members that are gone are named until nobody needs them', () => {
    const result = assignTasks([member('a', { known: ['app-a-0', 'app-dead-0'] })], tasks(1));
    expect(result.vanished).toEqual(['app-dead-0']);
    expect(result.known).toEqual(['app-a-0', 'app-dead-0']);
  });

  test('the order of the members does not matter', () => {
    const members = [member('a', { owned: ['0_5'] }), member('b', { stored: ['0_1'] }), member('c')];
    const forward = assignTasks(members, tasks(7));
    const backward = assignTasks([...members].reverse(), tasks(7));
    for (const one of members) expect(backward.tasks.get(one.memberId)).toEqual(forward.tasks.get(one.memberId));
  });

  test('any sequence of joins and deaths converges to an even assignment within three rounds', () => {
    let state = [member('a'), member('b'), member('c')];
    for (const living of [['a', 'b', 'c'], ['a', 'c'], ['a', 'c', 'd', 'e'], ['e'], ['b', 'e', 'f']]) {
      state = living.map((id) => state.find((one) => one.memberId === id) ?? member(id));
      let last = assignTasks(state, tasks(11));
      for (let round = 0; round < 3; round++) {
        state = state.map((one) => ({ ...one, owned: last.tasks.get(one.memberId) ?? [] }));
        last = assignTasks(state, tasks(11));
      }
      expect(last.withheld).toEqual([]);
      expect(Math.max(...counts(last)) - Math.min(...counts(last))).toBeLessThanOrEqual(1);
      expect([...last.tasks.values()].flat()).toHaveLength(11);
    }
  });
});

describe('spreadOverWorkers', () => {
  test('tasks stay with their worker while the load allows', () => {
    const spread = spreadOverWorkers(
      ['0_0', '0_1', '0_2'],
      2,
      new Map([
        ['0_0', 1],
        ['0_1', 1],
      ]),
    );
    expect(spread.get('0_0')).toBe(1);
    expect(spread.get('0_1')).toBe(1);
    expect(spread.get('0_2')).toBe(0);
  });
  test('a worker that has too many gives some up', () => {
    const spread = spreadOverWorkers(
      ['0_0', '0_1', '0_2', '0_3'],
      2,
      new Map([
        ['0_0', 0],
        ['0_1', 0],
        ['0_2', 0],
        ['0_3', 0],
      ]),
    );
    expect([...spread.values()].filter((worker) => worker === 1)).toHaveLength(2);
  });
});
