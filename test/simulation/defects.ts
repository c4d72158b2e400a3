// K11: twenty defects that a stream processor must not have, each as it would look in ours. `put` breaks the code; `faults` are those under which
// it shows; `scenario` a topology that would notice.
import type { Duration } from '@millrace/core';
import type { FaultRates } from '@millrace/sim';
import { PartitionLog } from '../../packages/broker/src/log/partition-log.ts';
import { TransactionCoordinator } from '../../packages/broker/src/transaction/coordinator.ts';
import { KafkaAdmin } from '../../packages/client/src/kafka/admin.ts';
import { BrokerConnection } from '../../packages/client/src/kafka/connection.ts';
import { KafkaGroupMember } from '../../packages/client/src/kafka/group-member.ts';
import { KafkaProducer } from '../../packages/client/src/kafka/producer.ts';
import { Restorer } from '../../packages/runtime/src/restore/restorer.ts';
import { TaskStores } from '../../packages/runtime/src/task/task-stores.ts';
import type { Patches } from './patch.ts';

/** Defects in plain functions: the test replaces their modules by ones that look here. */
export const switches = { twiceAssigned: false, keepsTasks: false, latenessByWallClock: false };

export interface Defect {
  readonly name: string;
  readonly scenario: string;
  readonly faults: FaultRates;
  readonly workers?: number;
  /** The seed decides unless given. */
  readonly partitions?: number;
  readonly patience?: Duration;
  /** One that notices; 1 unless given. Without the defect it must pass. */
  readonly seed?: number;
  put(patches: Patches): void;
}

const crashes: FaultRates = { crashes: 40, restarts: 10, workerDeaths: 20 };
const lost: FaultRates = { lostAnswers: 400, cuts: 30 };
const moves: FaultRates = { rebalances: 30, zombies: 20, networkSplits: 15, crashes: 10 };

// Methods get their arguments as they come: a defect does not care for all of them.
type Any = never;

/** The closing span of a store ends as if it were committed; not every store has one. */
function endClosing(store: { committed(): void }): void {
  try {
    store.committed();
  } catch {
    // nothing was closing
  }
}

