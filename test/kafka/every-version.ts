// Every API, in every version that the codec and Apache Kafka share, asked over a bare socket: no client of ours is between.
// A response that does not decode to its last byte fails; so does one that says something other than what was set up.
// Apache Kafka and the embedded broker go through the same: what is expected here was seen at the original.
import { connect, type Socket } from 'node:net';
import { noHeaders } from '@millrace/core';
import {
  APIS,
  type Api,
  BatchPool,
  COMPRESSIONS,
  consumerGroupCurrentKey,
  consumerGroupCurrentValue,
  consumerGroupEpochKey,
  consumerGroupEpochValue,
  consumerGroupMemberKey,
  consumerGroupMemberValue,
  consumerGroupTargetEpochKey,
  consumerGroupTargetEpochValue,
  consumerGroupTargetKey,
  consumerGroupTargetValue,
  consumerProtocolAssignment,
  consumerProtocolSubscription,
  decodeEmbedded,
  decodeResponse,
  type EmbeddedSchema,
  embeddedVersion,
  encodeControlBatch,
  encodeEmbedded,
  encodeRequest,
  groupMetadataKey,
  groupMetadataValue,
  NO_UUID,
  offsetCommitKey,
  offsetCommitValue,
  type RecordBatchView,
  RecordReader,
  type RequestInput,
  type ResponseBody,
  readBatches,
  readControlMarker,
  transactionLogKey,
  transactionLogValue,
} from '@millrace/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const pool = new BatchPool();

/** One request at a time over one socket. */
class Wire {
  #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { resolve(frame: Buffer): void; reject(error: Error): void } | undefined;
  #correlationId = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      const size = this.#received.length < 4 ? Number.POSITIVE_INFINITY : this.#received.readInt32BE(0);
      if (this.#received.length < size + 4) return;
      const frame = this.#received.subarray(4, 4 + size);
      this.#received = this.#received.subarray(4 + size);
      this.#waiting?.resolve(frame);
    });
    socket.on('close', () => this.#waiting?.reject(new Error('Kafka closed the connection: it did not understand the request')));
  }

  static open(address: string): Promise<Wire> {
    const [host, port] = address.split(':') as [string, string];
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), host, () => resolve(new Wire(socket)));
      socket.once('error', reject);
    });
  }
  async ask<A extends Api>(api: A, version: number, body: RequestInput<A>): Promise<ResponseBody<A>> {
    const correlationId = ++this.#correlationId;
    const frame = await new Promise<Buffer>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(encodeRequest(api, version, { correlationId, clientId: 'codec' }, body));
    });
    const answer = decodeResponse(api, version, frame);
    expect(answer.correlationId).toBe(correlationId);
    return answer.body;
  }
  close(): void {
    this.#socket.destroy();
  }
}

/** Key and value of the records of __consumer_offsets, by the version of the key. */
const OFFSETS_TOPIC_SCHEMAS: Readonly<Record<number, readonly [EmbeddedSchema, EmbeddedSchema]>> = {
  0: [offsetCommitKey, offsetCommitValue],
  1: [offsetCommitKey, offsetCommitValue],
  2: [groupMetadataKey, groupMetadataValue],
  3: [consumerGroupEpochKey, consumerGroupEpochValue],
  5: [consumerGroupMemberKey, consumerGroupMemberValue],
  6: [consumerGroupTargetEpochKey, consumerGroupTargetEpochValue],
  7: [consumerGroupTargetKey, consumerGroupTargetValue],
  8: [consumerGroupCurrentKey, consumerGroupCurrentValue],
};

