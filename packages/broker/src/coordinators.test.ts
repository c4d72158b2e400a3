// The coordinators as clients meet them: over TCP with Kafka's own bytes, every version, across kills, with and without fsync.
import {
  type MemoryDisk,
  memoryDisk,
  nodeNetwork,
  noHeaders,
  type Ports,
  type Socket,
  silentLogger,
  systemChance,
  systemClock,
  systemTimers,
} from '@millrace/core';
import {
  APIS,
  type Api,
  BatchPool,
  consumerProtocolSubscription,
  decodeResponse,
  ERROR_CODES,
  encodeEmbedded,
  encodeRequest,
  type RequestInput,
  type ResponseBody,
  readBatches,
} from '@millrace/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { type Broker, startBroker } from './broker.ts';
import type { BrokerOptions } from './options.ts';

const E = ERROR_CODES;

/** One connection; answers come in request order. */
class Peer {
  readonly #socket: Socket;
  readonly #waiting: ((frame: Buffer) => void)[] = [];
  #bytes = Buffer.alloc(0);
  #correlationId = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }
  static async connect(port: number): Promise<Peer> {
    let peer: Peer | undefined;
    const socket = await nodeNetwork.connect({ host: '127.0.0.1', port, timeoutMs: 5_000 }, { onData: (chunk) => peer?.data(chunk), onClose: () => {} });
    peer = new Peer(socket);
    return peer;
  }
  data(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 4 && this.#bytes.length >= 4 + this.#bytes.readInt32BE(0)) {
      const end = 4 + this.#bytes.readInt32BE(0);
      this.#waiting.shift()?.(this.#bytes.subarray(4, end));
      this.#bytes = this.#bytes.subarray(end);
    }
  }
  async ask<A extends Api>(api: A, version: number, body: RequestInput<A>): Promise<ResponseBody<A>> {
    const correlationId = this.#correlationId++;
    this.#socket.write(encodeRequest(api, version, { correlationId, clientId: 'peer' }, body));
    const frame = await new Promise<Buffer>((resolve) => this.#waiting.push(resolve));
    const answer = decodeResponse(api, version, frame);
    expect(answer.correlationId).toBe(correlationId);
    return answer.body;
  }
  close(): void {
    this.#socket.destroy();
  }
}

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});
async function start(disk: MemoryDisk, options: Partial<BrokerOptions> = {}): Promise<Broker> {
  const ports: Ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk, log: silentLogger };
  const broker = await startBroker({ dataDir: '/data', ...options }, ports);
  opened.push({ close: () => broker.close().catch(() => {}) }); // a killed disk refuses the clean end
  return broker;
}
async function connect(broker: Broker): Promise<Peer> {
  const peer = await Peer.connect(broker.port);
  opened.push(peer);
  return peer;
}
async function createTopic(peer: Peer, name: string, numPartitions: number): Promise<void> {
  const { topics } = await peer.ask(APIS.createTopics, 7, { topics: [{ name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }] });
  expect(topics[0]?.errorCode).toBe(E.NONE);
}

const subscription = encodeEmbedded(consumerProtocolSubscription, 1, { topics: ['t'], userData: Buffer.from('mine'), ownedPartitions: [] });
function joinBody(memberId: string, groupInstanceId: string | null = null): RequestInput<typeof APIS.joinGroup> {
  const protocols = [{ name: 'stream', metadata: subscription }];
  return { groupId: 'g', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 20_000, memberId, groupInstanceId, protocolType: 'consumer', protocols };
}
/** Joins with whatever steps the version takes. */
async function join(peer: Peer, version = 9, memberId = '', instanceId: string | null = null): Promise<ResponseBody<typeof APIS.joinGroup>> {
  const first = await peer.ask(APIS.joinGroup, version, joinBody(memberId, instanceId));
  return first.errorCode === E.MEMBER_ID_REQUIRED ? join(peer, version, first.memberId, instanceId) : first;
}
const commitBody = (generation: number, memberId: string, offset: number) => ({
  groupId: 'g',
  generationIdOrMemberEpoch: generation,
  memberId,
  topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: 'note' }] }],
});
async function committed(peer: Peer, requireStable = true): Promise<{ committedOffset: number; errorCode: number; metadata: string | null }> {
  const { groups } = await peer.ask(APIS.offsetFetch, 8, { groups: [{ groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }] }], requireStable });
  const found = groups[0]?.topics[0]?.partitions[0];
  if (found === undefined) throw new Error('no partition in the answer');
  return found;
}

