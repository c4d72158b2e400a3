// What clients do and learn while the power fails: produce with sequences, transactions, topics, deletions, a group's offset. Only tests import it.
// Owns: the book of what was acknowledged.  Never: looks at the disk.
import { APIS } from '@millrace/protocol';
import { clientBatch } from './log-fixture.ts';
import { LOST, type PowerWorld } from './power-world.ts';

export interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}
interface Pending {
  readonly topic: string;
  readonly partition: number;
  readonly values: readonly string[];
  readonly bytes: Buffer;
}
interface Producer {
  readonly id: number;
  readonly epoch: number;
  readonly sequences: Map<string, number>;
  pending: Pending | undefined;
}
export interface TransactionBook {
  readonly values: string[];
  outcome: 'committed' | 'aborted' | 'unknown';
}

export const GROUP = 'group';
export const TABLE = 'table';
const TRANSACTIONAL_ID = 'transactional';

export class PowerHistory {
  readonly acknowledged = new Map<string, Place>();
  readonly transactions: TransactionBook[] = [];
  /** Acknowledged partition counts. */
  readonly live = new Map<string, number>();
  readonly gone = new Set<string>();
  readonly logStarts = new Map<string, number>();
  /** Newest acknowledged value number per key of the compacted topic. */
  readonly table = new Map<string, number>();
  readonly groupOffset = { acknowledged: -1, asked: -1 };
  /** Answers that no client should get. */
  readonly findings: string[] = [];
  readonly #world: PowerWorld;
  #producers: Producer[] = [];
  #transactional: Producer | undefined;
  /** Up to where records may have been deleted. */
  readonly #deletedTo = new Map<string, number>();
  #number = 0;

  constructor(world: PowerWorld) {
    this.#world = world;
  }

  /** One step of the clients' life, by chance. */
  async step(): Promise<void> {
    const { chance } = this.#world;
    if (this.#topics().length === 0) return this.#create();
    const steps = [
      () => this.#produce(),
      () => this.#produce(),
      () => this.#produce(),
      () => this.#transact(),
      () => this.#transact(),
      () => this.#writeTable(),
      () => this.#writeTable(),
      () => (this.live.size < 4 ? this.#create() : this.#delete()),
      () => this.#grow(),
      () => this.#deleteRecords(),
      () => this.#commitOffset(),
      () => this.#world.advance(chance.integer(2) === 0 ? 15_001 : 300_001),
    ];
    await (steps[chance.integer(steps.length)] as () => Promise<void>)();
  }

  /** After a power loss: some producers do not come back, so what they were not told of is never sent again. */
  endLife(): void {
    this.forgetTransaction();
    this.#producers = this.#producers.filter(() => this.#world.chance.integer(2) === 0);
  }

  /** Whatever the transactional producer had open is over. */
  forgetTransaction(): void {
    this.#transactional = undefined;
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#world.chance.integer(items.length)] as T;
  }
  #partition(): { topic: string; partition: number } {
    const topic = this.#pick(this.#topics());
    return { topic, partition: this.#world.chance.integer(this.live.get(topic) as number) };
  }
  /** All but the compacted one: its records need keys. */
  #topics(): string[] {
    return [...this.live.keys()].filter((name) => name !== TABLE);
  }
  #expect(what: string, code: number | undefined, ...allowed: number[]): boolean {
    if (code !== 0 && !allowed.includes(code ?? -1)) this.findings.push(`${what} answered ${code}`);
    return code === 0;
  }

