// What a user may set on an application, and the one place where defaults are filled and mistakes are refused.
import type { ConnectionOptions } from '@millrace/client';
import { type Duration, durationMs, isLegalName, type Logger, MillraceError } from '@millrace/core';
import { checkErrorPolicy, type ErrorDecision, type ErrorPolicy, type Failure, isDeadLetter, type Topology } from '@millrace/topology';

export type Overrides = Readonly<Record<string, string | number | boolean>>;

export type WorkerFailureDecision = 'restartWorker' | 'stopInstance' | 'stopApplication';

/** Per operator (`onError`), per source, per app. */
export interface ErrorPolicies {
  /** fail */
  readonly decode?: ErrorPolicy;
  /** fail */
  readonly process?: ErrorPolicy;
  /**
   * fail. 'retry' lets the worker begin again from the last commit, as fail does. What passes by itself (no leader, no answer) is no question to a
   * policy: it is tried again until `tuning.taskTimeout`.
   */
  readonly produce?: ErrorPolicy | ((failure: Failure) => ErrorDecision | 'retry');
  /**
   * After 'fail', or a defect: what happens to the rest. restartWorker. `stopApplication` ends every instance of the group; a function that throws
   * means stopInstance. Three failures in a row, or at one record, stop the instance whatever it says.
   */
  readonly onWorkerFailure?: WorkerFailureDecision | ((error: MillraceError) => WorkerFailureDecision);
}

/** Rarely needed. Durations are ms or text such as '30s'; sizes are bytes. */
export interface Tuning {
  /** Wait for an empty partition this long by wall clock before choosing without it; 0: wait only for data known to exist. */
  readonly idleWait?: Duration | 'never';
  /** 64 MiB an instance: fetched, not yet processed. */
  readonly bufferedBytesMax?: number;
  /** 1 MiB a partition. */
  readonly fetchBytesMax?: number;
  /**
   * 1 MiB: the largest record that is sent, bytes with the head of its batch; at most 64 MiB. What is larger goes to the produce policy. Topics
   * that the application makes take as much, and what a store adds to a record; those that are there need a `max.message.bytes` to match.
   */
  readonly recordBytesMax?: number;
  /** 100ms: the longest a turn waits for input. */
  readonly pollWait?: Duration;
  /** 5m: how long a start, a commit or a settle that fails for the moment is tried again before the worker ends. */
  readonly taskTimeout?: Duration;
  /** 1s: a worker that has not had a turn for this long is told of by the event `blocked`; after `taskTimeout` it is replaced. */
  readonly blockedAfter?: Duration;
  /** 10s: the broker aborts a transaction that is open for longer. At least `commitInterval`, else ERR_OPTION. */
  readonly transactionTimeout?: Duration;
  /** 45s; 6s with the embedded broker. After this long without a heartbeat the tasks go to other instances. */
  readonly sessionTimeout?: Duration;
  /** Off. A record dated further ahead of the wall clock goes to the decode policy, instead of closing every window. */
  readonly timestampAheadMax?: Duration;
  /** 10m: state of a task that has been elsewhere for this long is removed from this disk. */
  readonly stateCleanupDelay?: Duration;
  /** 30s: processed records of repartition topics are deleted this often. */
  readonly purgeInterval?: Duration;
  /** 30s: with `topicPattern`, how often the instance that leads the group looks which topics match; new ones join then, deleted ones leave. */
  readonly metadataRefresh?: Duration;
}

export interface Connection {
  /** Addresses `host:port` of Apache Kafka; without them the embedded broker of this machine is used. */
  readonly brokers?: readonly string[];
  /** Shown in the broker's logs: applicationId-instanceId. */
  readonly clientId?: string;
  /** True, or options of Node's `tls.connect`. */
  readonly ssl?: boolean | object;
  /** None. Secrets stay out of logs and errors. `plain` beyond this machine needs `ssl`, or `plainWithoutTls: true`. */
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
    readonly plainWithoutTls?: boolean;
  };
  /** 3s: for one broker to accept and greet. */
  readonly connectionTimeout?: Duration;
  /** 30s: for one answer. */
  readonly requestTimeout?: Duration;
}