describe.each(['never', 'perBatchGroup'] as const)('with fsync %s', (fsync) => {
  test('two members join, share an assignment, heartbeat, commit, and go on after the broker was killed', async () => {
    const disk = memoryDisk();
    const broker = await start(disk, { fsync });
    const [one, two] = [await connect(broker), await connect(broker)];
    await createTopic(one, 't', 2);
    const leader = await join(one);
    expect(leader).toMatchObject({ errorCode: E.NONE, generationId: 1, leader: leader.memberId, protocolName: 'stream' });
    const joining = join(two);
    while ((await one.ask(APIS.heartbeat, 4, { groupId: 'g', generationId: 1, memberId: leader.memberId })).errorCode !== E.REBALANCE_IN_PROGRESS);
    const [again, follower] = await Promise.all([join(one, 9, leader.memberId), joining]);
    expect(again).toMatchObject({ generationId: 2, leader: leader.memberId });
    expect(again.members.map(({ memberId }) => memberId)).toEqual([leader.memberId, follower.memberId]);
    expect(again.members[1]?.metadata.equals(subscription)).toBe(true);
    expect(follower.members).toEqual([]);

    const sync = (peer: Peer, memberId: string, assignments: { memberId: string; assignment: Buffer }[]) =>
      peer.ask(APIS.syncGroup, 5, { groupId: 'g', generationId: 2, memberId, protocolType: 'consumer', protocolName: 'stream', assignments });
    const waiting = sync(two, follower.memberId, []);
    const assignments = [leader.memberId, follower.memberId].map((memberId) => ({ memberId, assignment: Buffer.from(`for ${memberId}`) }));
    expect((await sync(one, leader.memberId, assignments)).assignment.toString()).toBe(`for ${leader.memberId}`);
    expect((await waiting).assignment.toString()).toBe(`for ${follower.memberId}`);
    expect((await one.ask(APIS.offsetCommit, 9, commitBody(2, leader.memberId, 42))).topics[0]?.partitions[0]?.errorCode).toBe(E.NONE);

    disk.kill();
    const after = await connect(await start(disk, { fsync }));
    for (const memberId of [leader.memberId, follower.memberId]) {
      expect(await after.ask(APIS.heartbeat, 4, { groupId: 'g', generationId: 2, memberId })).toMatchObject({ errorCode: E.NONE });
    }
    expect(await committed(after)).toMatchObject({ committedOffset: 42, metadata: 'note', errorCode: E.NONE });
    const { groups } = await after.ask(APIS.describeGroups, 5, { groups: ['g', 'nobody'], includeAuthorizedOperations: false });
    expect(groups).toMatchObject([
      { groupState: 'Stable', protocolData: 'stream', members: [{ clientId: 'peer' }, { clientId: 'peer' }] },
      { groupState: 'Dead' },
    ]);
    const gone = await after.ask(APIS.leaveGroup, 5, { groupId: 'g', members: [leader, follower].map(({ memberId }) => ({ memberId })) });
    expect(gone.members.map(({ errorCode }) => errorCode)).toEqual([E.NONE, E.NONE]);
    expect((await after.ask(APIS.listGroups, 5, { statesFilter: ['empty'], typesFilter: ['Classic'] })).groups).toMatchObject([
      { groupId: 'g', groupType: 'classic' },
    ]);
    expect((await after.ask(APIS.deleteGroups, 2, { groupsNames: ['g', 'g'] })).results.map(({ errorCode }) => errorCode)).toEqual([
      E.NONE,
      E.GROUP_ID_NOT_FOUND,
    ]);
  });

  test('records and offsets of a transaction appear together with its commit, or never', async () => {
    const disk = memoryDisk();
    const broker = await start(disk, { fsync });
    const peer = await connect(broker);
    await createTopic(peer, 't', 1);
    const producer = await Producer.create(peer, 'x');
    await producer.begin();
    expect(await producer.send('kept')).toBe(E.NONE);
    expect(await producer.offsets(7)).toBe(E.NONE);
    expect(await readCommitted(peer)).toEqual([]);
    expect((await committed(peer)).errorCode).toBe(E.UNSTABLE_OFFSET_COMMIT);
    expect((await committed(peer, false)).committedOffset).toBe(-1);
    expect(await producer.end(true)).toBe(E.NONE);
    expect(await readCommitted(peer)).toEqual(['kept']);
    expect(await committed(peer)).toMatchObject({ committedOffset: 7, errorCode: E.NONE });

    await producer.begin();
    await producer.send('dropped');
    await producer.offsets(9);
    expect(await producer.end(false)).toBe(E.NONE);
    expect(await readCommitted(peer)).toEqual(['kept']);
    expect(await committed(peer)).toMatchObject({ committedOffset: 7, errorCode: E.NONE });

    await producer.begin();
    await producer.send('open at the kill');
    disk.kill();
    const after = await connect(await start(disk, { fsync }));
    const successor = await Producer.create(after, 'x');
    expect(successor.epoch).toBe(producer.epoch + 2);
    expect(await new Producer(after, 'x', producer.id, producer.epoch).end(true)).toBe(E.PRODUCER_FENCED);
    await successor.begin();
    await successor.send('after');
    expect(await successor.end(true)).toBe(E.NONE);
    expect(await readCommitted(after)).toEqual(['kept', 'after']);
    expect(await committed(after)).toMatchObject({ committedOffset: 7 });
  });
});

