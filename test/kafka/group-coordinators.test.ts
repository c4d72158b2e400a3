// The same conversations with the group coordinator of Apache Kafka and with the embedded broker's: both must say the same, word for word.
// Ids that a broker makes up are replaced by the order in which they appear; error messages and times are left out.
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker } from '@millrace/broker';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import {
  APIS,
  type Api,
  consumerProtocolSubscription,
  decodeResponse,
  encodeEmbedded,
  encodeRequest,
  type RequestInput,
  type ResponseBody,
} from '@millrace/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const run = `${process.pid}-${Date.now().toString(36)}`;
const topic = `groups-${run}`;
const other = `groups-other-${run}`;

/** Requests over one socket, answered in order. */
class Wire {
  readonly #socket: Socket;
  readonly #waiting: { resolve(frame: Buffer): void; reject(error: Error): void }[] = [];
  #received: Buffer = Buffer.alloc(0);
  #correlationId = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      while (this.#received.length >= 4 && this.#received.length >= this.#received.readInt32BE(0) + 4) {
        const end = this.#received.readInt32BE(0) + 4;
        this.#waiting.shift()?.resolve(this.#received.subarray(4, end));
        this.#received = this.#received.subarray(end);
      }
    });
    socket.on('close', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the connection was closed'));
    });
  }
  static open(address: string): Promise<Wire> {
    const [host, port] = address.split(':') as [string, string];
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), host, () => resolve(new Wire(socket)));
      socket.once('error', reject);
    });
  }
  async ask<A extends Api>(api: A, version: number, body: RequestInput<A>): Promise<ResponseBody<A>> {
    const frame = await new Promise<Buffer>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#socket.write(encodeRequest(api, version, { correlationId: ++this.#correlationId, clientId: 'talk' }, body));
    });
    return decodeResponse(api, version, frame).body;
  }
  close(): void {
    this.#socket.destroy();
  }
}

const LEFT_OUT = new Set(['throttleTimeMs', 'errorMessage', 'heartbeatIntervalMs', 'authorizedOperations']);

/** One side of a conversation: asks, and keeps what was answered. */
class Talk {
  readonly said: unknown[] = [];
  readonly group: string;
  readonly #wires: readonly Wire[];
  readonly #names = new Map<string, string>();