/** Every option has a default; the comment gives it. */
export interface AppOptions extends Connection {
  /** The topology's name. */
  readonly applicationId?: string;
  /** A folder of its own is found under stateDir; set it (or run in a StatefulSet) for static membership. */
  readonly instanceId?: string;
  /** The module whose default export is the topology: workers import it. Without it tasks run on the calling thread. */
  readonly module?: string | URL;
  /** 1 with a module, else 0 = the calling thread. */
  readonly workers?: number;
  /** exactly-once */
  readonly guarantee?: 'exactly-once' | 'at-least-once';
  /** 100ms; at least once 1s. */
  readonly commitInterval?: Duration;
  /** ./.millrace */
  readonly stateDir?: string;
  /** auto: rocksdb, else lmdb, else memory with a warning. */
  readonly engine?: 'auto' | 'rocksdb' | 'lmdb' | 'memory';
  /** 1s: committed state reaches the disk this often. */
  readonly settleInterval?: Duration;
  /** 64 MiB an instance: clean entries kept in memory. */
  readonly cacheBytesMax?: number;
  /** 64 MiB an instance: staged state and outputs not yet sent. */
  readonly stagedBytesMax?: number;
  /** fail: the worker ends and is restarted. A policy on a source or operator comes first. */
  readonly errors?: ErrorPolicies;
  /** `host:port` under which other instances reach this one's queries; the loopback address of the query server by default. */
  readonly advertise?: string;
  /** Repartition and changelog topics: the broker's replication; settings by their Kafka names; 4 partitions where no input decides. */
  readonly internalTopics?: { readonly replication?: number; readonly config?: Overrides; readonly partitions?: number };
  /** Create missing topics of the topology: true with the embedded broker, else false. */
  readonly createTopics?: boolean;
  /** JSON lines on standard error, warnings and errors. */
  readonly log?: Logger;
  readonly tuning?: Tuning;
}

/** Options with every default filled: what the instance runs on. */
export interface AppSettings {
  readonly applicationId: string;
  readonly instanceId: string | undefined;
  readonly module: string | undefined;
  readonly workers: number;
  readonly guarantee: 'exactly-once' | 'at-least-once';
  readonly stateDir: string;
  readonly engine: 'auto' | 'rocksdb' | 'lmdb' | 'memory';
  readonly createTopics: boolean;
  readonly defaultPartitions: number;
  readonly replication: number;
  /** Settings of every topic that is made, unless its own say otherwise. */
  readonly topicDefaults: Readonly<Record<string, string>>;
  readonly topicOverrides: Readonly<Record<string, string>>;
  readonly advertise: string | undefined;
  readonly errors: ErrorPolicies;
  readonly connection: Omit<ConnectionOptions, 'brokers' | 'clientId'> & { readonly clientId: string | undefined };
  readonly sessionTimeoutMs: number;
  readonly blockedAfterMs: number;
  readonly stateCleanupDelayMs: number;
  readonly metadataRefreshMs: number;
  readonly timing: WorkerTiming;
}

/** Times and bounds a worker lives by. Plain data: it travels to the thread. */
export interface WorkerTiming {
  readonly commitIntervalMs: number;
  readonly settleIntervalMs: number;
  readonly pollWaitMs: number;
  /** Infinity: any. */
  readonly timestampAheadMaxMs: number;
  /** -1: never wait for an empty partition. */
  readonly idleWaitMs: number;
  readonly taskTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  readonly purgeIntervalMs: number;
  /** Shares of one worker, bytes. */
  readonly stagedBytesMax: number;
  readonly cacheBytesMax: number;
  readonly bufferedBytesMax: number;
  readonly fetchBytesMax: number;
  /** Of the topics that are not known to take less. */
  readonly recordBytesMax: number;
}

const MIB = 1024 * 1024;
/** What Apache Kafka's producer sends at most by default, and brokers accept. */
export const RECORD_BYTES_MAX = MIB;
/** A request holds a batch whole, and brokers take requests of 100 MiB. */
const RECORD_BYTES_LARGEST = 64 * MIB;
/** What a changelog's record may have beyond the one it came from: a windowed key, times, earlier values of small ones. */
const STORED_EXTRA_BYTES = 64 * 1024;

