// A broker that does what a test tells it: answers from defaults, or from a script, request by request. For tests of this package only.
// Owns: one node on a memory network, its partitions' batches, producer state as strict as Kafka's.  Never: more of a broker than a test needs.
// B1 a scripted step is used once, in order; without one the default answers.  B2 answers leave in request order unless a step delays or drops its own.
import { type MemoryNetwork, memoryNetwork, partitionKey, type SocketEvents, seededChance, silentLogger, type VirtualTime, virtualTime } from '@millrace/core';
import { APIS, api, decodeRequest, decodeRequestHeader, encodeResponse, NO_UUID, type RecordBatchView, readBatches, sequenceAfter } from '@millrace/protocol';
import type { ClientPorts } from '../kafka/open.ts';
import type { ConnectionOptions } from '../port.ts';

/** A request as it came. The body is typed loosely: a test reads the one or two fields it is about. */
export interface SeenRequest {
  readonly name: string;
  readonly version: number;
  readonly correlationId: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into bodies of many shapes
  readonly body: any;
}

/** What a step does with its request: a body to answer with, `drop` (no answer), `close` (the connection ends), or the default. */
export type StepResult = object | 'drop' | 'close' | 'default';
export type Step = (request: SeenRequest) => StepResult | { readonly after: number; readonly answer: object };

export interface ScriptedTopic {
  readonly name: string;
  topicId: string;
  partitions: number;
}

interface StoredPartition {
  readonly batches: Buffer[];
  end: number;
  start: number;
  stable: number | undefined;
  aborted: { producerId: number; firstOffset: number }[];
  readonly sequences: Map<number, { epoch: number; next: number; recent: { first: number; base: number }[] }>;
}

const HOST = 'broker';

export class ScriptedBroker {
  readonly time: VirtualTime = virtualTime();
  readonly network: MemoryNetwork = memoryNetwork(this.time.timers);
  readonly requests: SeenRequest[] = [];
  readonly topics = new Map<string, ScriptedTopic>();
  readonly #steps = new Map<string, Step[]>();
  readonly #partitions = new Map<string, StoredPartition>();
  /** Version ranges offered; absent: what our protocol package lists. */
  readonly versions = new Map<number, { min: number; max: number }>();
  transactionVersion = 0;
  producerId = 1000;
  producerEpoch = -1;
  leaderEpoch = 5;
  /** Larger batches are refused with [10]. */
  batchBytesMax = Number.POSITIVE_INFINITY;
  /** The group of one member, ours. */
  generation = 0;
  readonly port = 9092;

  readonly connection: ConnectionOptions = { brokers: [`${HOST}:${this.port}`], clientId: 'test', connectionTimeoutMs: 1_000, requestTimeoutMs: 2_000 };
  readonly ports: ClientPorts = { clock: this.time.clock, timers: this.time.timers, chance: seededChance(1), network: this.network, log: silentLogger };

