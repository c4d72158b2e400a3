// What an instance is made of, and what it tells whoever made it: the seam between the composition root (app.ts) and the life of an instance (instance.ts).
// Never: does anything.
import type { GroupMember, GroupMetadata, LogAdmin, MemberAssignment } from '@millrace/client';
import type { Logger, Ports } from '@millrace/core';
import type { Topology } from '@millrace/topology';
import type { GroupLeader } from './group-leader.ts';
import type { AppSettings } from './options.ts';
import type { StateDirectory } from './state-directory.ts';
import type { TaskDatabases } from './task-databases.ts';
import type { WorkerHost, WorkerHostEvents } from './worker-host.ts';
import type { WorkerNews } from './worker-messages.ts';

export interface InstanceParts {
  readonly topology: Topology;
  readonly topologyHash: string;
  readonly settings: AppSettings;
  readonly directory: StateDirectory;
  readonly databases: TaskDatabases;
  readonly admin: LogAdmin;
  readonly leader: GroupLeader;
  /** What the topology's patterns stand for at the start: partitions by topic; nothing unless given. */
  readonly matched?: ReadonlyMap<string, number>;
  readonly address: () => string | undefined;
  /** Starts worker `index`; used again when one is replaced. `abandoned`: nobody waits for it any more; it is ended, and the promise rejects. */
  readonly startWorker: (index: number, events: WorkerHostEvents, abandoned: AbortSignal) => Promise<WorkerHost>;
  readonly createMember: (hooks: MemberHooks) => GroupMember;
  readonly transactionalId: (index: number) => string;
  readonly ports: Pick<Ports, 'clock' | 'timers'>;
  readonly log: Logger;
  readonly events: InstanceEvents;
}

export interface MemberHooks {
  named(memberId: string): void;
  userData(): Uint8Array;
  assigned(group: GroupMetadata, assignment: MemberAssignment): void;
  lost(reason: Error, fatal: boolean): void;
}

export interface InstanceEvents {
  assigned(tasks: readonly string[]): void;
  revoked(tasks: readonly string[]): void;
  lost(tasks: readonly string[]): void;
  /** Every assigned task runs, or not any more. */
  settledDown(allRunning: boolean): void;
  news(worker: string, news: WorkerNews): void;
  blocked(worker: string, blockedMs: number): void;
  workerFailed(worker: string, error: Error): void;
  /** The instance cannot go on. */
  failed(error: Error): void;
}

export interface TaskView {
  readonly id: string;
  readonly state: 'created' | 'restoring' | 'running' | 'suspended' | 'closed';
  readonly worker: string;
}
