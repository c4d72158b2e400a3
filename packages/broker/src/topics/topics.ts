// The topics of this broker and their partition logs.
// Owns: which topics exist, their settings, the open logs.  Never: parses requests, decides retention.
// T1 a change is on disk before it is seen.  T2 a deleted and recreated topic has a new id.  T3 names that differ only in `.` and `_` collide.
import { type Chance, explainError, isLegalName } from '@millrace/core';
import { OFFSETS_TOPIC, TRANSACTIONS_TOPIC } from '../internal-log.ts';
import type { LogHost, PartitionLog } from '../log/partition-log.ts';
import { openPartitionLog } from '../log/recovery.ts';
import { checkConfig, parseTopicConfig, type TopicConfig } from './topic-config.ts';
import { TopicFiles, type TopicRecord } from './topic-files.ts';

const PARTITIONS_MAX = 10_000;
const INVALID_TOPIC = 17;
const TOPIC_ALREADY_EXISTS = 36;
const INVALID_PARTITIONS = 37;
const INVALID_CONFIG = 40;
const INVALID_REQUEST = 42;
const KAFKA_STORAGE_ERROR = 56;

/** A wish that cannot be granted, as Kafka says it. */
export class TopicRefusal extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** What is to be told of an error: a refusal as it is; what the system says (a full disk) as [56]. Anything else is a defect and is thrown. */
export function refusalOf(error: unknown): TopicRefusal {
  if (error instanceof TopicRefusal) return error;
  const { code } = (error ?? {}) as { readonly code?: unknown };
  if (!(error instanceof Error) || typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) throw error;
  return new TopicRefusal(KAFKA_STORAGE_ERROR, `The broker cannot use its disk (${code}).`);
}

export interface Topic {
  readonly name: string;
  /** 22 characters of base64url, as on the wire. */
  readonly id: string;
  readonly internal: boolean;
  readonly logs: readonly PartitionLog[];
  /** What was set. */
  readonly setConfig: Readonly<Record<string, string>>;
  readonly config: TopicConfig;
}

export interface TopicsHost extends LogHost {
  readonly chance: Chance;
}

interface OpenTopic extends Topic {
  record: TopicRecord;
  logs: PartitionLog[];
  setConfig: Readonly<Record<string, string>>;
  config: TopicConfig;
}

export interface RecoveryReport {
  readonly partitions: number;
  readonly scannedBytes: number;
  readonly damaged: number;
}

export class Topics {
  readonly #host: TopicsHost;
  readonly #files: TopicFiles;
  readonly #leaderEpoch: number;
  readonly #byName = new Map<string, OpenTopic>();
  readonly #byId = new Map<string, OpenTopic>();
  /** Names with `.` as `_`: the rule behind T3. */
  readonly #metricNames = new Map<string, string>();
  readonly #deletedHooks: ((topic: string) => void)[] = [];
  #version = 0;

  constructor(host: TopicsHost, dataDir: string, leaderEpoch: number) {
    this.#host = host;
    this.#files = new TopicFiles(host.files.disk, dataDir);
    this.#leaderEpoch = leaderEpoch;
  }

  /** Opens every log; after an unclean stop with recovery. */
  openAll(clean: boolean): RecoveryReport {
    let partitions = 0;
    let scannedBytes = 0;
    let damaged = 0;
    for (const record of this.#files.readAll()) {
      const topic = this.#adopt(newTopic(record));
      for (let partition = 0; partition < record.partitions; partition++) {
        const opened = this.#open(topic, partition, clean);
        partitions += 1;
        scannedBytes += opened.scannedBytes;
        if (opened.damage !== undefined) damaged += 1;
      }
    }
    return { partitions, scannedBytes, damaged };
  }

  get(name: string): Topic | undefined {
    return this.#byName.get(name);
  }
  byId(id: string): Topic | undefined {
    return this.#byId.get(id);
  }
  log(name: string, partition: number): PartitionLog | undefined {
    return this.#byName.get(name)?.logs[partition];
  }
  /** In order of creation; internal ones included. */
  all(): IterableIterator<Topic> {
    return this.#byName.values();
  }
  /** Another number after any topic came, grew or went. */
  get version(): number {
    return this.#version;
  }
  get leaderEpoch(): number {
    return this.#leaderEpoch;
  }
  onDeleted(run: (topic: string) => void): void {
    this.#deletedHooks.push(run);
  }

  /** Throws a TopicRefusal when the topic may not be created as asked. */
  checkNew(name: string, partitions: number, config: Readonly<Record<string, string>>): void {
    this.checkName(name);
    if (!Number.isInteger(partitions) || partitions < 1 || partitions > PARTITIONS_MAX)
      throw new TopicRefusal(INVALID_PARTITIONS, `Number of partitions was set to ${partitions}; it must be 1 to ${PARTITIONS_MAX}.`);
    this.checkConfigs(config);
  }

