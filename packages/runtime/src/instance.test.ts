// Hand-overs with workers and a group that do what a test says: who claims what, and who gets what, when several things happen at once.
import type { GroupMember, GroupMetadata } from '@millrace/client';
import { MillraceError, silentLogger, systemClock, systemTimers } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { type AssignmentNews, decodeMemberNews, encodeAssignmentNews } from './assignment/wire.ts';
import { Instance } from './instance.ts';
import type { InstanceParts, MemberHooks } from './instance-parts.ts';
import { type ErrorPolicies, settingsOf } from './options.ts';
import { countTopology } from './testing/worker-rig.ts';
import type { WorkerHost, WorkerHostEvents } from './worker-host.ts';
import type { SeatPlan } from './worker-messages.ts';

type Answer = 'takes' | 'sleeps' | 'dies';

interface FakeWorker {
  readonly seat: number;
  readonly plans: SeatPlan[];
  answer: Answer;
  /** How often it was told that the membership is lost. */
  losses: number;
  /** What its last commit waits for when it is to stop. */
  lastCommit: Promise<void>;
  terminated: boolean;
  events: WorkerHostEvents;
}

function rig(workers: number, errors: ErrorPolicies = {}) {
  const program = countTopology();
  const started: FakeWorker[] = [];
  const failures: Error[] = [];
  let hooks: MemberHooks | undefined;
  const rejoins: string[] = [];
  /** How many requests find no broker. */
  const brokers = { away: 0 };
  /** Tasks whose databases were put aside. */
  const quarantined: string[] = [];
  /** Workers that are started while `slow` never come up by themselves; `givenUp` counts those that were told to end. */
  const starts = { slow: false, begun: 0, givenUp: 0 };
  const startWorker = async (seat: number, events: WorkerHostEvents, abandoned: AbortSignal): Promise<WorkerHost> => {
    starts.begun++;
    if (starts.slow)
      await new Promise((_, reject) => {
        abandoned.addEventListener('abort', () => {
          starts.givenUp++;
          reject(new MillraceError('ERR_CLOSED', 'given up'));
        });
      });
    const worker: FakeWorker = { seat, plans: [], answer: 'takes', losses: 0, lastCommit: Promise.resolve(), terminated: false, events };
    started.push(worker);
    return {
      async assign(plan) {
        worker.plans.push(plan);
        if (worker.answer === 'sleeps') await new Promise(() => {});
        if (worker.answer === 'dies') {
          const error = new MillraceError('ERR_TASK_FAILED', 'died on the way');
          events.died(error);
          throw error;
        }
      },
      lost: async () => void worker.losses++,
      ping: async () => {},
      settle: async () => {},
      read: async () => [],
      stop: () => worker.lastCommit,
      terminate: async () => {
        worker.terminated = true;
      },
    };
  };
  const member: GroupMember = { outOfTouch: false, start() {}, rejoin: (reason) => void rejoins.push(reason), close: async () => {} };
  const unused = () => {
    throw new Error('not asked for here');
  };
  const parts: InstanceParts = {
    topology: program,
    topologyHash: 'hash',
    settings: settingsOf(program, { applicationId: 'claims', module: 'file:///none.js', workers, errors, tuning: { sessionTimeout: 60 } }, true),
    directory: {
      path: '',
      instanceId: 'one',
      lastMember: undefined,
      keepMember() {},
      readDeliveries: () => undefined,
      keepDeliveries() {},
      taskPath: (id) => id,
      storedTasks: () => [],
      removeTask() {},
      quarantine: unused,
      release() {},
    },
    databases: {
      open: async () => undefined,
      get: () => undefined,
      endThread: (_, terminate) => terminate(),
      close: async () => {},
      quarantine: async (task) => void quarantined.push(task),
      closeAll: async () => {},
    },
    // The one thing asked of it is which topics there are.
    admin: {
      describeTopics: async () => {
        if (brokers.away-- > 0) throw new MillraceError('ERR_BROKER_UNREACHABLE', 'nobody answers');
        return new Map();
      },
      close: async () => {},
    } as unknown as InstanceParts['admin'],
    leader: {} as InstanceParts['leader'],
    address: () => undefined,
    startWorker,
    createMember: (given) => {
      hooks = given;
      return member;
    },
    transactionalId: (index) => `claims-one-${index}`,
    ports: { clock: systemClock, timers: systemTimers },
    log: silentLogger,
    events: {
      assigned() {},
      revoked() {},
      lost() {},
      settledDown() {},
      news() {},
      blocked() {},
      workerFailed() {},
      failed: (error) => void failures.push(error),
    },
  };
  const instance = new Instance(parts);
  const group = (generation: number, memberId: string): GroupMetadata => ({ groupId: 'claims', memberId, generation, instanceId: undefined });
  const news = (tasks: readonly string[], vanished: readonly string[]): AssignmentNews => ({
    tasks,
    vanished,
    known: ['claims-one-0', ...vanished],
    instances: [],
    refusal: undefined,
  });
  return {
    brokers,
    quarantined,
    starts,
    instance,
    started,
    failures,
    rejoins,
    assigned: (generation: number, tasks: readonly string[], vanished: readonly string[] = [], memberId = 'm') =>
      hooks?.assigned(group(generation, memberId), { partitions: [], userData: encodeAssignmentNews(news(tasks, vanished)) }),
    known: () => decodeMemberNews(hooks?.userData() ?? Buffer.alloc(0), 'm').known,
    lost: () => hooks?.lost(new Error('gone'), false),
    claimed: () => decodeMemberNews(hooks?.userData() ?? Buffer.alloc(0), 'm').owned,
    /** Resolves when every hand-over begun so far has ended: the sum of tasks last given to living workers is `tasks`. */
    async settled(tasks: readonly string[]) {
      const now = () =>
        started
          .filter((one) => !one.terminated)
          .flatMap((one) => one.plans.at(-1)?.tasks.map(({ id }) => id) ?? [])
          .sort()
          .join();
      while (now() !== [...tasks].sort().join()) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe('what a join claims', () => {
  test('a task counts as ours from the moment it is assigned, before any worker has it', async () => {
    const { instance, assigned, claimed } = rig(1);
    await instance.start();
    assigned(1, ['0_0', '0_1']);
    expect(claimed()).toEqual(['0_0', '0_1']);
    await instance.close(true);
  });

  test('a task that leaves is claimed until its worker has let go, then the group is asked again', async () => {
    const { instance, assigned, claimed, settled, rejoins } = rig(1);
    await instance.start();
    assigned(1, ['0_0', '0_1']);
    await settled(['0_0', '0_1']);
    assigned(2, ['0_0']);
    expect(claimed()).toEqual(['0_0', '0_1']);
    while (rejoins.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(claimed()).toEqual(['0_0']);
    await instance.close(true);
  });

  test('after the membership is lost nothing is claimed, and what was assigned before is void', async () => {
    const { instance, assigned, claimed, lost, settled, started } = rig(1);
    await instance.start();
    assigned(1, ['0_0']);
    lost();
    expect(claimed()).toEqual([]);
    assigned(3, ['0_1']);
    await settled(['0_1']);
    expect(started[0]?.plans.flatMap(({ tasks }) => tasks.map(({ id }) => id))).not.toContain('0_0');
    expect(claimed()).toEqual(['0_1']);
    await instance.close(true);
  });
});

describe('a worker whose last commit is under way while the instance stops', () => {
  /** It has a task, and its last commit waits. */
  async function stopping() {
    const all = rig(1);
    await all.instance.start();
    all.assigned(1, ['0_0']);
    await all.settled(['0_0']);
    const worker = all.started[0] as FakeWorker;
    let commitEnds = (): void => {};
    worker.lastCommit = new Promise((resolve) => {
      commitEnds = resolve;
    });
    return { ...all, worker, commitEnds };
  }
  const generations = ({ plans }: FakeWorker) => plans.map(({ group }) => group.generation);

  test('hears of the next generation, with the tasks it has', async () => {
    const { instance, assigned, worker, commitEnds } = await stopping();
    const closed = instance.close(true);
    assigned(2, []);
    expect(worker.plans.at(-1)).toMatchObject({ group: { generation: 2 }, tasks: [{ id: '0_0' }] });
    commitEnds();
    await closed;
    expect(worker.losses).toBe(0);
  });

  test('hears that the membership is lost, and nothing of the next one: its tasks may have gone on elsewhere', async () => {
    const { instance, assigned, lost, worker, commitEnds } = await stopping();
    const closed = instance.close(true);
    const before = generations(worker);
    lost();
    expect(worker.losses).toBe(1);
    assigned(3, [], [], 'another');
    assigned(4, ['0_0'], [], 'another'); // somebody else had it meanwhile
    expect(generations(worker)).toEqual(before);
    commitEnds();
    await closed;
  });

  test('hears of a loss that came just before the stop, too', async () => {
    const { instance, assigned, lost, worker, commitEnds } = await stopping();
    const before = generations(worker);
    lost();
    const closed = instance.close(true);
    expect(worker.losses).toBe(1);
    assigned(3, ['0_0'], [], 'another');
    expect(generations(worker)).toEqual(before);
    commitEnds();
    await closed;
  });
});

test('a worker whose commit was refused because nobody knows the member gets an assignment again: the group is asked, whatever its heartbeats say', async () => {
  const { instance, assigned, settled, started, rejoins } = rig(1);
  await instance.start();
  assigned(1, ['0_0']);
  await settled(['0_0']);
  started[0]?.events.news({ kind: 'membershipLost' });
  expect(rejoins).toEqual(['a commit was refused']);
  await instance.close(true);
});

test('a database that turned out damaged in use is put aside when its worker is replaced; those of its other tasks stay', async () => {
  const { instance, assigned, settled, started, quarantined, failures } = rig(1);
  await instance.start();
  assigned(1, ['0_0', '0_1']);
  await settled(['0_0', '0_1']);
  started[0]?.events.died(new MillraceError('ERR_STORE_CORRUPT', 'a block does not match its checksum', { directory: '0_1' }));
  while (started.length < 2) await new Promise((resolve) => setImmediate(resolve));
  await settled(['0_0', '0_1']);
  expect([quarantined, failures]).toEqual([['0_1'], []]);
  await instance.close(true);
});

test('a worker that is still starting when the instance closes is given up at once', async () => {
  const { instance, assigned, started, settled, starts, failures } = rig(1);
  await instance.start();
  assigned(1, ['0_0', '0_1']);
  await settled(['0_0', '0_1']);
  starts.slow = true;
  started[0]?.events.died(new MillraceError('ERR_TASK_FAILED', 'it is replaced'));
  while (starts.begun < 2) await new Promise((resolve) => setImmediate(resolve));
  await instance.close(true);
  expect(starts.givenUp).toBe(1);
  expect(failures).toEqual([]);
});

test('ids of the vanished are handed to the workers, and forgotten once the tasks have been taken', async () => {
  const { instance, assigned, known, started } = rig(1);
  await instance.start();
  assigned(1, ['0_0'], ['claims-dead-0']);
  while (known().length !== 1) await new Promise((resolve) => setImmediate(resolve));
  expect(started[0]?.plans.at(-1)?.fence).toEqual(['claims-dead-0']);
  expect(known()).toEqual(['claims-one-0']);
  await instance.close(true);
});

describe('a worker in a hand-over', () => {
  test('one that does not let go in time is replaced, and its successor never gets the tasks that leave', async () => {
    const { instance, assigned, settled, started } = rig(1);
    await instance.start();
    assigned(1, ['0_0', '0_1']);
    await settled(['0_0', '0_1']);
    (started[0] as FakeWorker).answer = 'sleeps';
    assigned(2, ['0_0']);
    while (started.length < 2) await new Promise((resolve) => setImmediate(resolve));
    await settled(['0_0']);
    expect(started[0]?.terminated).toBe(true);
    expect(started[1]?.plans.every(({ tasks }) => tasks.every(({ id }) => id === '0_0'))).toBe(true);
    await instance.close(true);
  });

  test('one that dies is replaced, and the instance goes on', async () => {
    const { instance, assigned, settled, started, failures } = rig(2);
    await instance.start();
    assigned(1, ['0_0', '0_1', '0_2', '0_3']);
    await settled(['0_0', '0_1', '0_2', '0_3']);
    (started[0] as FakeWorker).answer = 'dies';
    assigned(2, ['0_1']);
    while (started.length < 3) await new Promise((resolve) => setImmediate(resolve));
    await settled(['0_1']);
    expect(failures).toEqual([]);
    expect(started.filter((one) => one.terminated).map(({ seat }) => seat)).toEqual([0]);
    await instance.close(true);
  });
});

test('brokers that are away while tasks are taken up are waited for', async () => {
  const { instance, assigned, brokers, failures, settled } = rig(1);
  await instance.start();
  brokers.away = 2;
  assigned(1, ['0_0']);
  await settled(['0_0']);
  expect(failures).toEqual([]);
  await instance.close(true);
});

describe('what follows when a worker fails', () => {
  const failed = (offset: number) => new MillraceError('ERR_TASK_FAILED', `failed at ${offset}`, { task: '0_0', topic: 'in', partition: 0, offset });
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  /** Lets workers fail, one after another, each at the next record; returns how many were started and what ended the instance. */
  async function outcome(errors: ErrorPolicies, fails: readonly MillraceError[], commits = false): Promise<{ started: number; reason: string | undefined }> {
    const { instance, assigned, settled, started, failures } = rig(1, errors);
    await instance.start();
    assigned(1, ['0_0']);
    await settled(['0_0']);
    for (const error of fails) {
      const before = started.length;
      if (commits) started.at(-1)?.events.news({ kind: 'committed', records: 1 });
      started.at(-1)?.events.died(error);
      while (started.length === before && failures.length === 0) await turn();
      if (failures.length > 0) break;
      await settled(['0_0']);
    }
    await instance.close(true);
    return { started: started.length, reason: failures[0]?.message };
  }

  test('restartWorker, which is what follows unless said otherwise: another one in its place with the same tasks', async () => {
    for (const errors of [{}, { onWorkerFailure: 'restartWorker' } as const])
      expect(await outcome(errors, [failed(1), failed(2)])).toEqual({ started: 3, reason: undefined });
  });

  test('three failures without a commit between them stop the instance whatever the policy says; with commits between them it goes on', async () => {
    expect(await outcome({}, [failed(1), failed(2), failed(3)])).toEqual({ started: 3, reason: 'failed at 3' });
    expect(await outcome({}, [failed(1), failed(2), failed(3), failed(4), failed(5)], true)).toEqual({ started: 6, reason: undefined });
  });

  test('three failures at one record stop the instance, also with commits between them', async () => {
    expect(await outcome({}, [failed(7), failed(7), failed(7)], true)).toEqual({ started: 3, reason: 'failed at 7' });
  });

  test('stopInstance: the first failure is its end', async () => {
    expect(await outcome({ onWorkerFailure: 'stopInstance' }, [failed(1)])).toEqual({ started: 1, reason: 'failed at 1' });
  });

  test('a function decides by the error; one that throws means stopInstance', async () => {
    const asked: string[] = [];
    const onWorkerFailure = (error: MillraceError) => {
      asked.push(error.code);
      return error.message === 'failed at 2' ? ('stopInstance' as const) : ('restartWorker' as const);
    };
    expect(await outcome({ onWorkerFailure }, [failed(1), failed(2)])).toEqual({ started: 2, reason: 'failed at 2' });
    expect(asked).toEqual(['ERR_TASK_FAILED', 'ERR_TASK_FAILED']);
    const throws = () => {
      throw new Error('no idea');
    };
    expect(await outcome({ onWorkerFailure: throws }, [failed(1)])).toEqual({ started: 1, reason: 'failed at 1' });
  });

  test('an error that needs a person stops the instance at once: the same settings would meet it again', async () => {
    const error = new MillraceError('ERR_AUTHORIZATION', 'no right to write');
    expect(await outcome({ onWorkerFailure: 'restartWorker' }, [error])).toEqual({ started: 1, reason: 'no right to write' });
  });
});
