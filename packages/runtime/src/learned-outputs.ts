// What an instance learns of output topics only while records are processed: topics that a policy chose for the first time, how large a record
// a topic takes, and what else it does not take, once its broker has refused something. A worker that ended over it begins again with the
// knowledge, and policies decide.
// Owns: that knowledge, bounded.  Never: decides what becomes of a worker.
import type { LogAdmin } from '@millrace/client';
import { type Clock, explainError, type Logger, MillraceError } from '@millrace/core';
import type { OutputRule } from './task/output-rule.ts';

/** A bound, since each costs a worker a new beginning. */
const LEARNED_MAX = 100;
const CHANGELOG_SUFFIX = '-changelog';

export interface LearnedOutputsOptions {
  readonly admin: Pick<LogAdmin, 'describeTopics' | 'createTopics' | 'topicConfig'>;
  readonly createTopics: boolean;
  readonly partitions: number;
  readonly replication: number;
  /** Settings of a topic that is made. */
  readonly topicDefaults: Readonly<Record<string, string>>;
  readonly applicationId: string;
  /** Topics of the user that the topology's sinks write to. */
  readonly sinks: ReadonlySet<string>;
  readonly clock: Clock;
  readonly log: Logger;
}

const NO_RULE: Omit<OutputRule, 'said'> = {
  gone: false,
  keyed: false,
  behindMaxMs: Number.POSITIVE_INFINITY,
  aheadMaxMs: Number.POSITIVE_INFINITY,
  marks: [],
};
const INVALID_RECORD = 87;

export class LearnedOutputs {
  readonly #options: LearnedOutputsOptions;
  readonly #topics = new Set<string>();
  readonly #recordBytesMax = new Map<string, number>();
  readonly #rules = new Map<string, OutputRule>();

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

  /** What else topics do not take. */
  get rules(): ReadonlyMap<string, OutputRule> {
    return this.#rules;
  }

  /** These exist: what was gone may be back. */
  thereAre(topics: Iterable<string>): void {
    for (const name of topics) if (this.#rules.get(name)?.gone === true) this.#rules.delete(name);
  }

  /** True if the worker that ended with `error` would get further now. */
  async learnFrom(error: unknown): Promise<boolean> {
    if (!MillraceError.is(error)) return false;
    const { topic, bytes } = error.where;
    if (typeof topic !== 'string') return false;
    if (error.code === 'ERR_TOPIC_MISSING') return this.#learnTopic(topic);
    if (typeof error.where.mark === 'string') return this.#learnRefusal(topic, error, error.where.mark);
    return error.code === 'ERR_RECORD_TOO_LARGE' && typeof bytes === 'number' && this.#learnSize(topic, bytes);
  }

  /** A topic that a policy chose: looked up, or made where missing topics are. False if there is none. */
  async #learnTopic(name: string): Promise<boolean> {
    const { admin, createTopics, partitions, replication, topicDefaults, log } = this.#options;
    if (this.#topics.has(name) || this.#topics.size >= LEARNED_MAX) return false;
    if (!(await admin.describeTopics([name])).has(name)) {
      if (!createTopics) return this.#learnGone(name);
      log.info({ topic: name }, 'a topic that a policy writes to is made');
      await admin.createTopics([{ name, partitions, replication, config: topicDefaults }]);
    }
    this.#topics.add(name);
    return true;
  }

  /** Deleted while we write to it: sinks ask their policies from now on. */
  #learnGone(topic: string): boolean {
    if (!this.#options.sinks.has(topic) || this.#rules.get(topic)?.gone === true || this.#rules.size >= LEARNED_MAX) return false;
    this.#options.log.warn({ topic }, 'an output topic is not there any more; what is written to it goes to the produce policy from now on');
    this.#rules.set(topic, { ...NO_RULE, ...this.#rules.get(topic), said: 'it knows no such topic', gone: true });
    return true;
  }

  /** A record was refused for what it is: by a rule that others like it break too, or it alone. */
  async #learnRefusal(topic: string, error: MillraceError, mark: string): Promise<boolean> {
    if (this.#isChangelog(topic)) return false;
    const before = this.#rules.get(topic) ?? { ...NO_RULE, said: '' };
    const learned = { ...before, ...(await this.#lessonOf(topic, error, before, mark)), said: error.message };
    const same = learned.keyed === before.keyed && learned.behindMaxMs >= before.behindMaxMs && learned.aheadMaxMs >= before.aheadMaxMs;
    if (same && (before.marks.includes(mark) || learned.marks.length > LEARNED_MAX)) return false;
    if (before.said === '' && this.#rules.size >= LEARNED_MAX) return false;
    this.#options.log.warn({ topic, reason: error.message }, 'a broker has refused a record; it, and what is like it, goes to the produce policy from now on');
    this.#rules.set(topic, learned);
    return true;
  }

  async #lessonOf(topic: string, { code, where }: MillraceError, before: OutputRule, mark: string): Promise<Partial<OutputRule>> {
    const config = await this.#configOf(topic);
    const aheadMs = Number(where.timestamp) - this.#options.clock.nowMs();
    if (code === 'ERR_INVALID_TIMESTAMP') {
      const behindMaxMs = boundOf(config?.['message.timestamp.before.max.ms']);
      const aheadMaxMs = boundOf(config?.['message.timestamp.after.max.ms']);
      if (-aheadMs > behindMaxMs && behindMaxMs < before.behindMaxMs) return { behindMaxMs };
      if (aheadMs > aheadMaxMs && aheadMaxMs < before.aheadMaxMs) return { aheadMaxMs };
    } else if (where.kafkaCode === INVALID_RECORD && where.keyless === 1 && !before.keyed && config?.['cleanup.policy']?.includes('compact') !== false)
      return { keyed: true };
    return { marks: [...before.marks, mark] };
  }

  /** Changelogs have no policy: what they refuse is told as it is. */
  #isChangelog(topic: string): boolean {
    return topic.startsWith(`${this.#options.applicationId}-`) && topic.endsWith(CHANGELOG_SUFFIX);
  }

  /** Whoever may write need not be allowed to read the settings. */
  async #configOf(topic: string): Promise<Readonly<Record<string, string>> | undefined> {
    const { admin, log } = this.#options;
    return await admin.topicConfig(topic).catch((error: unknown) => {
      log.debug({ topic }, `its settings cannot be read: ${explainError(error)}`);
      return undefined;
    });
  }

  async #learnSize(topic: string, refusedBytes: number): Promise<boolean> {
    const { log } = this.#options;
    if (this.#isChangelog(topic)) return false;
    const before = this.#recordBytesMax.get(topic);
    if (before === undefined ? this.#recordBytesMax.size >= LEARNED_MAX : refusedBytes > before) return false;
    const config = await this.#configOf(topic); // where it cannot be read, what was refused is a bound as well
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

/** A setting in ms; Infinity where it is absent, or as large as Kafka's "any". */
function boundOf(setting: string | undefined): number {
  const ms = setting === undefined ? Number.NaN : Number(setting);
  return Number.isSafeInteger(ms) && ms >= 0 ? ms : Number.POSITIVE_INFINITY;
}
