// Runs the groups: asks `decide`, writes its records, applies them, sends its answers, wakes up at its deadlines.
// Owns: the groups of this broker and the requests that are parked in them.  Never: decides anything itself.
// G1 a decision is carried out whole or not at all: when the log refuses the records, only the asker hears of it.
// G2 answers that promise something written leave after the log calls it durable.
// G3 everything runs on one event loop, so between two requests a group is never half changed.
import { assert, type Clock, type Logger, MillraceError, type Timer, type Timers } from '@millrace/core';
import { ERROR_CODES } from '@millrace/protocol';
import { coordinatorPartition } from '../coordinator-partition.ts';
import { type InternalLog, OFFSETS_TOPIC, type TopicWatcher } from '../internal-log.ts';
import { applyGroupRecord, applyMarker } from './apply.ts';
import { NO_TOPICS, type TopicCatalog } from './consumer/catalog.ts';
import { checkMemberEpoch } from './consumer/members.ts';
import { type ConsumerPresence, NO_PRESENCE, nextConsumerDeadline, presenceAfterRestart } from './consumer/presence.ts';
import { type ConsumerPhase, consumerPhase } from './consumer/state.ts';
import { type ConsumerGroupDescription, describeConsumerGroup } from './consumer/view.ts';
import { decideGroup } from './decide.ts';
import type { GroupDecision } from './draft.ts';
import { EMPTY_MEMBERSHIP, isAbsent, type Membership, membershipAfterRestart, nextDeadline } from './membership.ts';
import type { GroupOptions } from './options.ts';
import { ParkedRequests } from './parked-requests.ts';
import { PendingMarkers } from './pending-markers.ts';
import { decodeGroupRecord, encodeGroupRecord, type GroupRecord } from './records.ts';
import type { AskedRequest, EventRequest, GroupReply, GroupRequest, Moment, ReplyByKind } from './requests.ts';
import { createGroupState, type GroupState } from './state.ts';
import { type AskedTopic, describeGroup, type FetchedTopic, fetchOffsets, type GroupDescription } from './view.ts';

export interface GroupPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
}

/** A listed group. */
export interface GroupListing {
  readonly groupId: string;
  readonly protocolType: string;
  readonly phase: Membership['phase'] | ConsumerPhase;
  /** Which protocol its members speak. */
  readonly type: 'classic' | 'consumer';
}

interface HeldGroup {
  readonly state: GroupState;
  readonly partition: number;
  membership: Membership;
  presence: ConsumerPresence;
  timer: Timer | undefined;
  timerAtMs: number;
}

/** After a deadline could not be handled because the log refused the write. */
const RETRY_MS = 1_000;
/** What events pass instead of a ticket: nobody holds it. */
const NO_TICKET = -1;

export class GroupCoordinator implements TopicWatcher {
  readonly #ports: GroupPorts;
  readonly #internalLog: InternalLog;
  readonly #catalog: TopicCatalog;
  readonly #options: GroupOptions;
  readonly #groups = new Map<string, HeldGroup>();
  readonly #pending = new PendingMarkers<HeldGroup>();
  readonly #parked = new ParkedRequests();
  #sweep: Timer | undefined;
  #stopped = false;

  /** Without a catalog members of consumer groups are assigned nothing. */
  constructor(ports: GroupPorts, internalLog: InternalLog, options: GroupOptions, catalog: TopicCatalog = NO_TOPICS) {
    this.#ports = ports;
    this.#internalLog = internalLog;
    this.#catalog = catalog;
    this.#options = options;
  }