  constructor(wires: readonly Wire[], group: string) {
    this.#wires = wires;
    this.group = group;
  }
  /** `connection`: a parked request holds back what comes after it on its own. */
  async ask<A extends Api>(what: string, api: A, version: number, body: RequestInput<A>, connection = 0): Promise<ResponseBody<A>> {
    const at = this.said.push(undefined) - 1;
    const answer = await (this.#wires[connection] as Wire).ask(api, version, body);
    this.said[at] = [`${what} (${api.name} v${version})`, this.#plain(answer)];
    return answer;
  }
  #plain(value: unknown, key = ''): unknown {
    if (Buffer.isBuffer(value)) return value.toString('hex');
    if (Array.isArray(value)) return value.map((item) => this.#plain(item, key)).sort((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));
    if (value !== null && typeof value === 'object') {
      const kept = Object.entries(value).filter(([name]) => !LEFT_OUT.has(name));
      return Object.fromEntries(kept.map(([name, inner]) => [name, this.#plain(inner, name)]));
    }
    const made = (key === 'memberId' || key === 'leader' || key === 'topicId') && typeof value === 'string' && value !== '' && !value.startsWith('fixed');
    if (!made) return value;
    let name = this.#names.get(value);
    if (name === undefined) this.#names.set(value, (name = `${key === 'topicId' ? 'topic' : 'member'} ${this.#names.size}`));
    return name;
  }
}

let theirs: readonly Wire[];
let ours: readonly Wire[];
let broker: Awaited<ReturnType<typeof startBroker>>;
let dataDir: string;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'millrace-groups-'));
  const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
  broker = await startBroker({ dataDir, host: '127.0.0.1', port: 0, autoCreateTopics: false, groups: { sessionTimeoutMinMs: 1_000 } }, ports);
  const open = (address: string) => Promise.all([0, 1, 2].map(() => Wire.open(address)));
  [theirs, ours] = await Promise.all([open(process.env.MILLRACE_TEST_KAFKA as string), open(broker.address)]);
  for (const [wire] of [theirs, ours]) {
    const topics = [topic, other].map((name) => ({ name, numPartitions: 4, replicationFactor: 1, assignments: [], configs: [] }));
    await wire?.ask(APIS.createTopics, 7, { topics, timeoutMs: 10_000, validateOnly: false });
    let ready = false; // a fresh Kafka has no coordinator until its internal topic is there
    for (const end = Date.now() + 60_000; !ready && Date.now() < end; ) {
      const answer = await wire?.ask(APIS.heartbeat, 4, { groupId: `warm-${run}`, generationId: 1, memberId: 'x' });
      ready = answer?.errorCode === 25;
      if (!ready) {
        await wire?.ask(APIS.findCoordinator, 6, { keyType: 0, coordinatorKeys: [`warm-${run}`] });
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }
});
afterAll(async () => {
  for (const wire of [...(theirs ?? []), ...(ours ?? [])]) wire.close();
  await broker?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

let count = 0;
function conversation(name: string, script: (talk: Talk) => Promise<void>): void {
  test(name, async () => {
    const group = `talk-${run}-${count++}`;
    const [kafka, millrace] = [new Talk(theirs, group), new Talk(ours, group)];
    await script(kafka);
    await script(millrace);
    expect(millrace.said).toEqual(kafka.said);
  });
}

// Requests ---------------------------------------------------------------------------------------------------------------

const subscription = encodeEmbedded(consumerProtocolSubscription, 1, { topics: [topic] });
const joining = (talk: Talk, memberId: string, change: Partial<RequestInput<typeof APIS.joinGroup>> = {}) => ({
  groupId: talk.group,
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 10_000,
  memberId,
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: subscription }],
  ...change,
});
const syncing = (talk: Talk, memberId: string, generationId: number, change: Partial<RequestInput<typeof APIS.syncGroup>> = {}) => ({
  groupId: talk.group,
  generationId,
  memberId,
  protocolType: 'consumer',
  protocolName: 'range',
  assignments: [],
  ...change,
});
const commitOf = (talk: Talk, memberId: string, generationIdOrMemberEpoch: number, change: Partial<RequestInput<typeof APIS.offsetCommit>> = {}) => ({
  groupId: talk.group,
  generationIdOrMemberEpoch,
  memberId,
  topics: [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: 5, committedMetadata: 'm' }] }],
  ...change,
});
const beat = (talk: Talk, memberId: string, memberEpoch: number, change: Partial<RequestInput<typeof APIS.consumerGroupHeartbeat>> = {}) => ({
  groupId: talk.group,
  memberId,
  memberEpoch,
  ...change,
});
const enter = (talk: Talk, memberId: string, change: Partial<RequestInput<typeof APIS.consumerGroupHeartbeat>> = {}) =>
  beat(talk, memberId, 0, { rebalanceTimeoutMs: 30_000, subscribedTopicNames: [topic], topicPartitions: [], ...change });

/** A stable classic group; the first member leads. */
async function stable(talk: Talk, instances: readonly (string | null)[] = [null]): Promise<{ ids: string[]; generation: number }> {
  const ids: string[] = [];
  let generation = 0;
  for (const [at, groupInstanceId] of instances.entries()) {
    let memberId = '';
    if (groupInstanceId === null) ({ memberId } = await talk.ask('id', APIS.joinGroup, 9, joining(talk, '')));
    const joined = talk.ask(`join ${at}`, APIS.joinGroup, 9, joining(talk, memberId, { groupInstanceId }), at);
    const again = await Promise.all(
      ids.map((id, index) =>
        new Promise((resolve) => setTimeout(resolve, 100)).then(() =>
          talk.ask(`again ${index}`, APIS.joinGroup, 9, joining(talk, id, { groupInstanceId: instances[index] ?? null }), index),
        ),
      ),
    );
    const answer = await joined;
    ids.push(answer.memberId);
    generation = answer.generationId;
    for (const other of again) expect(other.generationId).toBe(generation);
  }
  const assignments = ids.map((memberId, at) => ({ memberId, assignment: Buffer.from([at]) }));
  await talk.ask('leader syncs', APIS.syncGroup, 5, syncing(talk, ids[0] as string, generation, { assignments, groupInstanceId: instances[0] ?? null }));
  for (const [at, id] of ids.entries())
    if (at > 0) await talk.ask(`follower ${at} syncs`, APIS.syncGroup, 5, syncing(talk, id, generation, { groupInstanceId: instances[at] ?? null }));
  return { ids, generation };
}