/** A transactional producer by hand. */
class Producer {
  readonly #peer: Peer;
  readonly #transactionalId: string;
  readonly id: number;
  readonly epoch: number;
  #sequence = 0;
  constructor(peer: Peer, transactionalId: string, id: number, epoch: number) {
    this.#peer = peer;
    this.#transactionalId = transactionalId;
    this.id = id;
    this.epoch = epoch;
  }
  static async create(peer: Peer, transactionalId: string): Promise<Producer> {
    for (;;) {
      const reply = await peer.ask(APIS.initProducerId, 5, { transactionalId, transactionTimeoutMs: 60_000, producerEpoch: -1 });
      if (reply.errorCode === E.CONCURRENT_TRANSACTIONS) continue;
      expect(reply.errorCode).toBe(E.NONE);
      return new Producer(peer, transactionalId, reply.producerId, reply.producerEpoch);
    }
  }
  get #identity() {
    return { transactionalId: this.#transactionalId, producerId: this.id, producerEpoch: this.epoch };
  }
  async begin(): Promise<void> {
    const { resultsByTopic } = await this.#peer.ask(APIS.addPartitionsToTxn, 3, { ...this.#identity, topics: [{ name: 't', partitions: [0] }] });
    expect(resultsByTopic[0]?.resultsByPartition[0]?.partitionErrorCode).toBe(E.NONE);
  }
  async send(value: string): Promise<number | undefined> {
    const builder = new BatchPool().take();
    const bytes = Buffer.from(value);
    builder.append(Date.now(), null, 0, 0, bytes, 0, bytes.length, noHeaders);
    const records = builder.seal({ producerId: this.id, producerEpoch: this.epoch, baseSequence: this.#sequence++, transactional: true });
    const topicData = [{ name: 't', partitionData: [{ index: 0, records }] }];
    const { responses } = await this.#peer.ask(APIS.produce, 11, { transactionalId: this.#transactionalId, acks: -1, timeoutMs: 5_000, topicData });
    return responses[0]?.partitionResponses[0]?.errorCode;
  }
  async offsets(offset: number): Promise<number | undefined> {
    const added = await this.#peer.ask(APIS.addOffsetsToTxn, 4, { ...this.#identity, groupId: 'g' });
    expect(added.errorCode).toBe(E.NONE);
    const { groupId, topics } = commitBody(-1, '', offset);
    const reply = await this.#peer.ask(APIS.txnOffsetCommit, 4, { ...this.#identity, groupId, topics });
    return reply.topics[0]?.partitions[0]?.errorCode;
  }
  async end(isCommit: boolean): Promise<number> {
    return (await this.#peer.ask(APIS.endTxn, 4, { ...this.#identity, committed: isCommit })).errorCode;
  }
}

/** Values of t-0 that a read_committed consumer delivers: below the last stable offset, without those of aborted producers. */
async function readCommitted(peer: Peer): Promise<string[]> {
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }];
  const { responses } = await peer.ask(APIS.fetch, 12, { maxWaitMs: 0, minBytes: 0, isolationLevel: 1, topics: [{ topic: 't', partitions }] });
  const found = responses[0]?.partitions[0];
  expect(found?.errorCode).toBe(E.NONE);
  const bytes = found?.records ?? Buffer.alloc(0);
  const aborted = found?.abortedTransactions ?? [];
  const values: string[] = [];
  const open = new Set<number>();
  for (const batch of readBatches(bytes, 0, bytes.length, { checkCrc: true })) {
    for (const { producerId, firstOffset } of aborted) if (firstOffset <= batch.lastOffset && firstOffset >= batch.baseOffset) open.add(producerId);
    if (batch.control) open.delete(batch.producerId);
    else if (!open.has(batch.producerId)) values.push(onlyValue(batch.buffer.subarray(batch.start, batch.end)));
  }
  return values;
}
/** The value of a batch of one record without key or headers. */
function onlyValue(batch: Buffer): string {
  const record = batch.subarray(61);
  return record.subarray(6, record.length - 1).toString();
}

test('codes that depend on the version', async () => {
  const peer = await connect(await start(memoryDisk()));
  await createTopic(peer, 't', 1);
  const code = async (version: number) => (await peer.ask(APIS.offsetCommit, version, commitBody(3, 'm', 1))).topics[0]?.partitions[0]?.errorCode;
  expect([await code(8), await code(9)]).toEqual([E.ILLEGAL_GENERATION, E.GROUP_ID_NOT_FOUND]);

  const producer = await Producer.create(peer, 'x');
  const stale = { transactionalId: 'x', producerId: producer.id, producerEpoch: producer.epoch + 1 };
  const fenced = async (version: number) => [
    (await peer.ask(APIS.endTxn, version, { ...stale, committed: true })).errorCode,
    (await peer.ask(APIS.addOffsetsToTxn, version, { ...stale, groupId: 'g' })).errorCode,
    (await peer.ask(APIS.addPartitionsToTxn, version, { ...stale, topics: [{ name: 't', partitions: [0] }] })).resultsByTopic[0]?.resultsByPartition[0]
      ?.partitionErrorCode,
  ];
  expect(await fenced(1)).toEqual([E.INVALID_PRODUCER_EPOCH, E.INVALID_PRODUCER_EPOCH, E.INVALID_PRODUCER_EPOCH]);
  expect(await fenced(2)).toEqual([E.PRODUCER_FENCED, E.PRODUCER_FENCED, E.PRODUCER_FENCED]);
  const named = async (version: number) =>
    (await peer.ask(APIS.initProducerId, version, { transactionalId: 'x', transactionTimeoutMs: 1_000, producerId: producer.id + 1, producerEpoch: 0 }))
      .errorCode;
  expect([await named(3), await named(4)]).toEqual([E.INVALID_PRODUCER_EPOCH, E.PRODUCER_FENCED]);
  const { groupId, topics } = commitBody(-1, '', 1);
  const notAdded = async (version: number) =>
    (await peer.ask(APIS.txnOffsetCommit, version, { ...stale, producerEpoch: producer.epoch, groupId, topics })).topics[0]?.partitions[0]?.errorCode;
  expect([await notAdded(3), await notAdded(4)]).toEqual([E.INVALID_TXN_STATE, E.TRANSACTION_ABORTABLE]);
  const mixed = await peer.ask(APIS.addPartitionsToTxn, 3, {
    ...stale,
    topics: [
      { name: 't', partitions: [0, 5] },
      { name: 'missing', partitions: [0] },
    ],
  });
  expect(mixed.resultsByTopic.map((topic) => topic.resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode))).toEqual([
    [E.OPERATION_NOT_ATTEMPTED, E.UNKNOWN_TOPIC_OR_PARTITION],
    [E.UNKNOWN_TOPIC_OR_PARTITION],
  ]);
});