/** Throws ERR_OPTION with the option, its value and what is allowed. `embedded`: the broker is ours. */
export function settingsOf(topology: Topology, options: AppOptions, embedded: boolean): AppSettings {
  const applicationId = legalName('applicationId', options.applicationId ?? topology.name);
  const module = options.module === undefined ? undefined : String(options.module);
  checkPlaces(module, options);
  const workers = wholeNumber('workers', options.workers ?? (module === undefined ? 0 : 1), 0, 1024);
  if (workers > 0 && module === undefined) {
    throw new MillraceError(
      'ERR_WORKERS_NEED_MODULE',
      `workers is ${workers}, but threads cannot be given functions: pass module: import.meta.url, whose default export is the topology, or leave workers out.`,
      { option: 'workers' },
    );
  }
  checkErrorPolicies(options.errors ?? {}, workers);
  const tuning = options.tuning ?? {};
  const exactlyOnce = (options.guarantee ?? 'exactly-once') === 'exactly-once';
  const shares = Math.max(1, workers);
  const recordBytesMax = wholeNumber('tuning.recordBytesMax', tuning.recordBytesMax ?? RECORD_BYTES_MAX, 1024, RECORD_BYTES_LARGEST);
  const commitIntervalMs = ms('commitInterval', options.commitInterval ?? (exactlyOnce ? 100 : 1000), 1);
  const transactionTimeoutMs = ms('tuning.transactionTimeout', tuning.transactionTimeout ?? 10_000, 10);
  if (exactlyOnce && transactionTimeoutMs < commitIntervalMs) {
    throw new MillraceError(
      'ERR_OPTION',
      `tuning.transactionTimeout (${transactionTimeoutMs} ms) is shorter than commitInterval (${commitIntervalMs} ms): every transaction would time out. Raise the first or lower the second.`,
      { option: 'tuning.transactionTimeout' },
    );
  }
  return {
    applicationId,
    instanceId: options.instanceId === undefined ? undefined : legalName('instanceId', options.instanceId),
    module,
    workers,
    guarantee: choice('guarantee', options.guarantee ?? 'exactly-once', ['exactly-once', 'at-least-once']),
    stateDir: options.stateDir ?? './.millrace',
    engine: choice('engine', options.engine ?? 'auto', ['auto', 'rocksdb', 'lmdb', 'memory']),
    createTopics: options.createTopics ?? embedded,
    defaultPartitions: wholeNumber('internalTopics.partitions', options.internalTopics?.partitions ?? 4, 1, 100_000),
    replication: wholeNumber('internalTopics.replication', options.internalTopics?.replication ?? -1, -1, 100),
    topicDefaults: recordBytesMax > RECORD_BYTES_MAX ? { 'max.message.bytes': String(recordBytesMax + STORED_EXTRA_BYTES) } : {},
    topicOverrides: Object.fromEntries(Object.entries(options.internalTopics?.config ?? {}).map(([key, value]) => [key, String(value)])),
    advertise: options.advertise,
    errors: options.errors ?? {},
    connection: {
      clientId: options.clientId,
      ssl: options.ssl,
      sasl: options.sasl,
      connectionTimeoutMs: ms('connectionTimeout', options.connectionTimeout ?? 3000, 1),
      requestTimeoutMs: ms('requestTimeout', options.requestTimeout ?? 30_000, 1),
    },
    blockedAfterMs: ms('tuning.blockedAfter', tuning.blockedAfter ?? '1s', 10),
    stateCleanupDelayMs: ms('tuning.stateCleanupDelay', tuning.stateCleanupDelay ?? '10m', 1),
    metadataRefreshMs: ms('tuning.metadataRefresh', tuning.metadataRefresh ?? '30s', 100),
    sessionTimeoutMs: ms('tuning.sessionTimeout', tuning.sessionTimeout ?? (embedded ? 6000 : 45_000), 10),
    timing: {
      commitIntervalMs,
      settleIntervalMs: ms('settleInterval', options.settleInterval ?? 1000, 0),
      pollWaitMs: ms('tuning.pollWait', tuning.pollWait ?? 100, 1),
      timestampAheadMaxMs: tuning.timestampAheadMax === undefined ? Number.POSITIVE_INFINITY : ms('tuning.timestampAheadMax', tuning.timestampAheadMax, 0),
      idleWaitMs: tuning.idleWait === 'never' ? -1 : ms('tuning.idleWait', tuning.idleWait ?? 0, 0),
      taskTimeoutMs: ms('tuning.taskTimeout', tuning.taskTimeout ?? '5m', 1),
      transactionTimeoutMs,
      purgeIntervalMs: ms('tuning.purgeInterval', tuning.purgeInterval ?? '30s', 1),
      stagedBytesMax: bytes('stagedBytesMax', options.stagedBytesMax ?? 64 * MIB) / shares,
      cacheBytesMax: bytes('cacheBytesMax', options.cacheBytesMax ?? 64 * MIB) / shares,
      bufferedBytesMax: bytes('tuning.bufferedBytesMax', tuning.bufferedBytesMax ?? 64 * MIB) / shares,
      fetchBytesMax: bytes('tuning.fetchBytesMax', tuning.fetchBytesMax ?? MIB),
      recordBytesMax,
    },
  };
}