async function admins(talk: Talk): Promise<void> {
  await talk.ask('describe', APIS.describeGroups, 5, { groups: [talk.group], includeAuthorizedOperations: false });
  await talk.ask('describe as consumer group', APIS.consumerGroupDescribe, 1, { groupIds: [talk.group], includeAuthorizedOperations: false });
  const { groups } = await talk.ask('list', APIS.listGroups, 5, { statesFilter: [], typesFilter: [] });
  const mine = groups.filter(({ groupId }) => groupId === talk.group);
  talk.said.pop(); // other groups of the run are of no interest
  talk.said.push(['listed', mine]);
}

async function everyRequestOf(talk: Talk, memberId: string, generation: number, groupInstanceId: string | null): Promise<void> {
  await talk.ask('heartbeat', APIS.heartbeat, 4, { groupId: talk.group, generationId: generation, memberId, groupInstanceId });
  await talk.ask('commit', APIS.offsetCommit, 8, commitOf(talk, memberId, generation, { groupInstanceId }));
  await talk.ask('commit', APIS.offsetCommit, 9, commitOf(talk, memberId, generation, { groupInstanceId }));
  await talk.ask('sync', APIS.syncGroup, 5, syncing(talk, memberId, generation, { groupInstanceId }));
}

describe('the classic protocol', () => {
  conversation('about a group that is not there', async (talk) => {
    await everyRequestOf(talk, 'fixed', 3, null);
    await everyRequestOf(talk, 'fixed', 3, 'i');
    for (const version of [2, 5])
      await talk.ask('leave', APIS.leaveGroup, version, { groupId: talk.group, memberId: 'fixed', members: [{ memberId: 'fixed' }] });
    await talk.ask('join with an id', APIS.joinGroup, 9, joining(talk, 'fixed'));
    await talk.ask('join with both ids', APIS.joinGroup, 9, joining(talk, 'fixed', { groupInstanceId: 'i' }));
    await talk.ask('fetch', APIS.offsetFetch, 9, { groups: [{ groupId: talk.group, topics: null }] });
    await talk.ask('fetch one', APIS.offsetFetch, 9, { groups: [{ groupId: talk.group, topics: [{ name: topic, partitionIndexes: [0] }] }] });
    await talk.ask('delete', APIS.deleteGroups, 2, { groupsNames: [talk.group] });
    await talk.ask('delete offsets', APIS.offsetDelete, 0, { groupId: talk.group, topics: [{ name: topic, partitions: [{ partitionIndex: 0 }] }] });
    await admins(talk);
  });

  conversation('joins that are refused', async (talk) => {
    const refused: readonly [string, Partial<RequestInput<typeof APIS.joinGroup>>][] = [
      ['no group', { groupId: '' }],
      ['session too short', { sessionTimeoutMs: 999 }],
      ['session too long', { sessionTimeoutMs: 1_800_001 }],
      ['no protocols', { protocols: [] }],
      ['no protocol type', { protocolType: '' }],
    ];
    for (const [what, change] of refused) for (const version of [3, 9]) await talk.ask(what, APIS.joinGroup, version, joining(talk, '', change));
    const { ids } = await stable(talk);
    await talk.ask('another type', APIS.joinGroup, 3, joining(talk, '', { protocolType: 'connect' }));
    await talk.ask('another protocol', APIS.joinGroup, 3, joining(talk, '', { protocols: [{ name: 'other', metadata: subscription }] }));
    await talk.ask('a ghost', APIS.joinGroup, 9, joining(talk, 'fixed'));
    await talk.ask('a static ghost', APIS.joinGroup, 9, joining(talk, ids[0] as string, { groupInstanceId: 'nobody' }));
  });

  conversation('promised ids', async (talk) => {
    const { memberId } = await talk.ask('id', APIS.joinGroup, 9, joining(talk, ''));
    await everyRequestOf(talk, memberId, 0, null);
    await everyRequestOf(talk, memberId, -1, null);
    await admins(talk);
    await talk.ask('leave', APIS.leaveGroup, 5, { groupId: talk.group, members: [{ memberId }] });
    await talk.ask('join with the id given up', APIS.joinGroup, 9, joining(talk, memberId));
  });

  conversation('one member through its states', async (talk) => {
    const { memberId } = await talk.ask('id', APIS.joinGroup, 9, joining(talk, ''));
    const { generationId } = await talk.ask('join', APIS.joinGroup, 9, joining(talk, memberId));
    await talk.ask('heartbeat before the sync', APIS.heartbeat, 4, { groupId: talk.group, generationId, memberId });
    await talk.ask('commit before the sync', APIS.offsetCommit, 9, commitOf(talk, memberId, generationId));
    await talk.ask('commit of nobody', APIS.offsetCommit, 9, commitOf(talk, '', -1));
    await talk.ask('join again', APIS.joinGroup, 9, joining(talk, memberId));
    await admins(talk);
    for (const change of [{ generationId: 7 }, { protocolType: 'connect' }, { protocolName: 'other' }, { memberId: 'fixed' }])
      await talk.ask(`sync with ${JSON.stringify(change)}`, APIS.syncGroup, 5, syncing(talk, memberId, generationId, change));
    await talk.ask('sync', APIS.syncGroup, 5, syncing(talk, memberId, generationId, { assignments: [{ memberId, assignment: Buffer.from([1, 2]) }] }));
    await everyRequestOf(talk, memberId, generationId, null);
    await everyRequestOf(talk, memberId, generationId + 1, null);
    await everyRequestOf(talk, memberId, generationId - 1, null);
    await everyRequestOf(talk, memberId, -1, null);
    await talk.ask('commit of nobody', APIS.offsetCommit, 9, commitOf(talk, '', -1));
    await admins(talk);
    const gone = { groupId: talk.group, topics: [topic, other].map((name) => ({ name, partitions: [{ partitionIndex: 0 }, { partitionIndex: 99 }] })) };
    await talk.ask('delete offsets', APIS.offsetDelete, 0, gone);
    await talk.ask('delete', APIS.deleteGroups, 2, { groupsNames: [talk.group] });
    const leaving = [{ memberId }, { memberId: 'fixed' }, { memberId: '', groupInstanceId: 'i' }];
    await talk.ask('leave', APIS.leaveGroup, 5, { groupId: talk.group, members: leaving });
    await admins(talk);
    await everyRequestOf(talk, memberId, generationId, null);
    await talk.ask('commit of nobody', APIS.offsetCommit, 9, commitOf(talk, '', -1));
    await talk.ask('fetch', APIS.offsetFetch, 9, { groups: [{ groupId: talk.group, topics: null }] });
    await talk.ask('delete offsets', APIS.offsetDelete, 0, gone);
    await talk.ask('join the emptied group', APIS.joinGroup, 3, joining(talk, ''));
    await talk.ask('delete', APIS.deleteGroups, 2, { groupsNames: [talk.group] });
  });

  conversation('commits that are wrong in part', async (talk) => {
    const partition = (partitionIndex: number, committedMetadata = '') => ({ partitionIndex, committedOffset: 1, committedMetadata });
    const topics = [
      { name: topic, partitions: [partition(0), partition(99), partition(1, 'x'.repeat(4_097)), partition(2, 'x'.repeat(4_096))] },
      { name: `nowhere-${run}`, partitions: [partition(0)] },
    ];
    await talk.ask('commit', APIS.offsetCommit, 9, commitOf(talk, '', -1, { topics }));
    await talk.ask('fetch', APIS.offsetFetch, 8, { groups: [{ groupId: talk.group, topics: null }] });
    await talk.ask('fetch what is not there', APIS.offsetFetch, 8, {
      groups: [{ groupId: talk.group, topics: [{ name: `nowhere-${run}`, partitionIndexes: [0] }] }],
    });
    await admins(talk);
    await talk.ask('commit to no group', APIS.offsetCommit, 9, commitOf(talk, '', -1, { groupId: '' }));
  });

  conversation('two members, one leaves', async (talk) => {
    const { ids, generation } = await stable(talk, [null, null]);
    await admins(talk);
    await talk.ask('follower joins again unchanged', APIS.joinGroup, 9, joining(talk, ids[1] as string));
    await talk.ask('leave', APIS.leaveGroup, 5, { groupId: talk.group, members: [{ memberId: ids[1] as string }] });
    await everyRequestOf(talk, ids[0] as string, generation, null);
    await talk.ask('leader joins', APIS.joinGroup, 9, joining(talk, ids[0] as string));
  });

  const short = { sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 1_500 };
  conversation('a member that does not come to the rebalance is left behind', async (talk) => {
    const { memberId } = await talk.ask('a joins', APIS.joinGroup, 3, joining(talk, '', short));
    const alone = { assignments: [{ memberId, assignment: Buffer.from([1]) }] };
    await talk.ask('a syncs', APIS.syncGroup, 3, syncing(talk, memberId, 1, alone));
    const joined = await talk.ask('b joins and waits for the timeout', APIS.joinGroup, 3, joining(talk, '', short), 1);
    await everyRequestOf(talk, memberId, 1, null);
    await everyRequestOf(talk, memberId, 2, null);
    const late = talk.ask('b syncs too late', APIS.heartbeat, 3, { groupId: talk.group, generationId: 2, memberId: joined.memberId }, 1);
    await late;
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    await talk.ask('b has not synced in time', APIS.heartbeat, 3, { groupId: talk.group, generationId: 2, memberId: joined.memberId }, 1);
    await admins(talk);
  });

  conversation('a promised id holds the rebalance up until it is given up', async (talk) => {
    const { memberId } = await talk.ask('a joins', APIS.joinGroup, 3, joining(talk, '', short));
    const alone = { assignments: [{ memberId, assignment: Buffer.from([1]) }] };
    await talk.ask('a syncs', APIS.syncGroup, 3, syncing(talk, memberId, 1, alone));
    const promised = await talk.ask('b is promised an id', APIS.joinGroup, 9, joining(talk, '', short), 1);
    await talk.ask('a still has its generation', APIS.heartbeat, 4, { groupId: talk.group, generationId: 1, memberId });
    const joins = talk.ask('c joins', APIS.joinGroup, 3, joining(talk, '', { ...short, rebalanceTimeoutMs: 30_000 }), 2);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await talk.ask('a hears of it', APIS.heartbeat, 4, { groupId: talk.group, generationId: 1, memberId });
    const again = talk.ask('a joins again', APIS.joinGroup, 3, joining(talk, memberId, short));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await talk.ask('b gives its id up', APIS.leaveGroup, 5, { groupId: talk.group, members: [{ memberId: promised.memberId }] }, 1);
    await Promise.all([joins, again]);
    await admins(talk);
  });

  conversation('a static member comes back with another protocol, and while the assignment is being made', async (talk) => {
    const { ids } = await stable(talk, ['i0', 'i1']);
    const protocols = [{ name: 'range', metadata: Buffer.concat([subscription, Buffer.from([0])]) }];
    const back = talk.ask('back with other metadata', APIS.joinGroup, 9, joining(talk, '', { groupInstanceId: 'i1', protocols }), 1);
    const { memberId } = await back;
    await talk.ask('the old id', APIS.heartbeat, 4, { groupId: talk.group, generationId: 2, memberId: ids[1] as string, groupInstanceId: 'i1' });
    await talk.ask('the new id', APIS.heartbeat, 4, { groupId: talk.group, generationId: 2, memberId, groupInstanceId: 'i1' });
    await admins(talk);
  });

  conversation('a static follower comes back', async (talk) => {
    const { ids, generation } = await stable(talk, ['i0', 'i1']);
    await talk.ask('back', APIS.joinGroup, 9, joining(talk, '', { groupInstanceId: 'i1' }));
    await everyRequestOf(talk, ids[1] as string, generation, 'i1');
    await talk.ask('join with the old id', APIS.joinGroup, 9, joining(talk, ids[1] as string, { groupInstanceId: 'i1' }));
    await talk.ask('leave with the old id', APIS.leaveGroup, 5, { groupId: talk.group, members: [{ memberId: ids[1] as string, groupInstanceId: 'i1' }] });
    await everyRequestOf(talk, ids[0] as string, generation, 'i0');
    await admins(talk);
    await talk.ask('removed by an admin', APIS.leaveGroup, 5, { groupId: talk.group, members: [{ memberId: '', groupInstanceId: 'i1' }] });
    await everyRequestOf(talk, ids[0] as string, generation, 'i0');
  });

  for (const version of [8, 9])
    conversation(`a static leader comes back, version ${version}`, async (talk) => {
      const { generation } = await stable(talk, ['i0', 'i1']);
      const { memberId } = await talk.ask('back', APIS.joinGroup, version, joining(talk, '', { groupInstanceId: 'i0' }));
      await talk.ask('its assignment', APIS.syncGroup, 5, syncing(talk, memberId, generation, { groupInstanceId: 'i0' }));
      await admins(talk);
    });
});