  /** Reads everything back and begins to watch sessions. Once, before the first request. */
  start(): void {
    for (let partition = 0; partition < this.#internalLog.partitionCount(OFFSETS_TOPIC); partition++) this.#replay(partition);
    const { atMs } = this.#now();
    for (const [groupId, group] of this.#groups) {
      group.membership = membershipAfterRestart(group.state.metadata, atMs);
      group.presence = presenceAfterRestart(group.state.consumer, this.#options, atMs);
      if (isAbsent(group.state, group.membership)) this.#groups.delete(groupId);
      else this.#arm(group);
    }
    this.#sweep = this.#ports.timers.every(this.#options.offsetsCheckIntervalMs, () => this.#expire());
  }

  /** Answers what is parked with NOT_COORDINATOR, so that clients look for the coordinator again, and stops all timers. */
  stop(): void {
    this.#stopped = true;
    this.#sweep?.cancel();
    for (const group of this.#groups.values()) group.timer?.cancel();
    this.#parked.refuseAll(ERROR_CODES.NOT_COORDINATOR);
  }

  /** The answer comes when there is one: a join or sync may be parked for as long as the group's members take. Never rejects. */
  ask<Request extends AskedRequest>(request: Request): Promise<ReplyByKind[Request['kind']]> {
    return new Promise((resolve) => {
      // Sound: decide answers a ticket with the reply of the kind of request that was given with it.
      const ticket = this.#parked.park(request, resolve as (reply: GroupReply) => void);
      this.#run(request, ticket);
    });
  }

  /** The partition of the offsets topic that holds the group. */
  partitionOf(groupId: string): number {
    return coordinatorPartition(groupId, this.#internalLog.partitionCount(OFFSETS_TOPIC));
  }

  fetchOffsets(groupId: string, topics: readonly AskedTopic[] | null, requireStable: boolean): FetchedTopic[] {
    return fetchOffsets(this.#groups.get(groupId)?.state, topics, requireStable);
  }

  /** NONE, or why a fetch of offsets in the name of a member is refused (OffsetFetch 9). */
  fetchCode(groupId: string, memberId: string | null, memberEpoch: number): number {
    const group = this.#groups.get(groupId)?.state.consumer;
    if (group === undefined || (memberEpoch < 0 && memberId === null)) return ERROR_CODES.NONE;
    return checkMemberEpoch(group.members, group.current, memberId ?? '', memberEpoch);
  }

  /** A consumer group is described as a classic one that is dead: `describeConsumer` shows it. */
  describe(groupId: string): GroupDescription {
    const group = this.#groups.get(groupId);
    return describeGroup(group?.state.consumer === undefined ? group?.membership : undefined);
  }

  /** Undefined: there is no consumer group of that id. */
  describeConsumer(groupId: string): ConsumerGroupDescription | undefined {
    const group = this.#groups.get(groupId)?.state.consumer;
    return group === undefined ? undefined : describeConsumerGroup(group, this.#catalog);
  }

  /** Groups that are remembered. */
  get count(): number {
    return this.#groups.size;
  }

  /** Of all groups together: members, ids that were given out and have not joined yet, and groups whose members are being assigned anew. */
  occupancy(): { readonly members: number; readonly promised: number; readonly rebalancing: number } {
    let [members, promised, rebalancing] = [0, 0, 0];
    for (const { state, membership } of this.#groups.values()) {
      const phase = state.consumer === undefined ? membership.phase : consumerPhase(state.consumer);
      members += membership.members.size + (state.consumer?.members.size ?? 0);
      promised += membership.promisedIds.size;
      if (phase !== 'Stable' && phase !== 'Empty') rebalancing++;
    }
    return { members, promised, rebalancing };
  }

  list(): GroupListing[] {
    return [...this.#groups.values()].map(({ state, membership }) => {
      const { groupId, consumer } = state;
      if (consumer !== undefined) return { groupId, protocolType: 'consumer', phase: consumerPhase(consumer), type: 'consumer' };
      return { groupId, protocolType: membership.protocolType ?? '', phase: membership.phase, type: 'classic' };
    });
  }

  /** The transaction coordinator has written a marker to a partition of the offsets topic. */
  markerWritten(partition: number, producerId: number, commit: boolean): void {
    this.#pending.ended(partition, producerId, (group) => {
      applyMarker(group.state, producerId, commit);
      this.#dropIfAbsent(group);
    });
  }

  topicDeleted(topic: string): void {
    for (const group of [...this.#groups.values()]) {
      const pending = [...group.state.pending.values()].some((table) => table.has(topic));
      if (pending || group.state.offsets.has(topic)) this.#happen({ kind: 'topic-deleted', groupId: group.state.groupId, topic });
    }
  }

  /** What would come back after a restart, for tests and the consistency check: a copy by group id. */
  snapshot(): ReadonlyMap<string, GroupState> {
    return new Map([...this.#groups].filter(([, group]) => !isAbsent(group.state, EMPTY_MEMBERSHIP)).map(([id, group]) => [id, structuredClone(group.state)]));
  }

  #run(request: AskedRequest, ticket: number): void {
    const refused = this.#stopped ? ERROR_CODES.NOT_COORDINATOR : this.#refuseByCount(request);
    if (refused !== undefined) {
      this.#parked.refuse(ticket, refused);
      return;
    }
    const group = this.#groups.get(request.groupId) ?? this.#blank(request.groupId);
    const decision = this.#decide(group, request, ticket);
    try {
      this.#write(group, decision.records, request.kind === 'commit' ? request.transaction : undefined);
    } catch (error) {
      this.#ports.log.error({ group: request.groupId, request: request.kind, error: String(error) }, 'a group record could not be written');
      this.#parked.refuse(ticket, codeOfWriteError(request, error));
      return;
    }
    this.#settle(group, decision);
  }

  /** An event nobody waits for. False when the log refused what it wanted to write; then nothing has changed. */
  #happen(request: EventRequest): boolean {
    const group = this.#groups.get(request.groupId);
    if (group === undefined || this.#stopped) return true;
    const decision = this.#decide(group, request, NO_TICKET);
    try {
      this.#write(group, decision.records, undefined);
    } catch (error) {
      this.#ports.log.error({ group: request.groupId, event: request.kind, error: String(error) }, 'a group record could not be written');
      return false;
    }
    this.#settle(group, decision);
    return true;
  }

  #decide(group: HeldGroup, request: GroupRequest, ticket: number): GroupDecision {
    const { state, membership, presence } = group;
    return decideGroup({ state, membership, presence, catalog: this.#catalog, now: this.#now(), options: this.#options }, request, ticket);
  }

  /** Log first, then state: what could not be written has not happened. */
  #write(group: HeldGroup, records: readonly GroupRecord[], transaction: { readonly producerId: number; readonly producerEpoch: number } | undefined): void {
    if (records.length === 0) return;
    const first = this.#internalLog.appendRecords(OFFSETS_TOPIC, group.partition, records.map(encodeGroupRecord), transaction);
    records.forEach((record, index) => {
      applyGroupRecord(group.state, record, { position: first + index, pendingFor: transaction?.producerId });
    });
    if (transaction !== undefined) this.#pending.add(group, transaction.producerId);
  }

  #settle(group: HeldGroup, decision: GroupDecision): void {
    group.membership = decision.membership;
    group.presence = decision.presence;
    if (isAbsent(group.state, group.membership)) this.#dropIfAbsent(group);
    else {
      this.#groups.set(group.state.groupId, group);
      this.#arm(group);
    }
    const durable = decision.records.length === 0 ? undefined : this.#internalLog.durable();
    if (durable === undefined) {
      this.#answerAll(decision);
      return;
    }
    durable.then(
      () => this.#answerAll(decision),
      (error: unknown) => {
        this.#ports.log.error({ group: group.state.groupId, error: String(error) }, 'a group record could not be made durable');
        for (const { ticket } of decision.replies) this.#parked.refuse(ticket, ERROR_CODES.COORDINATOR_NOT_AVAILABLE);
      },
    );
  }

  #answerAll(decision: GroupDecision): void {
    for (const { ticket, reply } of decision.replies) this.#parked.answer(ticket, reply);
  }

  /** One timer per group, set to the earliest deadline it ever had: sessions that were refreshed move it when it fires, not at each heartbeat. */
  #arm(group: HeldGroup): void {
    const dueMs = Math.min(nextDeadline(group.membership), nextConsumerDeadline(group.presence));
    if (group.timer !== undefined && group.timerAtMs <= dueMs) return;
    group.timer?.cancel();
    group.timer = undefined;
    if (dueMs !== Number.POSITIVE_INFINITY) this.#armAt(group, dueMs);
  }

  #armAt(group: HeldGroup, dueMs: number): void {
    const delayMs = Math.max(0, Math.ceil(dueMs - this.#ports.clock.monotonicMs()));
    group.timerAtMs = dueMs;
    group.timer = this.#ports.timers.after(delayMs, () => {
      group.timer = undefined;
      if (this.#stopped || this.#groups.get(group.state.groupId) !== group) return;
      if (!this.#happen({ kind: 'tick', groupId: group.state.groupId })) this.#armAt(group, this.#ports.clock.monotonicMs() + RETRY_MS);
    });
  }

  #expire(): void {
    for (const groupId of [...this.#groups.keys()]) this.#happen({ kind: 'expire', groupId });
  }

  #replay(partition: number): void {
    this.#internalLog.replay(OFFSETS_TOPIC, partition, {
      record: (bytes, position, _timestampMs, transaction) => {
        let record: GroupRecord | undefined;
        try {
          record = decodeGroupRecord(bytes);
        } catch (error) {
          this.#ports.log.warn({ topic: OFFSETS_TOPIC, partition, offset: position, error: String(error) }, 'skipped a group record that cannot be read');
        }
        if (record === undefined) return;
        let group = this.#groups.get(record.groupId);
        if (group === undefined) this.#groups.set(record.groupId, (group = this.#blank(record.groupId, partition)));
        applyGroupRecord(group.state, record, { position, pendingFor: transaction?.producerId });
        if (transaction !== undefined) this.#pending.add(group, transaction.producerId);
      },
      marker: ({ producerId, commit }) => {
        this.#pending.ended(partition, producerId, (group) => applyMarker(group.state, producerId, commit));
      },
    });
  }

  #blank(groupId: string, partition = this.partitionOf(groupId)): HeldGroup {
    assert(partition >= 0, 'a partition is not negative');
    return { state: createGroupState(groupId), partition, membership: EMPTY_MEMBERSHIP, presence: NO_PRESENCE, timer: undefined, timerAtMs: 0 };
  }

