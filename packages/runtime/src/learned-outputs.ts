// What an instance learns of output topics only while records are processed: topics that a policy chose for the first time, and how large a record
// a topic takes, once its broker has refused one. A worker that ended over it begins again with the knowledge, and policies decide.
// Owns: that knowledge, bounded.  Never: decides what becomes of a worker.
import type { LogAdmin } from '@millrace/client';
import { explainError, type Logger, MillraceError } from '@millrace/core';

/** A bound, since each costs a worker a new beginning. */
const LEARNED_MAX = 100;
const CHANGELOG_SUFFIX = '-changelog';

export interface LearnedOutputsOptions {
  readonly admin: Pick<LogAdmin, 'describeTopics' | 'createTopics' | 'topicConfig'>;
  readonly createTopics: boolean;
  readonly partitions: number;
  readonly replication: number;
  readonly applicationId: string;
  readonly log: Logger;
}

export class LearnedOutputs {
  readonly #options: LearnedOutputsOptions;
  readonly #topics = new Set<string>();
  readonly #recordBytesMax = new Map<string, number>();

  constructor(options: LearnedOutputsOptions) {
    this.#options = options;
  }

  /** Topics that no declaration names. */
  get topics(): ReadonlySet<string> {
    return this.#topics;
  }
  /** Largest batch of one record that a topic takes, where that is known. */
  get recordBytesMax(): ReadonlyMap<string, number> {
    return this.#recordBytesMax;
  }

  /** True if the worker that ended with `error` would get further now. */
  async learnFrom(error: unknown): Promise<boolean> {
    if (!MillraceError.is(error)) return false;
    const { topic, bytes } = error.where;
    if (typeof topic !== 'string') return false;
    if (error.code === 'ERR_TOPIC_MISSING') return this.#learnTopic(topic);
    return error.code === 'ERR_RECORD_TOO_LARGE' && typeof bytes === 'number' && this.#learnSize(topic, bytes);
  }

  /** A topic that a policy chose: looked up, or made where missing topics are. False if there is none. */
  async #learnTopic(name: string): Promise<boolean> {
    const { admin, createTopics, partitions, replication, log } = this.#options;
    if (this.#topics.has(name) || this.#topics.size >= LEARNED_MAX) return false;
    if (!(await admin.describeTopics([name])).has(name)) {
      if (!createTopics) return false;
      log.info({ topic: name }, 'a topic that a policy writes to is made');
      await admin.createTopics([{ name, partitions, replication, config: {} }]);
    }
    this.#topics.add(name);
    return true;
  }

  /** Changelogs have no policy: what they refuse is told as it is. */
  async #learnSize(topic: string, refusedBytes: number): Promise<boolean> {
    const { admin, applicationId, log } = this.#options;
    if (topic.startsWith(`${applicationId}-`) && topic.endsWith(CHANGELOG_SUFFIX)) return false;
    const before = this.#recordBytesMax.get(topic);
    if (before === undefined ? this.#recordBytesMax.size >= LEARNED_MAX : refusedBytes > before) return false;
    // Whoever may write need not be allowed to read the settings: what was refused is a bound as well.
    const config = await admin.topicConfig(topic).catch((error: unknown) => {
      log.debug({ topic }, `its max.message.bytes cannot be read: ${explainError(error)}`);
      return undefined;
    });
    const told = Number(config?.['max.message.bytes'] ?? Number.POSITIVE_INFINITY);
    const max = Math.min(told, refusedBytes - 1);
    log.warn(
      { topic, bytes: refusedBytes, recordBytesMax: max },
      'the topic takes smaller records only; what is larger goes to the produce policy from now on',
    );
    this.#recordBytesMax.set(topic, max);
    return true;
  }
}