test('the whole life of a group in every version that JoinGroup has, with old versions of the others', async () => {
  const peer = await connect(await start(memoryDisk()));
  await createTopic(peer, 't', 1);
  for (let version = 0; version <= 9; version++) {
    const at = (api: Api): number => Math.min(Math.max(version, api.versions.min), api.versions.max);
    const { memberId, generationId, errorCode, protocolName } = await join(peer, version);
    expect([errorCode, protocolName, memberId.startsWith('peer-')]).toEqual([E.NONE, 'stream', true]);
    const assignments = [{ memberId, assignment: Buffer.from('all') }];
    const protocol = { protocolType: 'consumer', protocolName: 'stream' };
    const synced = await peer.ask(APIS.syncGroup, at(APIS.syncGroup), { groupId: 'g', generationId, memberId, ...protocol, assignments });
    expect(synced.assignment.toString()).toBe('all');
    expect((await peer.ask(APIS.heartbeat, at(APIS.heartbeat), { groupId: 'g', generationId, memberId })).errorCode).toBe(E.NONE);
    const stored = await peer.ask(APIS.offsetCommit, at(APIS.offsetCommit), commitBody(generationId, memberId, version));
    expect(stored.topics[0]?.partitions[0]?.errorCode).toBe(E.NONE);
    if (version >= 1 && version < 8) {
      const read = await peer.ask(APIS.offsetFetch, version, { groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }], groups: [] });
      expect(read.topics[0]?.partitions[0]).toMatchObject({ committedOffset: version, errorCode: E.NONE });
    }
    const leave = at(APIS.leaveGroup);
    const left = await peer.ask(APIS.leaveGroup, leave, { groupId: 'g', memberId, members: [{ memberId }] });
    expect(leave < 3 ? left.errorCode : left.members[0]?.errorCode).toBe(E.NONE);
    const found = await peer.ask(APIS.findCoordinator, Math.min(version, 6), { key: 'g', coordinatorKeys: ['g'] });
    expect((version < 4 ? found : found.coordinators[0])?.errorCode).toBe(E.NONE);
  }
});

