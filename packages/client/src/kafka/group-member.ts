// GroupMember over Kafka's classic protocol: joins, syncs, keeps alive, notices when it is out.
// Owns: member id, generation, the session clock.  Never: stops what is kept during a rebalance, decides who gets what, commits.
//
//   idle ──start──▶ joining ──▶ syncing ──▶ stable ──[27] or rejoin()──▶ joining      (any state: close, or a fatal answer ──▶ closed)
//                      ▲───── back-off ◀──────┴── [25], session expired: lost
//
// M1 one loop (#run) makes every move.  M2 heartbeats go on while the leader's assignor works and while the runtime revokes.
// M3 no request is sent under a generation that is known to be over.  M4 silence of the coordinator for a session timeout means lost, by our own clock.
// M5 a parked join waits on a connection of its own, so nothing else waits behind it.
// Source: KIP-62, KIP-345, KIP-394, KIP-429, KIP-814.
import { assert, backoffMs, MillraceError, sleep, type Timer } from '@millrace/core';
import { APIS, type ResponseBody } from '@millrace/protocol';
import type { FilledMemberOptions } from '../options.ts';
import type { GroupMember, GroupMemberHooks, GroupMetadata, MemberSubscription } from '../port.ts';
import type { KafkaCluster } from './cluster.ts';
import { isConnectionFailure } from './connection.ts';
import { kafkaCodeOf, kafkaFailure, responseTo } from './error-response.ts';
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './group-wire.ts';
import { createLatch, type Latch } from './latch.ts';

const MEMBER_MOVES = {
  idle: ['joining', 'closed'],
  joining: ['syncing', 'joining', 'closed'],
  syncing: ['stable', 'joining', 'closed'],
  stable: ['joining', 'closed'],
  closed: [],
} as const;
type MemberState = keyof typeof MEMBER_MOVES;

const PROTOCOL_TYPE = 'consumer';
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MS_MAX = 2_000;
/** A join is answered after the rebalance timeout at the latest; this much on top for the way. */
const JOIN_MARGIN_MS = 5_000;
/** For all attempts to leave together. */
const LEAVE_MS = 2_000;
const LEAVE_ATTEMPTS = 6;
const LEAVE_BACKOFF_FIRST_MS = 10;
const ILLEGAL_GENERATION = 22;
const UNKNOWN_MEMBER = 25;
const REBALANCE_IN_PROGRESS = 27;
const MEMBER_ID_REQUIRED = 79;
const FENCED_INSTANCE = 82;
const NO_GENERATION = -1;

type JoinBody = ResponseBody<typeof APIS.joinGroup>;

export class KafkaGroupMember implements GroupMember {
  readonly #cluster: KafkaCluster;
  readonly #options: FilledMemberOptions;
  readonly #hooks: GroupMemberHooks;
  #state: MemberState = 'idle';
  #memberId = '';
  #generation = NO_GENERATION;
  /** True from `assigned` until `lost`: there is something to lose. */
  #assigned = false;
  /** Why the next join; empty: none is wanted. */
  #rejoinReason = '';
  /** Monotonic ms at which the coordinator last heard from us and said so. */
  #heardAtMs = 0;
  /** When the last request was sent that the coordinator has answered: from then on, or later, it counts the session. */
  #askedAtMs = 0;
  #failures = 0;
  /** A join has been sent, and its answer may come. */
  #joins = false;
  #running: Promise<void> | undefined;
  #sleeping: Latch<void> | undefined;

  constructor(cluster: KafkaCluster, options: FilledMemberOptions, hooks: GroupMemberHooks) {
    this.#cluster = cluster;
    this.#options = options;
    this.#hooks = hooks;
  }