  async listen(): Promise<this> {
    const listening = this.network.listen({ host: HOST, port: this.port }, (socket): SocketEvents => {
      let buffered = Buffer.alloc(0);
      return {
        onData: (chunk) => {
          buffered = Buffer.concat([buffered, chunk]);
          while (buffered.length >= 4 && buffered.length >= 4 + buffered.readInt32BE(0)) {
            const end = 4 + buffered.readInt32BE(0);
            this.#take(
              Buffer.from(buffered.subarray(4, end)),
              (bytes) => void socket.write(bytes),
              () => socket.destroy(),
            );
            buffered = buffered.subarray(end);
          }
        },
        onClose: () => {},
      };
    });
    await this.time.advance(0);
    await listening;
    return this;
  }

  topic(name: string, partitions = 1, topicId = Buffer.from(name.padEnd(16, '.')).subarray(0, 16).toString('base64url')): void {
    this.topics.set(name, { name, topicId, partitions });
  }

  /** Steps for the next requests of an API, used up in order. */
  script(name: keyof typeof APIS, ...steps: readonly Step[]): void {
    const label = APIS[name].name;
    this.#steps.set(label, [...(this.#steps.get(label) ?? []), ...steps]);
  }

  seen(name: keyof typeof APIS): readonly SeenRequest[] {
    return this.requests.filter((request) => request.name === APIS[name].name);
  }

  partition(topic: string, partition = 0): StoredPartition {
    const key = partitionKey(topic, partition);
    let stored = this.#partitions.get(key);
    if (stored === undefined) this.#partitions.set(key, (stored = { batches: [], end: 0, start: 0, stable: undefined, aborted: [], sequences: new Map() }));
    return stored;
  }

  /** Lets time pass until `promise` settles; gives its value, or throws its error. */
  async run<T>(promise: Promise<T>, msMax = 60_000): Promise<T> {
    let settled = false;
    const guarded = promise.finally(() => {
      settled = true;
    });
    guarded.catch(() => {});
    for (let passed = 0; !settled; passed += 5) {
      if (passed > msMax) throw new Error(`nothing came of it within ${msMax} ms; requests: ${this.requests.map(({ name }) => name).join(' ')}`);
      await this.time.advance(5);
    }
    return guarded;
  }

  #take(frame: Buffer, write: (bytes: Buffer) => void, close: () => void): void {
    const header = decodeRequestHeader(frame);
    const known = header.api ?? api(header.apiKey);
    if (known === undefined) {
      close();
      return;
    }
    const decoded = decodeRequest(frame, header);
    const request: SeenRequest = { name: known.name, version: header.version, correlationId: header.correlationId, body: decoded.body };
    this.requests.push(request);
    const step = this.#steps.get(known.name)?.shift();
    const result = step === undefined ? 'default' : step(request);
    if (result === 'drop') return;
    if (result === 'close') {
      close();
      return;
    }
    const send = (body: object): void => write(encodeResponse(known, header.version, header.correlationId, body as never));
    if (result === 'default') send(this.#default(request));
    else if ('after' in result && 'answer' in result) this.time.timers.after(result.after as number, () => send(result.answer as object));
    else send(result);
  }

  /** Does what the default does, and gives the answer instead of sending it. */
  answerOf(request: SeenRequest): object {
    return this.#default(request);
  }

  #default(request: SeenRequest): object {
    const { name, body } = request;
    switch (name) {
      case 'ApiVersions':
        return {
          errorCode: 0,
          apiKeys: Object.values(APIS).map((known) => ({
            apiKey: known.key,
            minVersion: this.versions.get(known.key)?.min ?? known.versions.min,
            maxVersion: this.versions.get(known.key)?.max ?? known.versions.max,
          })),
          finalizedFeatures: this.transactionVersion > 0 ? [{ name: 'transaction.version', maxVersionLevel: this.transactionVersion, minVersionLevel: 1 }] : [],
        };
      case 'Metadata':
        return this.#metadata(body);
      case 'FindCoordinator':
        return { coordinators: body.coordinatorKeys.map((key: string) => ({ key, nodeId: 1, host: HOST, port: this.port, errorCode: 0, errorMessage: null })) };
      case 'InitProducerId':
        this.producerEpoch++;
        return { errorCode: 0, producerId: this.producerId, producerEpoch: this.producerEpoch };
      case 'AddPartitionsToTxn':
        return {
          resultsByTopic: body.topics.map((topic: { name: string; partitions: number[] }) => ({
            name: topic.name,
            resultsByPartition: topic.partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: 0 })),
          })),
        };
      case 'TxnOffsetCommit':
      case 'OffsetCommit':
        return { topics: perPartition(body.topics) };
      case 'EndTxn':
        if (request.version >= 5) this.producerEpoch++;
        return { errorCode: 0, producerId: this.producerId, producerEpoch: this.producerEpoch };
      case 'OffsetFetch':
        return { groups: body.groups.map(({ groupId }: { groupId: string }) => ({ groupId, errorCode: 0, topics: [] })) };
      case 'CreateTopics':
        return { topics: body.topics.map((topic: { name: string }) => ({ name: topic.name, errorCode: 0, errorMessage: null, configs: null })) };
      case 'DescribeConfigs':
        return { results: [{ errorCode: 0, errorMessage: null, resourceType: 2, resourceName: body.resources[0].resourceName, configs: [] }] };
      case 'DeleteTopics':
        return { responses: body.topics.map((topic: { name: string; topicId: string }) => ({ ...topic, errorCode: 0 })) };
      case 'DeleteRecords':
        return { topics: perPartition(body.topics) };
      case 'LeaveGroup':
        return { errorCode: 0, members: [] };
      case 'JoinGroup':
        return this.#joined(body);
      case 'SyncGroup':
        return { errorCode: 0, assignment: body.assignments[0]?.assignment ?? Buffer.alloc(0) };
      case 'Produce':
        return this.#produce(body);
      case 'Fetch':
        return this.#fetch(body);
      case 'ListOffsets':
        return this.#listOffsets(body);
      case 'OffsetForLeaderEpoch':
        return this.#epochEnds(body);
      default:
        return { errorCode: 0 };
    }
  }

  #metadata(body: { readonly topics: readonly { readonly name: string }[] | null }): object {
    const names = body.topics?.map(({ name }) => name) ?? [...this.topics.keys()];
    return {
      brokers: [{ nodeId: 1, host: HOST, port: this.port, rack: null }],
      clusterId: 'scripted',
      controllerId: 1,
      topics: names.map((name) => {
        const topic = this.topics.get(name);
        const partitions = Array.from({ length: topic?.partitions ?? 0 }, (_, partitionIndex) => ({
          errorCode: 0,
          partitionIndex,
          leaderId: 1,
          leaderEpoch: this.leaderEpoch,
          replicaNodes: [1],
          isrNodes: [1],
          offlineReplicas: [],
        }));
        return { errorCode: topic === undefined ? 3 : 0, name, topicId: topic?.topicId ?? NO_UUID, isInternal: false, partitions };
      }),
    };
  }

  #joined(body: {
    readonly memberId: string;
    readonly groupInstanceId: string | null;
    readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[];
  }): object {
    if (body.memberId === '' && body.groupInstanceId === null)
      return { errorCode: 79, protocolName: null, leader: '', memberId: `member-${this.requests.length}`, members: [] };
    const memberId = body.memberId === '' ? `static-${this.requests.length}` : body.memberId;
    const members = [{ memberId, groupInstanceId: body.groupInstanceId, metadata: Buffer.from(body.protocols[0]?.metadata ?? []) }];
    this.generation++;
    return { errorCode: 0, generationId: this.generation, protocolType: 'consumer', protocolName: 'millrace', leader: memberId, memberId, members };
  }

  // ---- the log ------------------------------------------------------------------------------------------------------

  /** Appends a sealed batch as it is, at the log end; returns its base offset. */
  append(topic: string, partition: number, batch: Buffer, leaderEpoch = this.leaderEpoch): number {
    const stored = this.partition(topic, partition);
    const copy = Buffer.from(batch);
    copy.writeBigInt64BE(BigInt(stored.end), 0);
    copy.writeInt32BE(leaderEpoch, 12);
    const base = stored.end;
    stored.batches.push(copy);
    stored.end = base + copy.readInt32BE(23) + 1;
    return base;
  }

  #produce(body: {
    readonly topicData: readonly { readonly name: string; readonly partitionData: readonly { readonly index: number; readonly records: Buffer }[] }[];
  }): object {
    return {
      responses: body.topicData.map(({ name, partitionData }) => ({
        name,
        partitionResponses: partitionData.map(({ index, records }) => {
          const [view] = readBatches(records, 0, records.length, { checkCrc: true });
          const result = view === undefined ? { errorCode: 87, baseOffset: -1 } : this.#appendChecked(name, index, view, records);
          return { index, logAppendTimeMs: -1, ...result };
        }),
      })),
    };
  }

  #appendChecked(topic: string, partition: number, view: RecordBatchView, records: Buffer): { readonly errorCode: number; readonly baseOffset: number } {
    if (records.length > this.batchBytesMax) return { errorCode: 10, baseOffset: -1 };
    const stored = this.partition(topic, partition);
    const old = stored.sequences.get(view.producerId);
    const known = old !== undefined && old.epoch === view.producerEpoch ? old : undefined;
    const duplicate = known?.recent.find(({ first }) => first === view.baseSequence);
    if (duplicate !== undefined) return { errorCode: 0, baseOffset: duplicate.base };
    if (old !== undefined && view.producerEpoch < old.epoch) return { errorCode: 47, baseOffset: -1 };
    if (view.baseSequence !== (known?.next ?? 0) && old !== undefined) return { errorCode: 45, baseOffset: -1 };
    const base = this.append(topic, partition, records);
    const recent = [...(known?.recent ?? []), { first: view.baseSequence, base }].slice(-5);
    stored.sequences.set(view.producerId, { epoch: view.producerEpoch, next: sequenceAfter(view.baseSequence, view.count), recent });
    return { errorCode: 0, baseOffset: base };
  }

  /** Answers at once, empty or not: a test that wants parking scripts it. */
  #fetch(body: {
    readonly topics: readonly {
      readonly topicId: string;
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly fetchOffset: number }[];
    }[];
  }): object {
    return {
      errorCode: 0,
      responses: body.topics.map((asked) => {
        const topic = [...this.topics.values()].find((each) => each.topicId === asked.topicId || each.name === asked.topic);
        return {
          topic: asked.topic,
          topicId: asked.topicId,
          partitions: asked.partitions.map(({ partition, fetchOffset }) => this.fetched(topic?.name, partition, fetchOffset)),
        };
      }),
    };
  }

  /** What a fetch of one partition finds. */
  fetched(topic: string | undefined, partition: number, fetchOffset: number): Record<string, unknown> {
    const empty = {
      partitionIndex: partition,
      errorCode: 0,
      highWatermark: -1,
      lastStableOffset: -1,
      logStartOffset: -1,
      abortedTransactions: null,
      records: null,
    };
    if (topic === undefined) return { ...empty, errorCode: 100 };
    const stored = this.partition(topic, partition);
    if (fetchOffset < stored.start || fetchOffset > stored.end) return { ...empty, errorCode: 1 };
    const upTo = stored.stable ?? stored.end;
    const batches = stored.batches.filter((batch) => {
      const base = Number(batch.readBigInt64BE(0));
      return base + batch.readInt32BE(23) >= fetchOffset && base < upTo;
    });
    return {
      ...empty,
      highWatermark: stored.end,
      lastStableOffset: upTo,
      logStartOffset: stored.start,
      abortedTransactions: stored.aborted,
      records: batches.length === 0 ? null : Buffer.concat(batches),
    };
  }

  /** From the batches that are there: the end of the newest epoch that is not newer than the one asked for. */
  #epochEnds(body: {
    readonly topics: readonly { readonly topic: string; readonly partitions: readonly { readonly partition: number; readonly leaderEpoch: number }[] }[];
  }): object {
    return {
      topics: body.topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(({ partition, leaderEpoch }) => {
          const stored = this.partition(topic, partition);
          const newer = stored.batches.find((batch) => batch.readInt32BE(12) > leaderEpoch);
          const endOffset = leaderEpoch > this.leaderEpoch ? -1 : newer === undefined ? stored.end : Number(newer.readBigInt64BE(0));
          return { partition, errorCode: 0, leaderEpoch, endOffset };
        }),
      })),
    };
  }

  #listOffsets(body: {
    readonly topics: readonly { readonly name: string; readonly partitions: readonly { readonly partitionIndex: number; readonly timestamp: number }[] }[];
  }): object {
    return {
      topics: body.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => {
          const stored = this.partition(name, partitionIndex);
          return { partitionIndex, errorCode: 0, timestamp: -1, offset: timestamp === -2 ? stored.start : stored.end, leaderEpoch: this.leaderEpoch };
        }),
      })),
    };
  }
}

/** A result for every partition of a request, all with the same code. */
export function perPartition(
  topics: readonly { readonly name: string; readonly partitions: readonly { readonly partitionIndex: number }[] }[],
  errorCode = 0,
): object[] {
  return topics.map(({ name, partitions }) => ({ name, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode, lowWatermark: 0 })) }));
}