/** What would be found out late and in words of Node: a folder in the wrong place, a module beside a file of ours, a list that is none. */
function checkPlaces(module: string | undefined, { stateDir, brokers }: AppOptions): void {
  const given = { stateDir, brokers } as { readonly stateDir?: unknown; readonly brokers?: unknown };
  if (given.stateDir !== undefined && (typeof given.stateDir !== 'string' || given.stateDir === ''))
    throw new MillraceError(
      'ERR_OPTION',
      `stateDir is ${JSON.stringify(given.stateDir)}; it must be the path of a folder, such as './data'. Leave it out for ./.millrace.`,
      {
        option: 'stateDir',
      },
    );
  if (given.brokers !== undefined && !Array.isArray(given.brokers))
    throw new MillraceError('ERR_OPTION', `brokers is ${JSON.stringify(given.brokers)}; it must be a list: brokers: ['localhost:9092'].`, {
      option: 'brokers',
    });
  if (module !== undefined && /^\.\.?[\\/]/.test(module))
    throw new MillraceError(
      'ERR_OPTION',
      `module is "${module}", and a worker thread would look for it beside its own file. Write module: import.meta.url, or new URL('${module}', import.meta.url).`,
      { option: 'module' },
    );
}

const STAGES = ['decode', 'process', 'produce'] as const;

/** Topics that policies of the whole application write to. */
export function deadLetterTopics(errors: ErrorPolicies): readonly string[] {
  return STAGES.flatMap((stage) => {
    const policy = errors[stage];
    return isDeadLetter(policy) ? [policy.topic] : [];
  });
}

/** Worker threads get their policies as data. */
function checkErrorPolicies(errors: ErrorPolicies, workers: number): void {
  for (const stage of STAGES) {
    checkErrorPolicy(errors[stage], `errors.${stage}`);
    if (workers > 0 && typeof errors[stage] === 'function') {
      throw new MillraceError(
        'ERR_OPTION',
        `errors.${stage} is a function, which cannot be sent to a worker thread. Put it on the source or operator (onError: …) in your module, or use 'skip', 'fail' or deadLetter('a-topic') here.`,
        { option: `errors.${stage}` },
      );
    }
  }
}

function ms(option: string, value: Duration, min: number): number {
  const result = durationMs(value, option);
  if (result < min) throw new MillraceError('ERR_OPTION', `${option} is ${result} ms; the least is ${min} ms.`, { option });
  return result;
}
function wholeNumber(option: string, value: number, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw new MillraceError('ERR_OPTION', `${option} is ${String(value)}; it must be a whole number from ${min} to ${max}.`, { option });
  return value;
}
function bytes(option: string, value: number): number {
  return wholeNumber(option, value, 64 * 1024, Number.MAX_SAFE_INTEGER);
}
function choice<T extends string>(option: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value))
    throw new MillraceError('ERR_OPTION', `${option} is ${JSON.stringify(value)}; it must be one of ${allowed.join(', ')}.`, { option });
  return value;
}
function legalName(option: string, value: string): string {
  if (!isLegalName(value))
    throw new MillraceError('ERR_NAME', `${option} is ${JSON.stringify(value)}; names are 1 to 249 ASCII letters, digits, '.', '_' or '-'.`, { option });
  return value;
}
