// A transactional producer: batches on several partitions and a group's offset in each transaction, committed or aborted by chance.
// `v2`: as clients do where transaction.version 2 is in force: partitions and groups join by themselves, every end brings a new epoch.
// Owns: what it knows of each transaction: committed, aborted, or unknown (the answer was lost and it did not ask again).
import { setTimeout as wait } from 'node:timers/promises';
import { APIS } from '@millrace/protocol';
import { encodeBatch, initProducer, PRODUCE_VERSION, produceBody } from './batches.mjs';
import { Session } from './session.mjs';

/**
 * The last transaction is not over yet: CONCURRENT_TRANSACTIONS, and what Produce says instead (NOT_ENOUGH_REPLICAS). A broker that is stopped
 * between two rounds of kills says NOT_COORDINATOR: nothing was done, and the next one is to be asked.
 */
const NOT_YET = [51, 19, 16];

export class TransactionalLoad {
  /** In order: { number, outcome, values: [{ value, partition, offset }] }; outcome undefined while it is under way. */
  transactions = [];
  #stopped = false;
  #number = 0;

  constructor({ name, topic, partitions, v2, chance, address, find, pauseMs }) {
    Object.assign(this, { name, topic, partitions, v2, chance, address, find, pauseMs, group: `group-${name}` });
    this.session = new Session(address);
  }

  stop() {
    this.#stopped = true;
  }

  async run() {
    while (!this.#stopped) {
      this.producer = await initProducer(this.session, this.name, this.find);
      this.sequences = new Map();
      let going = true;
      while (going && !this.#stopped) going = await this.#transaction();
    }
    await initProducer(this.session, this.name, this.find); // whatever is open ends here
    this.session.close();
  }

  /** False: the producer has to be initialised again. */
  async #transaction() {
    const transaction = { number: ++this.#number, outcome: undefined, values: [], wish: this.chance() < 0.7 ? 'committed' : 'aborted' };
    this.transactions.push(transaction);
    try {
      await this.#fill(transaction);
    } catch {
      transaction.outcome = 'aborted'; // EndTxn was never sent, and the producer is initialised before anything else
      return false;
    }
    return this.#end(transaction);
  }

  async #fill(transaction) {
    const first = Math.floor(this.chance() * this.partitions);
    const chosen = [...new Set([first, Math.floor(this.chance() * this.partitions)])];
    if (!this.v2) await this.#addPartitions(chosen);
    for (let round = 0; round < 2; round++) {
      await wait(this.pauseMs);
      for (const partition of chosen) await this.#produce(transaction, partition);
    }
    if (this.chance() < 0.5) return;
    const offsets = { transactionalId: this.name, ...this.producer, groupId: this.group };
    if (!this.v2) {
      const add = (body) => this.session.ask(APIS.addOffsetsToTxn, 3, body);
      this.#expect('AddOffsetsToTxn', await this.#untilTaken(add, offsets, ({ errorCode }) => errorCode));
    }
    const commit = (body) => this.session.ask(APIS.txnOffsetCommit, this.v2 ? 5 : 3, body);
    const partitions = [{ partitionIndex: 0, committedOffset: transaction.number, committedMetadata: null }];
    const moved = { ...offsets, topics: [{ name: this.topic, partitions }] };
    this.#expect('TxnOffsetCommit', await this.#untilTaken(commit, moved, ({ topics }) => topics[0].partitions[0].errorCode));
    transaction.withOffset = true;
  }

  async #addPartitions(chosen) {
    const add = { transactionalId: this.name, ...this.producer, topics: [{ name: this.topic, partitions: chosen }] };
    const ask = (body) => this.session.ask(APIS.addPartitionsToTxn, 3, body);
    this.#expect('AddPartitionsToTxn', await this.#untilTaken(ask, add, (body) => body.resultsByTopic[0].resultsByPartition[0].partitionErrorCode));
  }

  async #produce(transaction, partition) {
    const baseSequence = this.sequences.get(partition) ?? 0;
    const values = Array.from(
      { length: 1 + Math.floor(this.chance() * 4) },
      (_, at) => `${this.name}/${transaction.number}/${transaction.values.length + at}/${'p'.repeat(50)}`,
    );
    this.sequences.set(partition, baseSequence + values.length);
    const records = values.map((value) => ({ value, partition, offset: undefined }));
    transaction.values.push(...records); // sent is enough: it may be in the log
    const bytes = encodeBatch(
      values.map((value) => [null, value]),
      { ...this.producer, baseSequence, transactional: true },
    );
    const version = this.v2 ? PRODUCE_VERSION + 1 : PRODUCE_VERSION;
    const ask = (batch) => this.session.ask(APIS.produce, version, produceBody(this.topic, [[partition, Buffer.from(batch)]], this.name));
    let part;
    const errorCode = await this.#untilTaken(ask, bytes, ({ responses }) => {
      part = responses[0].partitionResponses[0];
      return part.errorCode;
    });
    this.#expect('Produce', errorCode);
    for (const [at, record] of records.entries()) record.offset = part.baseOffset + at;
  }

  async #end(transaction) {
    const body = { transactionalId: this.name, ...this.producer, committed: transaction.wish === 'committed' };
    const version = this.v2 ? 5 : 3;
    let answer;
    const codeOf = (given) => {
      answer = given;
      return given.errorCode;
    };
    try {
      this.#expect('EndTxn', await this.#untilTaken((request) => this.session.ask(APIS.endTxn, version, request), body, codeOf));
    } catch {
      if (this.chance() < 0.5) {
        transaction.outcome = transaction.wish === 'aborted' ? 'aborted' : 'unknown'; // initialising settles it either way
        return false;
      }
      const code = await this.#untilTaken((request) => this.session.insist(APIS.endTxn, version, request), body, codeOf);
      if (code !== 0) {
        this.find(`${this.name}: EndTxn(${transaction.wish}) of transaction ${transaction.number}, asked again after a crash: error ${code}`);
        return false;
      }
    }
    transaction.outcome = transaction.wish;
    if (this.v2) {
      this.producer = { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
      this.sequences = new Map();
    }
    return true;
  }

  async #untilTaken(ask, body, codeOf) {
    for (;;) {
      const code = codeOf(await ask(body));
      if (!NOT_YET.includes(code)) return code;
      await wait(10);
    }
  }

  #expect(what, code) {
    if (code === 0) return;
    this.find(`${this.name}: ${what} of transaction ${this.#number} answered ${code}`);
    throw new Error(what);
  }

  /** The group's committed offset, once every transaction on it has ended. */
  async committedOffset() {
    const body = { groupId: this.group, topics: [{ name: this.topic, partitionIndexes: [0] }], requireStable: true };
    for (;;) {
      const { topics } = await this.session.insist(APIS.offsetFetch, 7, body);
      const { errorCode, committedOffset } = topics[0].partitions[0];
      if (errorCode === 0) return committedOffset;
      await wait(20);
    }
  }
}