/** The suite, for the broker whose address `start` resolves with. Call it at the top of a test file. */
export function everyVersionSuite(start: () => Promise<string>): void {
  const run = `${process.pid}-${Date.now().toString(36)}`;
  const topic = `codec-${run}`;
  const group = `codec-group-${run}`;
  let wire: Wire;
  let port = 0;
  const theirs = new Map<number, { readonly minVersion: number; readonly maxVersion: number }>();
  let topicId = NO_UUID;

  beforeAll(async () => {
    const address = await start();
    port = Number(address.split(':')[1]);
    wire = await Wire.open(address);
    const { apiKeys } = await wire.ask(APIS.apiVersions, 4, { clientSoftwareName: 'millrace', clientSoftwareVersion: '1' });
    for (const range of apiKeys) theirs.set(range.apiKey, range);
    const create = (name: string, config: readonly { readonly name: string; readonly value: string }[] = []) => ({
      name,
      numPartitions: 1,
      replicationFactor: 1,
      assignments: [],
      configs: config,
    });
    const codecs = ['gzip', 'snappy', 'lz4'].map((codec) => create(`${topic}-${codec}`, [{ name: 'compression.type', value: codec }]));
    await wire.ask(APIS.createTopics, 7, { topics: [create(topic), ...codecs], timeoutMs: 10_000 });
    await until(async () => {
      const described = (await wire.ask(APIS.metadata, 12, { topics: [{ name: topic }], allowAutoTopicCreation: false })).topics[0];
      topicId = described?.topicId ?? NO_UUID;
      return described?.errorCode === 0;
    });
    // Metadata knows a leader a moment before the leader knows it.
    const partitions = [{ partitionIndex: 0, timestamp: -1 }];
    const names = [topic, ...['gzip', 'snappy', 'lz4'].map((codec) => `${topic}-${codec}`)];
    await until(async () => {
      const { topics } = await wire.ask(APIS.listOffsets, 7, { replicaId: -1, topics: names.map((name) => ({ name, partitions })) });
      return topics.every((one) => one.partitions[0]?.errorCode === 0);
    });
    for (const keyType of [0, 1]) {
      await until(async () => (await wire.ask(APIS.findCoordinator, 4, { keyType, coordinatorKeys: [group] })).coordinators[0]?.errorCode === 0);
    }
    await until(async () => (await wire.ask(APIS.initProducerId, 5, { transactionalId: group, transactionTimeoutMs: 10_000 })).errorCode === 0);
    await until(async () => (await commitOffset(9)).topics[0]?.partitions[0]?.errorCode === 0);
  });
  afterAll(() => wire.close());

  /** Kafka answers "not yet" for a while after a start; half a minute is the bound. */
  async function until(ready: () => Promise<boolean>): Promise<void> {
    for (let attempt = 0; attempt < 150; attempt++) {
      if (await ready()) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error('Kafka was not ready within 30 seconds');
  }

  function shared(api: Api): number[] {
    const range = theirs.get(api.key) ?? { minVersion: 0, maxVersion: -1 };
    const from = Math.max(range.minVersion, api.versions.min);
    return Array.from({ length: Math.max(0, Math.min(range.maxVersion, api.versions.max) - from + 1) }, (_, index) => from + index);
  }

  /** Asks in every shared version and hands each answer to `check`. */
  async function everyVersion<A extends Api>(
    api: A,
    body: (version: number) => RequestInput<A>,
    check: (answer: ResponseBody<A>, version: number) => void,
    versions: readonly number[] = shared(api),
  ): Promise<void> {
    expect(versions.length, `${api.name}: no version in common`).toBeGreaterThan(0);
    for (const version of versions) {
      try {
        check(await wire.ask(api, version, body(version)), version);
      } catch (cause) {
        throw new Error(`${api.name} v${version}: ${(cause as Error).message}`, { cause });
      }
    }
  }

  function batch(producer: { readonly producerId: number; readonly producerEpoch: number } | undefined, count = 2, compression = 0): Buffer {
    const builder = pool.take();
    for (let index = 0; index < count; index++) builder.appendText(Date.now(), Buffer.from('key'), 0, 3, 'some words '.repeat(index + 1), noHeaders);
    const state = producer === undefined ? { producerId: -1, producerEpoch: -1, baseSequence: -1 } : { ...producer, baseSequence: 0 };
    const bytes = Buffer.from(builder.seal({ ...state, transactional: producer !== undefined, compression }));
    builder.release();
    return bytes;
  }

  /** Both names of the topic: a version sends the one it carries. Ids are of the first topic alone. */
  const produceTo = (name: string, records: Buffer, transactionalId: string | null = null) => ({
    transactionalId,
    acks: -1,
    timeoutMs: 10_000,
    topicData: [{ name, topicId, partitionData: [{ index: 0, records }] }],
  });
  const commitOffset = (committedOffset: number): Promise<ResponseBody<typeof APIS.offsetCommit>> => wire.ask(APIS.offsetCommit, 9, offsetOf(committedOffset));
  const offsetOf = (committedOffset: number) => ({
    groupId: group,
    generationIdOrMemberEpoch: -1,
    memberId: '',
    topics: [{ name: topic, topicId, partitions: [{ partitionIndex: 0, committedOffset, committedMetadata: 'm' }] }],
  });

  async function fetchAll(name: string, version: number, partition = 0): Promise<{ views: RecordBatchView[]; aborted: number }> {
    const answer = await wire.ask(APIS.fetch, version, {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 1 << 24,
      isolationLevel: 1,
      topics: [{ topic: name, topicId, partitions: [{ partition, fetchOffset: 0, partitionMaxBytes: 1 << 24 }] }],
    });
    const data = answer.responses[0]?.partitions[0];
    expect(data?.errorCode).toBe(0);
    const records = data?.records ?? Buffer.alloc(0);
    return { views: readBatches(records, 0, records.length, { checkCrc: true }), aborted: data?.abortedTransactions?.length ?? 0 };
  }

  function countRecords(views: readonly RecordBatchView[]): number {
    const reader = new RecordReader();
    let count = 0;
    for (const view of views) if (!view.control) for (reader.reset(view); reader.next(); ) count++;
    return count;
  }

  describe('data', () => {
    test('Produce and Fetch: what is written in any version and codec is read in any version', async () => {
      const versions = shared(APIS.produce);
      const accepted = (answer: ResponseBody<typeof APIS.produce>): void => expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(0);
      await everyVersion(APIS.produce, (version) => produceTo(topic, batch(undefined, 2, version % 4)), accepted, versions);
      for (const version of shared(APIS.fetch)) expect(countRecords((await fetchAll(topic, version)).views), `Fetch v${version}`).toBe(versions.length * 2);
    });

    test.each(['gzip', 'snappy', 'lz4'] as const)('a batch that Kafka compressed with %s is read', async (codec) => {
      await wire.ask(APIS.produce, 9, produceTo(`${topic}-${codec}`, batch(undefined, 100)));
      const { views } = await fetchAll(`${topic}-${codec}`, 12);
      expect(views.map((view) => view.compression)).toEqual([COMPRESSIONS[codec]]);
      expect(countRecords(views)).toBe(100);
    });

    test('ListOffsets, OffsetForLeaderEpoch, DeleteRecords, DescribeProducers', async () => {
      for (const timestamp of [-1, -2, 0]) {
        const body = { replicaId: -1, topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }] };
        await everyVersion(
          APIS.listOffsets,
          () => body,
          (answer) => expect(answer.topics[0]?.partitions[0]?.errorCode).toBe(0),
        );
      }
      // Special timestamps are known from a version on; before it they are unsupported. Nothing is tiered here.
      for (const [timestamp, since] of [
        [-3, 7],
        [-4, 8],
        [-5, 9],
        [-6, 11],
      ] as const) {
        const body = { replicaId: -1, topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }] };
        const check = (answer: ResponseBody<typeof APIS.listOffsets>, version: number): void => {
          const found = answer.topics[0]?.partitions[0];
          expect(found?.errorCode, `${timestamp}`).toBe(version < since ? 35 : 0);
          if (version < since) return;
          if (timestamp <= -5) expect(found, `${timestamp}`).toMatchObject({ offset: -1, timestamp: -1 });
          else expect(found?.offset, `${timestamp}`).toBeGreaterThanOrEqual(0);
        };
        await everyVersion(APIS.listOffsets, () => body, check);
      }
      const epoch = { topics: [{ topic, partitions: [{ partition: 0, leaderEpoch: 0 }] }] };
      await everyVersion(
        APIS.offsetForLeaderEpoch,
        () => epoch,
        (answer) => expect(answer.topics[0]?.partitions[0]?.endOffset).toBeGreaterThan(0),
      );
      const purge = { topics: [{ name: `${topic}-gzip`, partitions: [{ partitionIndex: 0, offset: -1 }] }], timeoutMs: 10_000 };
      await everyVersion(
        APIS.deleteRecords,
        () => purge,
        (answer) => expect(answer.topics[0]?.partitions[0]?.errorCode).toBe(0),
      );
      const writers = { topics: [{ name: topic, partitionIndexes: [0] }] };
      await everyVersion(
        APIS.describeProducers,
        () => writers,
        (answer) => expect(answer.topics[0]?.partitions[0]?.errorCode).toBe(0),
      );
    });
  });

  describe('groups', () => {
    test('FindCoordinator, OffsetCommit, OffsetFetch', async () => {
      const find = { key: group, keyType: 0, coordinatorKeys: [group] };
      await everyVersion(
        APIS.findCoordinator,
        () => find,
        (answer, version) => expect(version < 4 ? answer.port : answer.coordinators[0]?.port).toBe(port),
      );
      await everyVersion(
        APIS.offsetCommit,
        () => offsetOf(77),
        (answer) => expect(answer.topics[0]?.partitions[0]?.errorCode).toBe(0),
      );
      const topics = [{ name: topic, topicId, partitionIndexes: [0] }];
      await everyVersion(
        APIS.offsetFetch,
        () => ({ groupId: group, topics, groups: [{ groupId: group, topics }], requireStable: true }),
        (answer, version) => {
          const found = (version < 8 ? answer.topics : answer.groups[0]?.topics)?.[0]?.partitions[0];
          expect(found).toMatchObject({ committedOffset: 77, metadata: 'm', errorCode: 0 });
        },
      );
    });

    test('JoinGroup, SyncGroup, Heartbeat, DescribeGroups, ListGroups, LeaveGroup, DeleteGroups', async () => {
      const metadata = encodeEmbedded(consumerProtocolSubscription, 3, { topics: [topic] });
      const assignment = encodeEmbedded(consumerProtocolAssignment, 0, { assignedPartitions: [{ topic, partitions: [0] }] });
      const pick = (api: Api, version: number): readonly number[] => [Math.min(version, api.versions.max)];
      for (const version of shared(APIS.joinGroup)) {
        const groupId = `${group}-${version}`;
        const join = (memberId: string) =>
          wire.ask(APIS.joinGroup, version, {
            groupId,
            sessionTimeoutMs: 10_000,
            rebalanceTimeoutMs: 10_000,
            memberId,
            protocolType: 'consumer',
            protocols: [{ name: 'range', metadata }],
          });
        let joined = await join('');
        if (joined.errorCode === 79) joined = await join(joined.memberId);
        expect(joined).toMatchObject({ errorCode: 0, members: [{ memberId: joined.memberId, metadata }] });
        const { memberId, generationId } = joined;
        const sync = { groupId, generationId, memberId, protocolType: 'consumer', protocolName: 'range', assignments: [{ memberId, assignment }] };
        await everyVersion(
          APIS.syncGroup,
          () => sync,
          (answer) => expect(answer).toMatchObject({ errorCode: 0, assignment }),
          pick(APIS.syncGroup, version),
        );
        await everyVersion(
          APIS.heartbeat,
          () => ({ groupId, generationId, memberId }),
          (answer) => expect(answer.errorCode).toBe(0),
          pick(APIS.heartbeat, version),
        );
        const describeGroup = (answer: ResponseBody<typeof APIS.describeGroups>): void =>
          expect(answer.groups[0]).toMatchObject({ groupState: 'Stable', members: [{ memberId, memberAssignment: assignment }] });
        await everyVersion(APIS.describeGroups, () => ({ groups: [groupId] }), describeGroup, pick(APIS.describeGroups, version));
        const leave = { groupId, memberId, members: [{ memberId }] };
        await everyVersion(
          APIS.leaveGroup,
          () => leave,
          (answer) => expect(answer.errorCode).toBe(0),
          pick(APIS.leaveGroup, version),
        );
      }
      await everyVersion(
        APIS.listGroups,
        () => ({}),
        (answer) => expect(answer.groups.length).toBeGreaterThan(0),
      );
      await everyVersion(
        APIS.deleteGroups,
        (version) => ({ groupsNames: [`${group}-${version}`] }),
        (answer) => expect(answer.results[0]?.errorCode).toBe(0),
      );
    });
  });

  describe('what tools ask of a cluster', () => {
    const parts = (...indexes: number[]) => [{ topic, partitions: indexes }];

    test('DescribeLogDirs, AlterReplicaLogDirs, ElectLeaders', async () => {
      let directory = '';
      const described = (answer: ResponseBody<typeof APIS.describeLogDirs>): void => {
        directory = answer.results[0]?.logDir ?? '';
        expect(answer.results[0]?.topics).toMatchObject([{ name: topic, partitions: [{ partitionIndex: 0, offsetLag: 0, isFutureKey: false }] }]);
      };
      await everyVersion(APIS.describeLogDirs, () => ({ topics: parts(0, 9) }), described);
      const codes =
        (...expected: string[]) =>
        (answer: ResponseBody<typeof APIS.alterReplicaLogDirs>): void =>
          expect(
            answer.results.flatMap(({ partitions }) => partitions.map(({ partitionIndex, errorCode }) => `${partitionIndex}: ${errorCode}`)).sort(),
          ).toEqual(expected);
      const dir = (path: string) => ({ dirs: [{ path, topics: [{ name: topic, partitions: [0, 9] }] }] });
      await everyVersion(APIS.alterReplicaLogDirs, () => dir(directory), codes('0: 0', '9: 3'));
      await everyVersion(APIS.alterReplicaLogDirs, () => dir('/nowhere'), codes('0: 57', '9: 57'));
      const elected = (answer: ResponseBody<typeof APIS.electLeaders>): void =>
        expect(answer.replicaElectionResults[0]?.partitionResult.map(({ errorCode }) => errorCode).sort()).toEqual([3, 84]);
      await everyVersion(APIS.electLeaders, () => ({ topicPartitions: parts(0, 9), electionType: 0 }), elected);
    });

    test('reassignments: none is under way, and this broker is the only place', async () => {
      const move = (replicas: number[] | null) => ({ topics: [{ name: topic, partitions: [{ partitionIndex: 0, replicas }] }] });
      const code = (expected: number) => (answer: ResponseBody<typeof APIS.alterPartitionReassignments>) =>
        expect(answer.responses[0]?.partitions[0]?.errorCode).toBe(expected);
      await everyVersion(APIS.alterPartitionReassignments, () => move([1]), code(0));
      await everyVersion(APIS.alterPartitionReassignments, () => move([9]), code(39));
      await everyVersion(APIS.alterPartitionReassignments, () => move(null), code(85));
      await everyVersion(
        APIS.listPartitionReassignments,
        () => ({ topics: null }),
        (answer) => expect(answer).toMatchObject({ errorCode: 0, topics: [] }),
      );
    });

    test('DescribeQuorum, UpdateFeatures, ListConfigResources, DescribeTopicPartitions', async () => {
      const quorum = { topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }] };
      await everyVersion(
        APIS.describeQuorum,
        () => quorum,
        (answer) => expect(answer.topics[0]?.partitions[0]).toMatchObject({ errorCode: 0, leaderId: 1, currentVoters: [{ replicaId: 1 }] }),
      );
      const level = (maxVersionLevel: number) => ({ featureUpdates: [{ feature: 'transaction.version', maxVersionLevel }], validateOnly: true });
      await everyVersion(
        APIS.updateFeatures,
        () => level(99),
        (answer) => expect([answer.errorCode, answer.results[0]?.errorCode]).toContain(95),
      );
      await everyVersion(
        APIS.listConfigResources,
        () => ({ resourceTypes: [2] }),
        (answer, version) => expect(answer.configResources.some(({ resourceName }) => resourceName === topic)).toBe(version > 0),
      );
      const pages = { topics: [{ name: topic }, { name: `${topic}-missing` }], responsePartitionLimit: 1 };
      await everyVersion(
        APIS.describeTopicPartitions,
        () => pages,
        (answer) => expect(answer.topics[0]).toMatchObject({ errorCode: 0, name: topic, topicId, partitions: [{ partitionIndex: 0, leaderId: 1 }] }),
      );
    });

    test('WriteTxnMarkers to a partition that does not exist', async () => {
      const topics = [{ name: topic, partitionIndexes: [9] }];
      const markers = [{ producerId: 1, producerEpoch: 0, transactionResult: false, topics, coordinatorEpoch: 0 }];
      await everyVersion(
        APIS.writeTxnMarkers,
        () => ({ markers }),
        (answer) => expect(answer.markers[0]?.topics[0]?.partitions[0]?.errorCode).toBe(3),
      );
    });
  });

  describe('transactions', () => {
    test('every version of the five requests, ended both ways; markers are byte for byte ours', async () => {
      for (const version of shared(APIS.initProducerId)) await oneTransaction(version, version % 2 === 0);
      const { views, aborted } = await fetchAll(topic, 12);
      expect(aborted).toBeGreaterThan(0);
      const control = views.filter((view) => view.control);
      expect(new Set(control.map((view) => readControlMarker(view)?.type))).toEqual(new Set(['commit', 'abort']));
      for (const { buffer, start, end, producerId, producerEpoch, maxTimestamp, baseOffset, leaderEpoch } of control) {
        const marker = readControlMarker(readBatches(buffer, start, end, { checkCrc: true })[0] as RecordBatchView);
        if (marker === undefined) throw new Error('not a marker');
        const ours = encodeControlBatch({ ...marker, producerId, producerEpoch, timestamp: maxTimestamp, baseOffset, leaderEpoch });
        expect(ours.toString('hex')).toBe(buffer.toString('hex', start, end));
      }
      const id = `${group}-1`;
      await everyVersion(
        APIS.describeTransactions,
        () => ({ transactionalIds: [id] }),
        (answer) => expect(answer.transactionStates[0]?.transactionalId).toBe(id),
      );
      const all = { stateFilters: [], producerIdFilters: [] };
      await everyVersion(
        APIS.listTransactions,
        () => all,
        (answer) => expect(answer.transactionStates.length).toBeGreaterThan(0),
      );
      const matching = (transactionalIdPattern: string) => wire.ask(APIS.listTransactions, 2, { ...all, transactionalIdPattern });
      expect((await matching(`${group}-[1]`)).transactionStates.map(({ transactionalId }) => transactionalId)).toEqual([id]);
      expect((await matching(group)).transactionStates.some(({ transactionalId }) => transactionalId !== group)).toBe(false);
      expect((await matching('(')).errorCode).toBe(128);
    });

    async function oneTransaction(version: number, committed: boolean): Promise<void> {
      const transactionalId = `${group}-${version}`;
      let begun = { producerId: -1, producerEpoch: -1 };
      await until(async () => {
        const answer = await wire.ask(APIS.initProducerId, version, { transactionalId, transactionTimeoutMs: 10_000 });
        begun = { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
        return answer.errorCode === 0;
      });
      const identity = { transactionalId, ...begun };
      const partitions = { ...identity, topics: [{ name: topic, partitions: [0] }] };
      const added = await wire.ask(APIS.addPartitionsToTxn, Math.min(3, version), partitions);
      expect(added.resultsByTopic[0]?.resultsByPartition[0]?.partitionErrorCode).toBe(0);
      expect((await wire.ask(APIS.addOffsetsToTxn, Math.min(4, version), { ...identity, groupId: group })).errorCode).toBe(0);
      const records = batch(begun);
      await until(
        async () => (await wire.ask(APIS.produce, 9, produceTo(topic, records, transactionalId))).responses[0]?.partitionResponses[0]?.errorCode === 0,
      );
      const offsets = {
        ...identity,
        groupId: group,
        topics: [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: 5, committedMetadata: '' }] }],
      };
      expect((await wire.ask(APIS.txnOffsetCommit, Math.min(4, version), offsets)).topics[0]?.partitions[0]?.errorCode).toBe(0);
      expect((await wire.ask(APIS.endTxn, Math.min(4, version), { ...identity, committed })).errorCode).toBe(0);
    }

    test('transactions v2: Produce 12 and TxnOffsetCommit 5 register by themselves, EndTxn 5 hands out the next epoch', async () => {
      const transactionalId = `${group}-two`;
      let current = { producerId: -1, producerEpoch: -1 };
      await until(async () => {
        const answer = await wire.ask(APIS.initProducerId, 5, { transactionalId, transactionTimeoutMs: 10_000 });
        current = answer;
        return answer.errorCode === 0;
      });
      for (const committed of [true, false]) {
        const identity = { transactionalId, producerId: current.producerId, producerEpoch: current.producerEpoch };
        const records = batch(current);
        await until(
          async () => (await wire.ask(APIS.produce, 12, produceTo(topic, records, transactionalId))).responses[0]?.partitionResponses[0]?.errorCode === 0,
        );
        const offsets = {
          ...identity,
          groupId: group,
          topics: [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: 6, committedMetadata: '' }] }],
        };
        expect((await wire.ask(APIS.txnOffsetCommit, 5, offsets)).topics[0]?.partitions[0]?.errorCode).toBe(0);
        const ended = await wire.ask(APIS.endTxn, 5, { ...identity, committed });
        expect(ended).toMatchObject({ errorCode: 0, producerId: current.producerId, producerEpoch: current.producerEpoch + 1 });
        // The same question again gets the same answer, once the markers are there; the other outcome never.
        await until(async () => (await wire.ask(APIS.endTxn, 5, { ...identity, committed })).errorCode === 0);
        expect(await wire.ask(APIS.endTxn, 5, { ...identity, committed })).toEqual(ended);
        expect((await wire.ask(APIS.endTxn, 5, { ...identity, committed: !committed })).errorCode).toBe(48);
        const late = await wire.ask(APIS.produce, 12, produceTo(topic, records, transactionalId));
        expect(late.responses[0]?.partitionResponses[0]?.errorCode).toBe(47);
        current = ended;
      }
    });

    test('transactions v2 after a timeout: the producer is fenced until it aborts, and then goes on under the next epoch', async () => {
      const transactionalId = `${group}-four`;
      let me = { producerId: -1, producerEpoch: -1 };
      await until(async () => {
        const answer = await wire.ask(APIS.initProducerId, 5, { transactionalId, transactionTimeoutMs: 1_000 });
        me = { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
        return answer.errorCode === 0;
      });
      const records = batch(me);
      const send = async (version: number) => {
        const { responses } = await wire.ask(APIS.produce, version, produceTo(topic, records, transactionalId));
        return responses[0]?.partitionResponses[0]?.errorCode;
      };
      await until(async () => (await send(12)) === 0);
      const described = async () => (await wire.ask(APIS.describeTransactions, 0, { transactionalIds: [transactionalId] })).transactionStates[0];
      await until(async () => (await described())?.transactionState === 'CompleteAbort');
      const end = (committed: boolean) => wire.ask(APIS.endTxn, 5, { transactionalId, ...me, committed });
      const offsets = {
        transactionalId,
        groupId: group,
        ...me,
        topics: [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }] }],
      };
      const commit = (await wire.ask(APIS.txnOffsetCommit, 5, offsets)).topics[0]?.partitions[0]?.errorCode;
      expect([await send(12), commit, (await end(true)).errorCode]).toEqual([47, 47, 48]);
      expect(await end(false)).toMatchObject({ errorCode: 0, producerId: me.producerId, producerEpoch: me.producerEpoch + 1 });
    });

    test('transactions v2, initialised again while open: two epochs on, and the old producer is out', async () => {
      const transactionalId = `${group}-five`;
      const init = async () => {
        let answer = { errorCode: -1, producerId: -1, producerEpoch: -1 };
        await until(async () => {
          answer = await wire.ask(APIS.initProducerId, 5, { transactionalId, transactionTimeoutMs: 10_000 });
          return answer.errorCode === 0;
        });
        return { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
      };
      const old = await init();
      const send = async (who: typeof old) => {
        const { responses } = await wire.ask(APIS.produce, 12, produceTo(topic, batch(who), transactionalId));
        return responses[0]?.partitionResponses[0]?.errorCode;
      };
      await until(async () => (await send(old)) === 0);
      const next = await init();
      expect(next).toEqual({ producerId: old.producerId, producerEpoch: old.producerEpoch + 2 });
      const end = async (committed: boolean) => (await wire.ask(APIS.endTxn, 5, { transactionalId, ...old, committed })).errorCode;
      expect([await send(old), await end(true), await end(false)]).toEqual([47, 90, 90]);
      await until(async () => (await send(next)) === 0);
      expect((await wire.ask(APIS.endTxn, 5, { transactionalId, ...next, committed: true })).errorCode).toBe(0);
    });

    test('transactions v2 without anything open: a commit is invalid, an abort brings an epoch; what must have been added says so', async () => {
      const transactionalId = `${group}-three`;
      let first = { producerId: -1, producerEpoch: -1 };
      await until(async () => {
        const answer = await wire.ask(APIS.initProducerId, 5, { transactionalId, transactionTimeoutMs: 10_000 });
        first = { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
        return answer.errorCode === 0;
      });
      const end = (committed: boolean, who = first) => wire.ask(APIS.endTxn, 5, { transactionalId, ...who, committed });
      expect((await end(true)).errorCode).toBe(48);
      const second = await end(false);
      expect(second).toMatchObject({ errorCode: 0, producerEpoch: first.producerEpoch + 1 });
      await until(async () => (await end(false)).errorCode === 0);
      const me = { producerId: second.producerId, producerEpoch: second.producerEpoch };
      const code = async (version: number) => {
        const { responses } = await wire.ask(APIS.produce, version, produceTo(topic, batch(me), transactionalId));
        return responses[0]?.partitionResponses[0]?.errorCode;
      };
      expect([await code(10), await code(11)]).toEqual([48, 120]);
      const unknown = await wire.ask(APIS.produce, 12, produceTo(topic, batch({ producerId: 999_999, producerEpoch: 0 }), transactionalId));
      expect(unknown.responses[0]?.partitionResponses[0]?.errorCode).toBe(49);
    });
  });

  describe('what Kafka keeps in its internal topics is read, and written back byte for byte', () => {
    const rewritten = (schema: EmbeddedSchema, bytes: Buffer): void => {
      const { version, value } = decodeEmbedded(schema, bytes);
      expect(encodeEmbedded(schema, version, value).toString('hex'), schema.name).toBe(bytes.toString('hex'));
    };

    async function everyRecord(name: string, see: (key: Buffer, value: Buffer | undefined) => void): Promise<number> {
      const partitions = (await wire.ask(APIS.metadata, 9, { topics: [{ name }] })).topics[0]?.partitions ?? [];
      const reader = new RecordReader();
      let seen = 0;
      for (const { partitionIndex } of partitions) {
        const end = (await wire.ask(APIS.listOffsets, 6, { replicaId: -1, topics: [{ name, partitions: [{ partitionIndex, timestamp: -1 }] }] })).topics[0]
          ?.partitions[0];
        if (end === undefined || end.offset < 1) continue;
        for (const view of (await fetchAll(name, 12, partitionIndex)).views) {
          if (view.control) continue;
          for (reader.reset(view); reader.next(); seen++) {
            const { buffer, keyStart, keyLength, valueStart, valueLength } = reader;
            see(buffer.subarray(keyStart, keyStart + keyLength), valueLength < 0 ? undefined : buffer.subarray(valueStart, valueStart + valueLength));
          }
        }
      }
      return seen;
    }

    test('__consumer_offsets', async () => {
      const seen = await everyRecord('__consumer_offsets', (key, value) => {
        const schemas = OFFSETS_TOPIC_SCHEMAS[embeddedVersion(key)];
        if (schemas === undefined) return; // share groups, streams groups
        rewritten(schemas[0], key);
        // Kafka writes the tag of a classic member, which our members never are, even when it is null.
        if (value !== undefined && schemas[1] === consumerGroupMemberValue) decodeEmbedded(schemas[1], value);
        else if (schemas[1] === consumerGroupEpochValue)
          return; // its hash takes all 64 bits, ours is a safe integer
        else if (value !== undefined) rewritten(schemas[1], value);
      });
      expect(seen).toBeGreaterThan(0);
    });

    test('__transaction_state', async () => {
      const seen = await everyRecord('__transaction_state', (key, value) => {
        if (embeddedVersion(key) !== 0) return; // the embedded broker's own: which producer ids are taken; Kafka's readers skip it
        rewritten(transactionLogKey, key);
        if (value !== undefined) rewritten(transactionLogValue, value);
      });
      expect(seen).toBeGreaterThan(0);
    });
  });

  describe('administration', () => {
    const noError = (answers: readonly { readonly errorCode: number }[]): void => expect(answers.map((answer) => answer.errorCode)).toEqual([0]);

    test('ApiVersions, Metadata, DescribeCluster, DescribeTopicPartitions', async () => {
      const software = { clientSoftwareName: 'millrace', clientSoftwareVersion: '1' };
      await everyVersion(
        APIS.apiVersions,
        () => software,
        (answer) => expect(answer.errorCode).toBe(0),
      );
      const named = { topics: [{ name: topic }], allowAutoTopicCreation: false };
      await everyVersion(
        APIS.metadata,
        () => named,
        (answer) => expect(answer.topics[0]).toMatchObject({ errorCode: 0, name: topic }),
      );
      await everyVersion(
        APIS.metadata,
        (version) => ({ topics: version === 0 ? [] : null }),
        (answer) => expect(answer.topics.length).toBeGreaterThan(3),
      );
      await everyVersion(
        APIS.describeCluster,
        () => ({ includeClusterAuthorizedOperations: false }),
        (answer) => expect(answer.brokers).toHaveLength(1),
      );
      await everyVersion(
        APIS.describeTopicPartitions,
        () => ({ topics: [{ name: topic }] }),
        (answer) => expect(answer.topics[0]?.name).toBe(topic),
      );
    });

    test('CreateTopics, CreatePartitions, configuration, DeleteTopics, OffsetDelete', async () => {
      const name = (version: number): string => `${topic}-v${version}`;
      await everyVersion(
        APIS.createTopics,
        (version) => ({
          topics: [{ name: name(version), numPartitions: 1, replicationFactor: 1, assignments: [], configs: [{ name: 'retention.ms', value: '-1' }] }],
        }),
        (answer) => noError(answer.topics),
      );
      const grow = (version: number) => ({ topics: [{ name: name(2), count: 2 + version, assignments: null }], timeoutMs: 10_000, validateOnly: false });
      await everyVersion(APIS.createPartitions, grow, (answer) => noError(answer.results));
      const described = { resources: [{ resourceType: 2, resourceName: topic, configurationKeys: null }], includeSynonyms: true, includeDocumentation: true };
      await everyVersion(
        APIS.describeConfigs,
        () => described,
        (answer) => expect(answer.results[0]?.configs.length).toBeGreaterThan(10),
      );
      const config = { name: 'retention.ms', value: '1000000' };
      const altered = { resources: [{ resourceType: 2, resourceName: topic, configs: [config] }], validateOnly: true };
      await everyVersion(
        APIS.alterConfigs,
        () => altered,
        (answer) => noError(answer.responses),
      );
      const changed = { resources: [{ resourceType: 2, resourceName: topic, configs: [{ ...config, configOperation: 0 }] }], validateOnly: true };
      await everyVersion(
        APIS.incrementalAlterConfigs,
        () => changed,
        (answer) => noError(answer.responses),
      );
      const gone = (version: number) => ({ topicNames: [name(version)], topics: [{ name: name(version), topicId: NO_UUID }], timeoutMs: 10_000 });
      const known = shared(APIS.deleteTopics).filter((version) => shared(APIS.createTopics).includes(version));
      await everyVersion(APIS.deleteTopics, gone, (answer) => noError(answer.responses), known);
      const forgotten = { groupId: group, topics: [{ name: topic, partitions: [{ partitionIndex: 0 }] }] };
      await everyVersion(
        APIS.offsetDelete,
        () => forgotten,
        (answer) => expect(answer.errorCode).toBe(0),
      );
    });
  });
}