  #dropIfAbsent(group: HeldGroup): void {
    if (!isAbsent(group.state, group.membership)) return;
    group.timer?.cancel();
    group.timer = undefined;
    if (this.#groups.get(group.state.groupId) === group) this.#groups.delete(group.state.groupId);
  }

  #refuseByCount(request: AskedRequest): number | undefined {
    const creates = request.kind === 'join' || request.kind === 'commit' || request.kind === 'consumer-heartbeat';
    const full = creates && this.#groups.size >= this.#options.groupsMax && !this.#groups.has(request.groupId);
    return full ? ERROR_CODES.COORDINATOR_NOT_AVAILABLE : undefined;
  }

  #now(): Moment {
    return { wallMs: this.#ports.clock.nowMs(), atMs: this.#ports.clock.monotonicMs() };
  }
}

/** Too much in one write is the asker's affair; anything else is this broker's, and may pass. */
function codeOfWriteError(request: AskedRequest, error: unknown): number {
  if (!MillraceError.is(error) || error.code !== 'ERR_RECORD_TOO_LARGE') return ERROR_CODES.COORDINATOR_NOT_AVAILABLE;
  return request.kind === 'commit' ? ERROR_CODES.INVALID_COMMIT_OFFSET_SIZE : ERROR_CODES.UNKNOWN_SERVER_ERROR;
}