test('what a deleted topic leaves behind: no offsets, and transactions that end all the same', async () => {
  const peer = await connect(await start(memoryDisk()));
  await createTopic(peer, 't', 1);
  await peer.ask(APIS.offsetCommit, 9, commitBody(-1, '', 5));
  const producer = await Producer.create(peer, 'x');
  await producer.begin();
  await producer.send('gone');
  const open = await peer.ask(APIS.describeTransactions, 0, { transactionalIds: ['x', 'nobody'] });
  expect(open.transactionStates).toMatchObject([
    { transactionState: 'Ongoing', topics: [{ topic: 't', partitions: [0] }] },
    { errorCode: E.TRANSACTIONAL_ID_NOT_FOUND },
  ]);
  const producers = await peer.ask(APIS.describeProducers, 0, { topics: [{ name: 't', partitionIndexes: [0] }] });
  expect(producers.topics[0]?.partitions[0]?.activeProducers).toMatchObject([{ producerId: producer.id, currentTxnStartOffset: 0 }]);
  await peer.ask(APIS.deleteTopics, 6, { topics: [{ name: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }], topicNames: [], timeoutMs: 1_000 });
  expect(await producer.end(true)).toBe(E.NONE);
  await createTopic(peer, 't', 1);
  expect((await committed(peer)).committedOffset).toBe(-1);
  const listed = await peer.ask(APIS.listTransactions, 0, { stateFilters: ['CompleteCommit', 'Wrong'], producerIdFilters: [] });
  expect(listed).toMatchObject({ unknownStateFilters: ['Wrong'], transactionStates: [{ transactionalId: 'x' }] });
});