  /** Throws a TopicRefusal when no topic may be created under this name. */
  checkName(name: string): void {
    if (!isLegalName(name)) throw new TopicRefusal(INVALID_TOPIC, `Topic name is invalid: '${name}' must be 1 to 249 letters, digits, '.', '_' or '-'`);
    if (this.#byName.has(name)) throw new TopicRefusal(TOPIC_ALREADY_EXISTS, `Topic '${name}' already exists.`);
    const other = this.#metricNames.get(name.replaceAll('.', '_'));
    if (other !== undefined) throw new TopicRefusal(INVALID_TOPIC, `Topic '${name}' collides with existing topic: ${other}`);
  }

  checkConfigs(config: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(config)) {
      const wrong = checkConfig(name, value);
      if (wrong !== undefined) throw new TopicRefusal(INVALID_CONFIG, wrong);
    }
  }

  create(name: string, partitions: number, config: Readonly<Record<string, string>>): Topic {
    this.checkNew(name, partitions, config);
    const record: TopicRecord = { name, uuid: this.#host.chance.uuid(), partitions, config };
    const topic = newTopic(record);
    try {
      this.#addLogs(topic, partitions);
      this.#files.write(record);
    } catch (error) {
      for (const log of topic.logs) log.abandon();
      this.#sweep(topic);
      throw error;
    }
    return this.#adopt(topic);
  }

  /** Opens the logs that are missing up to `total`; on an error those of this call are closed again. */
  #addLogs(topic: OpenTopic, total: number): void {
    const before = topic.logs.length;
    try {
      this.#files.makePartitions(topic.record.uuid, before, total);
      for (let partition = before; partition < total; partition++) this.#open(topic, partition, true);
    } catch (error) {
      for (const log of topic.logs.splice(before)) log.abandon();
      throw error;
    }
  }

  delete(name: string): void {
    const topic = this.#byName.get(name);
    if (topic === undefined) return;
    if (topic.internal) throw new TopicRefusal(INVALID_REQUEST, `Topic '${name}' is internal and cannot be deleted.`);
    this.#files.forget(topic.record.uuid);
    for (const log of topic.logs) log.abandon();
    this.#version++;
    this.#byName.delete(name);
    this.#byId.delete(topic.id);
    this.#metricNames.delete(name.replaceAll('.', '_'));
    this.#sweep(topic);
    for (const run of this.#deletedHooks) run(name);
  }

  #sweep({ name, record }: OpenTopic): void {
    try {
      this.#files.sweep(record.uuid);
    } catch (error) {
      this.#host.log.warn({ topic: name, error: explainError(error) }, 'what is left of a topic that is gone could not be removed; the next start tries again');
    }
  }

  /** Throws a TopicRefusal when the topic cannot have `total` partitions. */
  checkGrowth(name: string, total: number): void {
    this.#growable(name, total);
  }
  #growable(name: string, total: number): OpenTopic {
    const topic = this.#byName.get(name) as OpenTopic;
    if (total <= topic.logs.length || total > PARTITIONS_MAX)
      throw new TopicRefusal(
        INVALID_PARTITIONS,
        `Topic '${name}' has ${topic.logs.length} partitions; the new count ${total} must be larger and at most ${PARTITIONS_MAX}.`,
      );
    return topic;
  }

  /** Grows the topic to `total` partitions. */
  addPartitions(name: string, total: number): void {
    const topic = this.#growable(name, total);
    const before = topic.logs.length;
    const record = { ...topic.record, partitions: total };
    this.#addLogs(topic, total);
    try {
      this.#files.write(record);
    } catch (error) {
      for (const log of topic.logs.splice(before)) log.abandon();
      throw error;
    }
    topic.record = record;
    this.#version++;
  }

  /** Replaces everything that is set. The values have been checked. */
  setConfig(name: string, config: Readonly<Record<string, string>>): void {
    const topic = this.#byName.get(name) as OpenTopic;
    const record = { ...topic.record, config };
    this.#files.write(record);
    topic.record = record;
    topic.setConfig = config;
    topic.config = parseTopicConfig(config);
  }

  close(): void {
    for (const topic of this.#byName.values()) for (const log of topic.logs) log.close();
  }

  #adopt(topic: OpenTopic): OpenTopic {
    this.#version++;
    this.#byName.set(topic.name, topic);
    this.#byId.set(topic.id, topic);
    this.#metricNames.set(topic.name.replaceAll('.', '_'), topic.name);
    return topic;
  }

  #open(topic: OpenTopic, partition: number, clean: boolean): { readonly scannedBytes: number; readonly damage: string | undefined } {
    const directory = this.#files.partitionDirectory(topic.record.uuid, partition);
    const identity = { topic: topic.name, partition, directory, config: () => topic.config, leaderEpoch: this.#leaderEpoch };
    const opened = openPartitionLog(this.#host, identity, clean);
    topic.logs.push(opened.log);
    return opened;
  }
}

function newTopic(record: TopicRecord): OpenTopic {
  return {
    record,
    name: record.name,
    id: Buffer.from(record.uuid.replaceAll('-', ''), 'hex').toString('base64url'),
    internal: record.name === OFFSETS_TOPIC || record.name === TRANSACTIONS_TOPIC,
    logs: [],
    setConfig: record.config,
    config: parseTopicConfig(record.config),
  };
}