export const DEFECTS: readonly Defect[] = [
  {
    name: 'fencing is skipped',
    scenario: 'counts',
    faults: { zombies: 60, networkSplits: 40 },
    workers: 3,
    seed: 3,
    put: (patches) => {
      patches.method(
        KafkaProducer.prototype,
        'sendOffsets',
        (original) =>
          function (group: { groupId: string }, offsets: Any) {
            return original.call(this as Any, { groupId: group.groupId, memberId: '', generation: -1, instanceId: undefined } as Any, offsets);
          },
      );
      patches.method(KafkaAdmin.prototype, 'fenceTransactionalId', () => () => Promise.resolve());
    },
  },
  {
    name: 'offsets are committed before their outputs are written',
    scenario: 'ledger',
    faults: crashes,
    put: (patches) => {
      const { send } = KafkaProducer.prototype;
      const held = new WeakMap<object, Parameters<typeof send>[]>();
      patches.method(
        KafkaProducer.prototype,
        'send',
        (original) =>
          function (topic: string, partition: Any, batch: Any) {
            if (topic.endsWith('-changelog')) return original.call(this as Any, topic as Any, partition, batch);
            held.set(this, [...(held.get(this) ?? []), [topic, partition, batch]]);
            return Promise.resolve({ baseOffset: 0, logAppendTime: -1 });
          },
      );
      patches.method(
        KafkaProducer.prototype,
        'begin',
        (original) =>
          function () {
            original.call(this as Any);
            for (const args of held.get(this) ?? []) send.apply(this, args).catch(() => undefined);
            held.delete(this);
          },
      );
    },
  },
  {
    name: 'aborted records are read',
    scenario: 'counts',
    faults: crashes,
    put: (patches) => patches.method(PartitionLog.prototype, 'abortedIn', () => () => []),
  },
  {
    name: 'the checkpoint counts what was produced, not what was committed',
    scenario: 'counts',
    faults: crashes,
    seed: 4,
    put: (patches) =>
      patches.method(
        TaskStores.prototype,
        'settle',
        (original) =>
          function (nowMs: Any, inputs: Any) {
            for (const one of this.all) if (one.log.kind === 'changelog') one.checkpointOffset += 2;
            try {
              original.call(this as Any, nowMs, inputs);
            } finally {
              for (const one of this.all) if (one.log.kind === 'changelog') one.checkpointOffset -= 2;
            }
          },
      ),
  },
  {
    name: 'stores are settled before the commit',
    scenario: 'counts',
    faults: { ...crashes, ...lost },
    seed: 3,
    put: (patches) => {
      patches.method(
        TaskStores.prototype,
        'close',
        (original) =>
          function () {
            original.call(this as Any);
            for (const one of this.all) one.store.committed();
            this.settle(0, '{}');
          },
      );
      patches.method(
        TaskStores.prototype,
        'committed',
        () =>
          function (ends: Map<unknown, number>) {
            for (const one of this.all) {
              const end = one.log.kind === 'changelog' ? ends.get(one.log.lane) : undefined;
              if (end !== undefined) one.checkpointOffset = end as Any;
            }
          },
      );
    },
  },
  {
    name: 'a commit without an answer counts as done',
    scenario: 'ledger',
    faults: lost,
    put: (patches) =>
      patches.method(
        KafkaProducer.prototype,
        'end',
        (original) =>
          async function (commit: Any) {
            try {
              await original.call(this as Any, commit);
            } catch (error) {
              if ((error as { code?: string }).code !== 'ERR_TRANSACTION_INDEFINITE') throw error;
              await this.initialise();
            }
          },
      ),
  },
  {
    name: 'an indefinite EndTxn is sent again',
    scenario: 'ledger',
    faults: lost,
    put: (patches) => {
      const last = new WeakMap<object, readonly Any[]>();
      patches.method(
        KafkaProducer.prototype,
        'sendOffsets',
        (original) =>
          function (group: Any, offsets: Any) {
            last.set(this, [group, offsets]);
            return original.call(this as Any, group, offsets);
          },
      );
      patches.method(
        KafkaProducer.prototype,
        'end',
        (original) =>
          async function (commit: Any) {
            try {
              await original.call(this as Any, commit);
            } catch (error) {
              const again = last.get(this);
              if ((error as { code?: string }).code !== 'ERR_TRANSACTION_INDEFINITE' || again === undefined) throw error;
              await this.initialise();
              this.begin();
              await this.sendOffsets(again[0] as Any, again[1] as Any);
              await original.call(this as Any, commit);
            }
          },
      );
    },
  },
  {
    name: 'the error of a send is swallowed',
    scenario: 'ledger',
    faults: crashes,
    put: (patches) => {
      let sends = 0;
      patches.method(
        KafkaProducer.prototype,
        'send',
        (original) =>
          function (topic: string, partition: Any, batch: { release(): void }) {
            if (!topic.endsWith('-repartition') || ++sends % 15 !== 0) return original.call(this as Any, topic as Any, partition, batch as Any);
            batch.release();
            return Promise.resolve({ baseOffset: 0, logAppendTime: -1 });
          },
      );
    },
  },
  {
    name: 'a store is taken up without the last batch of its changelog',
    scenario: 'counts',
    faults: { ...crashes, lostDisks: 10 },
    put: (patches) =>
      patches.method(
        Restorer.prototype,
        'restore',
        (original) =>
          function (job: { from: number; to: number }) {
            return original.call(this as Any, { ...job, to: Math.max(job.from, job.to - 4) } as Any);
          },
      ),
  },
  {
    name: 'LeaveGroup is dropped',
    scenario: 'counts',
    faults: {},
    workers: 3,
    put: (patches) =>
      patches.method(
        KafkaGroupMember.prototype,
        'close',
        (original) =>
          function () {
            return original.call(this as Any, false as Any);
          },
      ),
  },
  {
    name: 'a transactional id is used twice',
    scenario: 'counts',
    faults: {},
    workers: 3,
    seed: 10,
    patience: '5s',
    put: (patches) =>
      patches.method(
        BrokerConnection.prototype,
        'request',
        (original) =>
          function (api: Any, body: { transactionalId?: string | null }, options: Any) {
            const same = typeof body.transactionalId === 'string' ? { ...body, transactionalId: 'the-same' } : body;
            return original.call(this as Any, api, same as Any, options);
          },
      ),
  },
  {
    name: 'a position is off by one',
    scenario: 'ledger',
    faults: {},
    put: (patches) =>
      patches.method(
        KafkaProducer.prototype,
        'sendOffsets',
        (original) =>
          function (group: Any, offsets: readonly { offset: number }[]) {
            return original.call(this as Any, group, offsets.map((one) => ({ ...one, offset: Math.max(0, one.offset - 1) })) as Any);
          },
      ),
  },
  {
    name: 'staging is kept when its span is dropped',
    scenario: 'counts',
    faults: lost,
    seed: 9,
    put: (patches) =>
      patches.method(
        TaskStores.prototype,
        'drop',
        (original) =>
          function () {
            for (const { store } of this.all) {
              endClosing(store);
              store.close(undefined);
              store.committed();
            }
            this.settle(0, '{}');
            original.call(this as Any);
          },
      ),
  },
  {
    name: 'a late EndTxn is applied',
    scenario: 'ledger',
    faults: lost,
    seed: 6,
    put: (patches) => {
      const asNow = (coordinator: TransactionCoordinator, request: { transactionalId: string; producerId: number; producerEpoch: number }): Any => {
        const state = coordinator.describe(request.transactionalId);
        return (state === undefined ? request : { ...request, producerId: state.producerId, producerEpoch: state.producerEpoch }) as Any;
      };
      patches.method(
        TransactionCoordinator.prototype,
        'endTransaction',
        (original) =>
          function (request: Any, commit: Any) {
            return original.call(this as Any, asNow(this, request), commit);
          },
      );
      patches.method(
        TransactionCoordinator.prototype,
        'endAndBump',
        (original) =>
          function (request: Any, commit: Any) {
            return original.call(this as Any, asNow(this, request), commit);
          },
      );
    },
  },
  {
    name: 'a task is assigned twice',
    scenario: 'counts',
    faults: {},
    workers: 3,
    // Two that have the same task turn each other out for ever: the sooner it is told the better.
    patience: '3s',
    put: () => {
      switches.twiceAssigned = true;
    },
  },
  {
    name: 'offsets are fetched while a transaction with them is open',
    // An owner that leaves in order goes on its way as soon as its commit is answered; the marker that makes the offsets count comes later.
    scenario: 'counts',
    faults: { slowMarkers: 1, rebalances: 60 },
    partitions: 4,
    put: (patches) =>
      patches.method(
        BrokerConnection.prototype,
        'request',
        (original) =>
          function (api: { key: number }, body: object, options: Any) {
            return original.call(this as Any, api as Any, (api.key === 9 ? { ...body, requireStable: false } : body) as Any, options);
          },
      ),
  },
  { name: 'a key is changed without a shuffle', scenario: 'unshuffled', faults: {}, put: () => undefined },
  {
    name: 'late is judged by another clock than the records',
    scenario: 'lateness',
    faults: {},
    put: () => {
      switches.latenessByWallClock = true;
    },
  },
  {
    name: 'a restore counts records instead of comparing positions',
    scenario: 'counts',
    faults: crashes,
    put: (patches) =>
      patches.method(
        Restorer.prototype,
        'restore',
        (original) =>
          async function (job: { from: number; to: number }) {
            const restored = (await original.call(this as Any, job as Any)) as number;
            if (restored < job.to - job.from) await new Promise(() => undefined);
            return restored;
          },
      ),
  },
  {
    name: 'a task stays with the worker that gave it up',
    scenario: 'counts',
    faults: moves,
    workers: 4,
    seed: 5,
    put: () => {
      switches.keepsTasks = true;
    },
  },
];