  get outOfTouch(): boolean {
    if (!this.#assigned) return true; // a join after that may be parked for long: what was ours is not ours meanwhile
    const { sessionTimeoutMs, rebalanceTimeoutMs } = this.#options;
    const joins = this.#state === 'joining' || this.#state === 'syncing';
    return this.#cluster.ports.clock.monotonicMs() - this.#askedAtMs >= sessionTimeoutMs + (joins ? rebalanceTimeoutMs : 0);
  }

  start(): void {
    assert(this.#state === 'idle', 'a member is started once');
    this.#move('joining');
    this.#running = this.#run();
  }

  rejoin(reason: string): void {
    if (this.#state === 'closed') return;
    this.#rejoinReason = reason;
    this.#wake();
  }

  async close(leave: boolean): Promise<void> {
    if (this.#state === 'closed') return;
    const memberId = this.#memberId;
    this.#move('closed');
    this.#wake();
    if (leave && memberId !== '') await this.#leave(memberId);
    else if (leave && this.#joins) await this.#leaveUnnamed();
    this.#cluster.close();
    await this.#running;
  }

  // ---- the loop -----------------------------------------------------------------------------------------------------

  async #run(): Promise<void> {
    while (!this.#is('closed')) {
      try {
        await this.#cluster.start();
        await this.#turn();
        this.#failures = 0;
      } catch (error) {
        if (this.#is('closed')) return;
        await this.#failed(error);
      }
    }
  }

  /** One move of the state machine. */
  async #turn(): Promise<void> {
    switch (this.#state) {
      case 'joining':
        return this.#join();
      case 'stable':
        return this.#keepAlive();
      default:
        assert(false, `a member's loop found itself ${this.#state}`);
    }
  }

  async #join(): Promise<void> {
    const reason = this.#rejoinReason;
    this.#rejoinReason = '';
    const { groupId, instanceId, sessionTimeoutMs, rebalanceTimeoutMs, protocolName, topics } = this.#options;
    const connection = await this.#coordinator();
    this.#joins = true;
    const answered = connection.request(
      APIS.joinGroup,
      {
        groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId: this.#memberId,
        groupInstanceId: instanceId ?? null,
        protocolType: PROTOCOL_TYPE,
        protocols: [{ name: protocolName, metadata: encodeSubscription({ topics: this.#hooks.topics?.() ?? topics, userData: this.#hooks.userData() }) }],
        reason: reason === '' ? null : reason.slice(0, 255),
      },
      { timeoutMs: rebalanceTimeoutMs + JOIN_MARGIN_MS },
    );
    const body = await this.#waitedOut(answered).finally(() => {
      this.#joins = false;
    });
    if (this.#is('closed')) return this.#leaveAfterAll(body.memberId);
    if (body.errorCode === MEMBER_ID_REQUIRED) {
      this.#memberId = body.memberId;
      this.#hooks.named?.(body.memberId);
      return;
    }
    if (body.errorCode !== 0) throw kafkaFailure(body.errorCode, `Joining group "${groupId}"`, { groupId });
    this.#memberId = body.memberId;
    this.#generation = body.generationId;
    this.#heard();
    this.#move('syncing');
    await this.#sync(body);
  }

  async #sync(joined: JoinBody): Promise<void> {
    const { groupId, instanceId, protocolName, rebalanceTimeoutMs } = this.#options;
    const leads = joined.leader === joined.memberId && !joined.skipAssignment;
    const assignments = leads ? await this.#assignAll(joined) : [];
    if (this.#is('closed')) return;
    const connection = await this.#coordinator();
    const askedAtMs = this.#cluster.ports.clock.monotonicMs();
    const answered = connection.request(
      APIS.syncGroup,
      {
        groupId,
        generationId: this.#generation,
        memberId: this.#memberId,
        groupInstanceId: instanceId ?? null,
        protocolType: PROTOCOL_TYPE,
        protocolName,
        assignments,
      },
      { timeoutMs: rebalanceTimeoutMs + JOIN_MARGIN_MS },
    );
    const body = await this.#waitedOut(answered);
    if (this.#is('closed')) return;
    if (body.errorCode !== 0) throw kafkaFailure(body.errorCode, `Syncing group "${groupId}"`, { groupId });
    this.#heard();
    this.#askedAtMs = askedAtMs;
    const assignment = decodeAssignment(body.assignment);
    this.#move('stable');
    this.#assigned = true;
    this.#hooks.assigned(this.#metadata(), assignment);
  }

  /** The leader's part. Heartbeats keep the session while the assignor works. */
  async #assignAll(joined: JoinBody): Promise<readonly { readonly memberId: string; readonly assignment: Buffer }[]> {
    const members: MemberSubscription[] = joined.members.map(({ memberId, groupInstanceId, metadata }) => ({
      memberId,
      instanceId: groupInstanceId ?? undefined,
      ...decodeSubscription(metadata),
    }));
    const assigning = this.#hooks.assign(members);
    let turned: unknown;
    const beats = this.#cluster.ports.timers.every(this.#options.heartbeatIntervalMs, () => {
      this.#heartbeat().catch((error: unknown) => {
        turned ??= error;
      });
    });
    try {
      const byMember = await assigning;
      // A lost heartbeat is not yet an end; an answer that the generation has turned is.
      if (kafkaCodeOf(turned) !== undefined) throw turned;
      return members.map(({ memberId }) => ({
        memberId,
        assignment: encodeAssignment(byMember.get(memberId) ?? { partitions: [], userData: Buffer.alloc(0) }),
      }));
    } finally {
      beats.cancel();
    }
  }

  /** Stable: one heartbeat per interval, until a join is wanted. */
  async #keepAlive(): Promise<void> {
    if (this.#rejoinReason === '') await this.#rest(this.#options.heartbeatIntervalMs);
    if (this.#is('closed')) return;
    if (this.#rejoinReason !== '') return this.#move('joining');
    await this.#heartbeat();
  }

  async #heartbeat(): Promise<void> {
    const { groupId, instanceId } = this.#options;
    const connection = await this.#coordinator();
    const askedAtMs = this.#cluster.ports.clock.monotonicMs();
    const body = await connection.request(
      APIS.heartbeat,
      { groupId, generationId: this.#generation, memberId: this.#memberId, groupInstanceId: instanceId ?? null },
      { timeoutMs: this.#patienceMs },
    );
    if (body.errorCode === 0 || body.errorCode === REBALANCE_IN_PROGRESS) this.#askedAtMs = askedAtMs;
    if (body.errorCode !== 0) throw kafkaFailure(body.errorCode, `Heartbeat of group "${groupId}"`, { groupId });
    this.#heard();
  }

  // ---- failures -----------------------------------------------------------------------------------------------------

  /** Decides what an error means for the membership; waits where the next try needs it. */
  async #failed(error: unknown): Promise<void> {
    const code = kafkaCodeOf(error);
    const failure = error instanceof Error ? error : new Error(String(error));
    if (code === REBALANCE_IN_PROGRESS) {
      this.#heard();
      return this.#move('joining');
    }
    if (code === FENCED_INSTANCE) return this.#end(failure);
    if (code === UNKNOWN_MEMBER || code === ILLEGAL_GENERATION) {
      if (code === UNKNOWN_MEMBER) this.#memberId = '';
      this.#lose(failure);
      return this.#move('joining');
    }
    const reaction = code === undefined ? 'again' : responseTo(code).reaction;
    const stops = MillraceError.is(error) && error.response === 'stop' && error.code !== 'ERR_PROTOCOL' && error.code !== 'ERR_BROKER_UNREACHABLE';
    if ((code !== undefined && reaction === 'fail') || (code === undefined && stops)) return this.#end(failure);

    this.#cluster.ports.log[isConnectionFailure(error) || code !== undefined ? 'debug' : 'warn'](
      { groupId: this.#options.groupId, error: failure.message },
      'group member tries again',
    );
    this.#cluster.forgetCoordinator('group', this.#options.groupId);
    // A broker that went without a word leaves all connections to it dead, and each would have to be found out by a silence of its own.
    if (MillraceError.is(error) && error.code === 'ERR_TIMEOUT') this.#cluster.dropConnections();
    if (this.#state === 'syncing') this.#move('joining');
    this.#failures++;
    const { chance, clock } = this.#cluster.ports;
    const leftMs = this.#heardAtMs + this.#options.sessionTimeoutMs - clock.monotonicMs();
    if (this.#assigned && leftMs <= 0) {
      this.#lose(
        new MillraceError('ERR_MEMBERSHIP_LOST', `Group "${this.#options.groupId}": the coordinator was out of reach for a session timeout.`, {}, failure),
      );
      this.#move('joining');
    }
    const waitMs = backoffMs(chance, this.#failures, BACKOFF_FIRST_MS, BACKOFF_MS_MAX);
    await this.#rest(this.#assigned && leftMs > 0 ? Math.min(waitMs, Math.max(1, Math.ceil(leftMs))) : waitMs);
  }

  #lose(reason: Error): void {
    this.#generation = NO_GENERATION;
    if (!this.#assigned) return;
    this.#assigned = false;
    this.#hooks.lost(reason, false);
  }

  /** Nothing that trying again could change. */
  #end(reason: Error): void {
    this.#move('closed');
    this.#assigned = false;
    this.#hooks.lost(reason, true);
    this.#cluster.close();
  }

  // ---- leaving ------------------------------------------------------------------------------------------------------

  /** Again where it may pass: connections that broke unnoticed while a broker was away are only found out when something is sent on them. */
  async #leave(memberId: string): Promise<void> {
    const { groupId } = this.#options;
    const { chance, clock, log, timers } = this.#cluster.ports;
    const deadlineMs = clock.monotonicMs() + LEAVE_MS;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#sayFarewell(memberId, deadlineMs - clock.monotonicMs());
      } catch (error) {
        const waitMs = backoffMs(chance, attempt, LEAVE_BACKOFF_FIRST_MS, BACKOFF_FIRST_MS);
        if (attempt === LEAVE_ATTEMPTS || this.#cluster.closed || clock.monotonicMs() + waitMs >= deadlineMs) {
          // Without a farewell the session timeout does the same, later.
          log.debug({ groupId, error: String(error) }, 'could not leave the group');
          return;
        }
        this.#cluster.forgetCoordinator('group', groupId);
        await sleep(timers, waitMs);
      }
    }
  }

  async #sayFarewell(memberId: string, timeoutMs: number): Promise<void> {
    const { groupId, instanceId } = this.#options;
    const nodeId = await this.#cluster.coordinator('group', groupId, timeoutMs);
    const connection = await this.#cluster.connectionTo(nodeId, 'leave');
    const members = [{ memberId, groupInstanceId: instanceId ?? null, reason: 'the instance is stopping' }];
    const { errorCode } = await connection.request(APIS.leaveGroup, { groupId, members }, { timeoutMs });
    // Whoever is not known has left.
    if (errorCode !== 0 && responseTo(errorCode).reaction !== 'fail') throw kafkaFailure(errorCode, `Leaving group "${groupId}"`, { groupId });
  }