  async #init(transactionalId: string | null): Promise<Producer | undefined> {
    for (;;) {
      const answer = await this.#world.ask(APIS.initProducerId, 4, { transactionalId, transactionTimeoutMs: 600_000 });
      if (answer === LOST) return undefined;
      if (answer.errorCode !== 51 && answer.errorCode !== 14)
        return this.#expect('InitProducerId', answer.errorCode)
          ? { id: answer.producerId, epoch: answer.producerEpoch, sequences: new Map(), pending: undefined }
          : undefined;
    }
  }

  #batch(producer: Producer, topic: string, partition: number, transactional: boolean, keyed = false): Pending {
    const place = `${topic}-${partition}`;
    const sequence = producer.sequences.get(place) ?? 0;
    const values = Array.from({ length: 1 + this.#world.chance.integer(4) }, () => `v${this.#number++}`);
    producer.sequences.set(place, sequence + values.length);
    const records = values.map((value) => [keyed ? `k${this.#world.chance.integer(5)}` : null, value] as const);
    const bytes = clientBatch({ records, timestamp: 1_700_000_000_000, producerId: producer.id, epoch: producer.epoch, sequence, transactional });
    return { topic, partition, values: keyed ? records.map(([key, value]) => `${key}=${value}`) : values, bytes };
  }

  /** Sends a batch; its base offset, or undefined when the answer was lost or says no. */
  async #send({ topic, partition, bytes }: Pending): Promise<number | undefined> {
    const records = Buffer.from(bytes); // the broker writes offsets into what it gets
    const answer = await this.#world.ask(APIS.produce, 9, {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1_000,
      topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
    });
    if (answer === LOST) return undefined;
    const part = answer.responses[0]?.partitionResponses[0];
    return this.#expect(`produce to ${topic}-${partition}`, part?.errorCode) ? part?.baseOffset : undefined;
  }

  async #produce(): Promise<void> {
    const producer = await this.#producer();
    if (producer === undefined) return;
    const { topic: chosen, partition: at } = this.#partition();
    producer.pending ??= this.#batch(producer, chosen, at, false);
    const { topic, partition, values } = producer.pending;
    if (!this.live.has(topic)) {
      producer.pending = undefined;
      return;
    }
    const offset = await this.#send(producer.pending);
    if (offset === undefined) return;
    producer.pending = undefined;
    const deletedTo = this.#deletedTo.get(`${topic}-${partition}`) ?? 0; // a batch may be a duplicate of one that was deleted since
    for (const [at, value] of values.entries()) if (offset + at >= deletedTo) this.acknowledged.set(value, { topic, partition, offset: offset + at });
  }

  async #producer(): Promise<Producer | undefined> {
    if (this.#producers.length < 3) {
      const fresh = await this.#init(null);
      if (fresh === undefined) return undefined;
      this.#producers.push(fresh);
    }
    return this.#pick(this.#producers);
  }

  async #writeTable(): Promise<void> {
    if (!this.live.has(TABLE)) return this.#create(TABLE);
    const producer = await this.#init(null);
    if (producer === undefined) return;
    const batch = this.#batch(producer, TABLE, 0, false, true);
    if ((await this.#send(batch)) === undefined) return;
    for (const text of batch.values) {
      const [key, value] = text.split('=') as [string, string];
      this.table.set(key, Number(value.slice(1)));
    }
  }

  async #transact(): Promise<void> {
    const producer = (this.#transactional ??= await this.#init(TRANSACTIONAL_ID));
    if (producer === undefined) return;
    const identity = { transactionalId: TRANSACTIONAL_ID, producerId: producer.id, producerEpoch: producer.epoch };
    const book: TransactionBook = { values: [], outcome: 'aborted' };
    this.transactions.push(book);
    const places = [this.#partition(), this.#partition()];
    for (const { topic, partition } of places) {
      const added = await this.#world.ask(APIS.addPartitionsToTxn, 3, { ...identity, topics: [{ name: topic, partitions: [partition] }] });
      if (added === LOST) return this.forgetTransaction();
      if (added.resultsByTopic[0]?.resultsByPartition[0]?.partitionErrorCode === 51) return this.forgetTransaction(); // the last one is not over yet
      const batch = this.#batch(producer, topic, partition, true);
      book.values.push(...batch.values);
      if ((await this.#send(batch)) === undefined) return this.forgetTransaction();
    }
    const committed = this.#world.chance.integer(3) > 0;
    const ended = await this.#world.ask(APIS.endTxn, 3, { ...identity, committed });
    book.outcome = committed ? (ended === LOST ? 'unknown' : 'committed') : 'aborted';
    if (ended === LOST) return this.forgetTransaction();
    if (!this.#expect('EndTxn', ended.errorCode)) this.forgetTransaction();
  }

  async #create(name = `topic-${this.#number++}`): Promise<void> {
    const configs = [
      { name: 'segment.bytes', value: '1024' },
      ...(name === TABLE
        ? [
            { name: 'cleanup.policy', value: 'compact' },
            { name: 'min.cleanable.dirty.ratio', value: '0' },
          ]
        : []),
    ];
    const answer = await this.#world.ask(APIS.createTopics, 7, {
      topics: [{ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs }],
    });
    if (answer !== LOST && (this.#expect(`creating ${name}`, answer.topics[0]?.errorCode, 36) || answer.topics[0]?.errorCode === 36)) this.live.set(name, 1);
  }

  async #delete(): Promise<void> {
    const name = this.#pick(this.#topics());
    this.live.delete(name);
    for (const [value, { topic }] of this.acknowledged) if (topic === name) this.acknowledged.delete(value);
    const answer = await this.#world.ask(APIS.deleteTopics, 4, { topicNames: [name], timeoutMs: 1_000 });
    if (answer !== LOST && this.#expect(`deleting ${name}`, answer.responses[0]?.errorCode)) this.gone.add(name);
    for (const book of this.transactions) if (book.outcome === 'committed') book.outcome = 'unknown'; // parts of it may have gone with the topic
  }

  async #grow(): Promise<void> {
    const name = this.#pick(this.#topics());
    const count = (this.live.get(name) as number) + 1;
    if (count > 4) return;
    const answer = await this.#world.ask(APIS.createPartitions, 3, { topics: [{ name, count, assignments: null }], timeoutMs: 1_000, validateOnly: false });
    if (answer !== LOST && [0, 37].includes(answer.results[0]?.errorCode ?? -1)) this.live.set(name, count); // 37: an unanswered try has done it
  }

  async #deleteRecords(): Promise<void> {
    const { topic, partition } = this.#partition();
    const offsets = [...this.acknowledged.values()].filter((place) => place.topic === topic && place.partition === partition).map(({ offset }) => offset);
    if (offsets.length === 0) return;
    const offset = this.#pick(offsets);
    const place = `${topic}-${partition}`;
    this.#deletedTo.set(place, Math.max(offset, this.#deletedTo.get(place) ?? 0));
    for (const [value, at] of this.acknowledged) if (`${at.topic}-${at.partition}` === place && at.offset < offset) this.acknowledged.delete(value);
    for (const book of this.transactions) if (book.outcome === 'committed') book.outcome = 'unknown';
    const answer = await this.#world.ask(APIS.deleteRecords, 2, {
      topics: [{ name: topic, partitions: [{ partitionIndex: partition, offset }] }],
      timeoutMs: 1_000,
    });
    if (answer === LOST) return;
    const part = answer.topics[0]?.partitions[0];
    if (this.#expect(`deleting records of ${place}`, part?.errorCode)) this.logStarts.set(place, Math.max(offset, this.logStarts.get(place) ?? 0));
  }

  async #commitOffset(): Promise<void> {
    const topic = this.#pick([...this.live.keys()]);
    this.groupOffset.asked += 1;
    const committedOffset = this.groupOffset.asked;
    const answer = await this.#world.ask(APIS.offsetCommit, 8, {
      groupId: GROUP,
      generationIdOrMemberEpoch: -1,
      memberId: '',
      groupInstanceId: null,
      topics: [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset, committedLeaderEpoch: -1, committedMetadata: '' }] }],
    });
    if (answer !== LOST && this.#expect('OffsetCommit', answer.topics[0]?.partitions[0]?.errorCode)) this.offsets.set(topic, committedOffset);
  }

  /** Acknowledged offset of the group per topic. */
  readonly offsets = new Map<string, number>();
}
