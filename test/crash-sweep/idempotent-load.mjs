// An idempotent producer that keeps a few batches in flight and sends what was not acknowledged again, in order, after each crash.
// Owns: what was acknowledged, where.  With `keys` it writes a table: the newest acknowledged value per key counts.
import { setTimeout as wait } from 'node:timers/promises';
import { APIS } from '@millrace/protocol';
import { encodeBatch, initProducer, PRODUCE_VERSION, produceBody } from './batches.mjs';
import { askOn, Session } from './session.mjs';

const WINDOW = 4;
const SEQUENCES = 2 ** 31;

export class IdempotentLoad {
  /** value → { partition, offset }; with keys: key → { value, number }. */
  acknowledged = new Map();
  answers = 0;
  #stopped = false;
  #wire;
  #pending = [];
  #counter = 0;
  #sequences = new Map();

  constructor({ name, topic, partitions, keys, chance, address, find, pauseMs }) {
    Object.assign(this, { name, topic, partitions, keys, chance, address, find, pauseMs });
    this.session = new Session(address);
  }

  stop() {
    this.#stopped = true;
  }

  async run() {
    this.producer = await initProducer(this.session, null, this.find);
    while (!this.#stopped || this.#pending.length > 0) {
      try {
        this.#wire = await this.session.connect();
        for (const batch of this.#pending) this.#send(batch); // after a crash: the same ones, in the same order
        await this.#pump();
      } catch (error) {
        if (error instanceof Stop) return;
        await wait(15);
      }
    }
    this.session.close();
  }

  async #pump() {
    while (!this.#stopped || this.#pending.length > 0) {
      while (!this.#stopped && this.#pending.length < WINDOW) {
        const batch = this.#next();
        this.#pending.push(batch);
        this.#send(batch);
        await wait(this.pauseMs);
      }
      const batch = this.#pending[0];
      const { responses } = await batch.answer;
      this.#take(batch, responses[0].partitionResponses[0]);
      this.#pending.shift();
    }
  }

  #next() {
    const partition = Math.floor(this.chance() * this.partitions);
    const baseSequence = this.#sequences.get(partition) ?? 0;
    const records = Array.from({ length: 1 + Math.floor(this.chance() * 5) }, () => {
      const number = this.#counter++;
      const key = this.keys === undefined ? null : `${this.name}-${Math.floor(this.chance() * this.keys)}@${partition}`;
      return { key, value: `${this.name}-${number}-${'p'.repeat(40 + Math.floor(this.chance() * 60))}`, number };
    });
    this.#sequences.set(partition, (baseSequence + records.length) % SEQUENCES);
    const bytes = encodeBatch(
      records.map(({ key, value }) => [key, value]),
      { ...this.producer, baseSequence },
    );
    return { partition, records, bytes };
  }

  #send(batch) {
    batch.answer = askOn(this.#wire, APIS.produce, PRODUCE_VERSION, produceBody(this.topic, [[batch.partition, Buffer.from(batch.bytes)]]));
    batch.answer.catch(() => {});
  }

  #take({ partition, records }, { errorCode, errorMessage, baseOffset }) {
    if (errorCode !== 0) {
      this.find(`${this.name}: produce to ${this.topic}-${partition} refused with ${errorCode} ${errorMessage}`);
      throw new Stop();
    }
    this.answers += 1;
    records.forEach(({ key, value, number }, at) => {
      if (key === null) this.acknowledged.set(value, { partition, offset: baseOffset + at });
      else this.acknowledged.set(key, { value, number, partition });
    });
  }
}

/** A finding that makes going on pointless. */
class Stop extends Error {}