  /**
   * The first join is still under way. A static member is known by its instance id. Any other is about to be told its id, at once: the coordinator
   * holds the place, and the next rebalance, for whoever it has given one.
   */
  async #leaveUnnamed(): Promise<void> {
    if (this.#options.instanceId !== undefined) return this.#leave('');
    const over = new AbortController();
    try {
      await Promise.race([this.#running, sleep(this.#cluster.ports.timers, LEAVE_MS, over.signal)]); // the loop ends with #leaveAfterAll
    } finally {
      over.abort();
    }
  }

  /** A join was answered after `close`: whoever joined must also leave, or the group waits for a ghost. */
  async #leaveAfterAll(memberId: string): Promise<void> {
    if (memberId !== '' && memberId !== this.#memberId && this.#options.instanceId === undefined && !this.#cluster.closed) await this.#leave(memberId);
  }

  // ---- small parts --------------------------------------------------------------------------------------------------

  async #coordinator() {
    const nodeId = await this.#cluster.coordinator('group', this.#options.groupId, this.#patienceMs);
    return this.#cluster.connectionTo(nodeId, 'coordinator');
  }

  /**
   * The answer to a join or a sync takes as long as others let it wait, and a broker that went without a word would be waited for as long. So it is
   * asked something easy meanwhile, on a connection of its own; when that stays without an answer, all connections are given up, this one too.
   */
  async #waitedOut<T>(answered: Promise<T>): Promise<T> {
    const probe = (): void => {
      this.#probe().catch((error: unknown) => {
        if (isConnectionFailure(error)) this.#cluster.dropConnections();
      });
    };
    probe(); // a connection made only after the broker is back would find nothing wrong
    const probes = this.#cluster.ports.timers.every(this.#patienceMs, probe);
    try {
      return await answered;
    } finally {
      probes.cancel();
    }
  }
  async #probe(): Promise<void> {
    const { groupId } = this.#options;
    const nodeId = await this.#cluster.coordinator('group', groupId, this.#patienceMs);
    const connection = await this.#cluster.connectionTo(nodeId, 'probe');
    await connection.request(APIS.findCoordinator, { keyType: 0, coordinatorKeys: [groupId] }, { timeoutMs: this.#patienceMs });
  }

  /** For one answer that the membership hangs on: when it does not come there is time left to ask again in another way. */
  get #patienceMs(): number {
    const { heartbeatIntervalMs, sessionTimeoutMs } = this.#options;
    return Math.max(heartbeatIntervalMs, Math.floor(sessionTimeoutMs / 3));
  }

  #metadata(): GroupMetadata {
    const { groupId, instanceId } = this.#options;
    return { groupId, memberId: this.#memberId, generation: this.#generation, instanceId };
  }

  #heard(): void {
    this.#heardAtMs = this.#cluster.ports.clock.monotonicMs();
  }

  /** Waits, at most until `rejoin` or `close`. */
  async #rest(ms: number): Promise<void> {
    const latch = createLatch<void>();
    this.#sleeping = latch;
    const timer: Timer = this.#cluster.ports.timers.after(ms, () => latch.resolve());
    await latch.promise;
    timer.cancel();
    this.#sleeping = undefined;
  }

  #wake(): void {
    this.#sleeping?.resolve();
  }

  #is(state: MemberState): boolean {
    return this.#state === state;
  }

  #move(to: MemberState): void {
    if (this.#state === to || this.#state === 'closed') return;
    const moves: readonly MemberState[] = MEMBER_MOVES[this.#state];
    assert(moves.includes(to), `member cannot go from ${this.#state} to ${to}`);
    this.#state = to;
  }
}