describe('the consumer group protocol', () => {
  conversation('heartbeats that are refused', async (talk) => {
    const refused: readonly [string, Partial<RequestInput<typeof APIS.consumerGroupHeartbeat>>][] = [
      ['no group', { groupId: '' }],
      ['no member', { memberId: '' }],
      ['empty instance', { instanceId: '' }],
      ['empty rack', { rackId: '' }],
      ['no timeout', { rebalanceTimeoutMs: -1 }],
      ['nothing owned said', { topicPartitions: null }],
      ['no subscription', { subscribedTopicNames: null }],
      ['no such assignor', { serverAssignor: 'mine' }],
      ['no such pattern', { subscribedTopicRegex: '(' }],
      ['an epoch of its own', { memberEpoch: 5 }],
      ['leaves', { memberEpoch: -1 }],
      ['steps away', { memberEpoch: -2 }],
      ['steps away with an instance', { memberEpoch: -2, instanceId: 'i' }],
      ['epoch below everything', { memberEpoch: -3 }],
    ];
    for (const [what, change] of refused) await talk.ask(what, APIS.consumerGroupHeartbeat, 1, enter(talk, 'fixed', change));
    await admins(talk);
  });

  conversation('one member comes, lives and goes', async (talk) => {
    const joined = await talk.ask('join', APIS.consumerGroupHeartbeat, 1, enter(talk, 'fixed-a'));
    const now = joined.memberEpoch;
    await talk.ask('beat', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', now));
    await talk.ask('beat of a later epoch', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', now + 1));
    await talk.ask('beat of an earlier epoch', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', now - 1));
    await talk.ask('beat of a ghost', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-x', now));
    await talk.ask('beat with an instance nobody has', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', now, { instanceId: 'i' }));
    const owned = joined.assignment?.topicPartitions ?? [];
    await talk.ask(
      'reports everything',
      APIS.consumerGroupHeartbeat,
      1,
      beat(talk, 'fixed-a', now, { rebalanceTimeoutMs: 30_000, subscribedTopicNames: [topic], topicPartitions: owned }),
    );
    await admins(talk);
    for (const [member, epoch] of [
      ['fixed-a', now],
      ['fixed-a', 0],
      ['fixed-a', now + 1],
      ['fixed-x', now],
      ['', -1],
      ['fixed-a', -1],
    ] as const) {
      for (const version of [8, 9]) await talk.ask(`commit of ${member} at ${epoch}`, APIS.offsetCommit, version, commitOf(talk, member, epoch));
      await talk.ask(`fetch of ${member} at ${epoch}`, APIS.offsetFetch, 9, {
        groups: [{ groupId: talk.group, memberId: member, memberEpoch: epoch, topics: null }],
      });
    }
    await talk.ask('fetch of an admin', APIS.offsetFetch, 9, { groups: [{ groupId: talk.group, topics: null }] });
    await talk.ask('classic heartbeat', APIS.heartbeat, 4, { groupId: talk.group, generationId: 1, memberId: 'fixed-a' });
    await talk.ask('classic sync', APIS.syncGroup, 5, syncing(talk, 'fixed-a', 1));
    await talk.ask('delete', APIS.deleteGroups, 2, { groupsNames: [talk.group] });
    const gone = { groupId: talk.group, topics: [topic, other].map((name) => ({ name, partitions: [{ partitionIndex: 0 }] })) };
    await talk.ask('delete offsets', APIS.offsetDelete, 0, gone);
    await talk.ask('leave', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', -1));
    await talk.ask('leave again', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', -1));
    await admins(talk);
    await talk.ask('commit of nobody', APIS.offsetCommit, 9, commitOf(talk, '', -1));
    await talk.ask('delete offsets', APIS.offsetDelete, 0, gone);
    await talk.ask('delete', APIS.deleteGroups, 2, { groupsNames: [talk.group] });
    await talk.ask('describe', APIS.consumerGroupDescribe, 1, { groupIds: [talk.group], includeAuthorizedOperations: false });
  });

  conversation('two members share, one goes', async (talk) => {
    const { assignment, memberEpoch: now } = await talk.ask('a joins', APIS.consumerGroupHeartbeat, 1, enter(talk, 'fixed-a'));
    const [all] = assignment?.topicPartitions ?? [];
    const topicId = all?.topicId as string;
    await talk.ask('b joins', APIS.consumerGroupHeartbeat, 1, enter(talk, 'fixed-b'));
    const told = await talk.ask('a is told', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', now));
    await admins(talk);
    await talk.ask('a still has all', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', now, { topicPartitions: [{ topicId, partitions: [0, 1, 2, 3] }] }));
    await talk.ask('b waits', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-b', now + 1));
    await talk.ask('a lets go', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', now, { topicPartitions: told.assignment?.topicPartitions ?? [] }));
    await talk.ask(
      'a with its old epoch',
      APIS.consumerGroupHeartbeat,
      1,
      beat(talk, 'fixed-a', now, { topicPartitions: told.assignment?.topicPartitions ?? [] }),
    );
    await talk.ask('a with its old epoch and nothing said', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', now));
    for (const epoch of [now, now + 1]) {
      const topics = [{ name: topic, partitions: [0, 3].map((partitionIndex) => ({ partitionIndex, committedOffset: 5, committedMetadata: 'm' })) }];
      await talk.ask(`a commits what it kept and what it lost at ${epoch}`, APIS.offsetCommit, 9, commitOf(talk, 'fixed-a', epoch, { topics }));
      await talk.ask(`a commits what it kept at ${epoch}`, APIS.offsetCommit, 9, commitOf(talk, 'fixed-a', epoch));
      await talk.ask(`a fetches at ${epoch}`, APIS.offsetFetch, 9, {
        groups: [{ groupId: talk.group, memberId: 'fixed-a', memberEpoch: epoch, topics: null }],
      });
    }
    await talk.ask('b gets', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-b', now + 1));
    await admins(talk);
    await talk.ask('b leaves', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-b', -1));
    await admins(talk);
    await talk.ask('a gets', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', now + 1));
    await talk.ask('a joins again', APIS.consumerGroupHeartbeat, 1, enter(talk, 'fixed-a'));
  });

  conversation('static members', async (talk) => {
    await talk.ask('join', APIS.consumerGroupHeartbeat, 1, enter(talk, 'fixed-a', { instanceId: 'i' }));
    await talk.ask('another with the same instance', APIS.consumerGroupHeartbeat, 1, enter(talk, 'fixed-b', { instanceId: 'i' }));
    await talk.ask('steps away', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', -2, { instanceId: 'i' }));
    await admins(talk);
    await talk.ask('the other now', APIS.consumerGroupHeartbeat, 1, enter(talk, 'fixed-b', { instanceId: 'i' }));
    await talk.ask('the first again', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', 2, { instanceId: 'i' }));
    await admins(talk);
    const members = [
      { memberId: 'fixed-a', groupInstanceId: 'i' },
      { memberId: '', groupInstanceId: 'i' },
      { memberId: '', groupInstanceId: 'nobody' },
      { memberId: 'fixed-x' },
    ];
    await talk.ask('removed by an admin', APIS.leaveGroup, 5, { groupId: talk.group, members });
    await admins(talk);
  });

  conversation('an empty group changes its kind and keeps its offsets', async (talk) => {
    const { ids } = await stable(talk);
    await talk.ask('commit', APIS.offsetCommit, 9, commitOf(talk, ids[0] as string, 1));
    await talk.ask('leave', APIS.leaveGroup, 5, { groupId: talk.group, members: [{ memberId: ids[0] as string }] });
    await talk.ask('join', APIS.consumerGroupHeartbeat, 1, enter(talk, 'fixed-a'));
    await admins(talk);
    await talk.ask('fetch', APIS.offsetFetch, 9, { groups: [{ groupId: talk.group, topics: null }] });
    await talk.ask('leave', APIS.consumerGroupHeartbeat, 1, beat(talk, 'fixed-a', -1));
    await talk.ask('classic join', APIS.joinGroup, 3, joining(talk, ''));
    await admins(talk);
    await talk.ask('fetch', APIS.offsetFetch, 9, { groups: [{ groupId: talk.group, topics: null }] });
  });
});
