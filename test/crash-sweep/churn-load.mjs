// Creates topics, writes one record into each, deletes some again: what was acknowledged of it must be so after every crash.
import { setTimeout as wait } from 'node:timers/promises';
import { APIS } from '@millrace/protocol';
import { encodeBatch, PRODUCE_VERSION, produceBody } from './batches.mjs';
import { Session } from './session.mjs';

const PARTITIONS = 2;
const LIVE_MAX = 4;

export class ChurnLoad {
  /** Acknowledged as created and written, deletion not asked for. */
  live = new Set();
  /** Deletion acknowledged. */
  deleted = new Set();
  #stopped = false;

  constructor({ chance, address, find, pauseMs }) {
    Object.assign(this, { chance, find, pauseMs });
    this.session = new Session(address);
  }

  stop() {
    this.#stopped = true;
  }

  async run() {
    for (let number = 0; !this.#stopped; number++) {
      await this.#create(`churn-${number}`);
      while (this.live.size > LIVE_MAX) await this.#delete([...this.live][Math.floor(this.chance() * this.live.size)]);
      await wait(this.pauseMs * 10);
    }
    this.session.close();
  }

  async #create(name) {
    const topic = { name, numPartitions: PARTITIONS, replicationFactor: 1, assignments: [], configs: [] };
    const created = (await this.session.insist(APIS.createTopics, 5, { topics: [topic], timeoutMs: 30_000 })).topics[0].errorCode;
    if (created !== 0 && created !== 36) return this.find(`creating ${name}: error ${created}`); // 36: a try before has done it
    const body = () => produceBody(name, [[1, encodeBatch([[null, name]])]]);
    const { errorCode } = (await this.session.insist(APIS.produce, PRODUCE_VERSION, body())).responses[0].partitionResponses[0];
    if (errorCode !== 0) return this.find(`writing to ${name}: error ${errorCode}`);
    this.live.add(name);
  }

  async #delete(name) {
    this.live.delete(name);
    const { errorCode } = (await this.session.insist(APIS.deleteTopics, 4, { topicNames: [name], timeoutMs: 30_000 })).responses[0];
    if (errorCode !== 0 && errorCode !== 3) this.find(`deleting ${name}: error ${errorCode}`);
    this.deleted.add(name);
  }
}
