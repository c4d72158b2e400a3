// What a broker is started with, and the defaults, filled in once.
// Owns: names, defaults and their Kafka counterparts.  Never: reads the environment.
import { MillraceError } from '@millrace/core';
import { DEFAULT_GROUP_OPTIONS, type GroupOptions } from './group/options.ts';
import type { FsyncPolicy } from './log/sync-group.ts';
import { type FilledSecurity, fillSecurity, type SecurityOptions } from './security/options.ts';
import { DEFAULT_TRANSACTION_OPTIONS, type TransactionOptions } from './transaction/options.ts';

export interface BrokerOptions {
  /** Where everything is kept; created if missing. */
  readonly dataDir: string;
  /** Address to listen on. Default 127.0.0.1; one that others can reach needs `security`. */
  readonly host?: string;
  /** 0 (default): any free one. */
  readonly port?: number;
  /** What clients are told to connect to. Default: `host`, or localhost when that is a wildcard. */
  readonly advertisedHost?: string;
  /** Partitions of topics created without a number. Default 1, as Kafka's num.partitions. */
  readonly partitions?: number;
  /** Asking for a topic creates it. Default true, as Kafka. */
  readonly autoCreateTopics?: boolean;
  /** 'never' (default): the page cache; survives a killed process, not a power loss. 'perBatchGroup': an acknowledgement waits for the device. */
  readonly fsync?: FsyncPolicy;
  readonly groups?: Partial<GroupOptions>;
  readonly transactions?: Partial<TransactionOptions>;
  readonly limits?: Partial<BrokerLimits>;
  /** TLS, logins and access rules. Default: none of it, which is why only this machine may connect. */
  readonly security?: SecurityOptions;
}

export interface BrokerLimits {
  /** socket.request.max.bytes */
  readonly requestBytesMax: number;
  /** fetch.max.bytes: most bytes in one answer. */
  readonly fetchBytesMax: number;
  /** max.connections */
  readonly connectionsMax: number;
  /** max.connections.per.ip */
  readonly connectionsPerAddressMax: number;
  /** Requests of one connection that wait at the same time; the socket is paused beyond. */
  readonly inFlightMax: number;
  /** Bytes of those requests; one alone may be larger. */
  readonly inFlightBytesMax: number;
  /** queued.max.request.bytes: requests and answers of all connections together; beyond, large requests wait unread. */
  readonly requestMemoryBytesMax: number;
  /** connections.max.idle.ms */
  readonly idleMs: number;
  /** A peer that sends half a request, or does not take its answer, is closed after so long without a byte. */
  readonly stallMs: number;
  /** Time to log in, the TLS handshake included. */
  readonly loginMs: number;
  /** sasl.server.max.receive.size: largest request before the login. */
  readonly loginFrameBytesMax: number;
  /** Most requests before the login is done. */
  readonly loginRequestsMax: number;
  /** log.retention.check.interval.ms */
  readonly retentionCheckMs: number;
  /** log.cleaner.backoff.ms */
  readonly compactionCheckMs: number;
  /** producer.id.expiration.ms */
  readonly producerExpirationMs: number;
}

export interface FilledOptions extends Required<Omit<BrokerOptions, 'groups' | 'transactions' | 'limits' | 'security'>> {
  readonly groups: GroupOptions;
  readonly transactions: TransactionOptions;
  readonly limits: BrokerLimits;
  readonly security: FilledSecurity;
}

export const DEFAULT_LIMITS: BrokerLimits = {
  requestBytesMax: 104_857_600,
  fetchBytesMax: 57_671_680,
  connectionsMax: 10_000,
  connectionsPerAddressMax: 10_000,
  inFlightMax: 100,
  inFlightBytesMax: 104_857_600,
  requestMemoryBytesMax: 536_870_912,
  idleMs: 600_000,
  stallMs: 30_000,
  loginMs: 10_000,
  loginFrameBytesMax: 524_288,
  loginRequestsMax: 32,
  retentionCheckMs: 300_000,
  compactionCheckMs: 15_000,
  producerExpirationMs: 86_400_000,
};

/** An embedded broker serves its own application: short sessions are the application's choice, and a dead worker's transaction should not wait. */
const EMBEDDED_SESSION_MIN_MS = 10;
const EMBEDDED_SWEEP_MS = 1_000;
const WILDCARDS = ['0.0.0.0', '::', ''];

/** Throws ERR_OPTION for a value that makes no sense. */
export function fillOptions(options: BrokerOptions): FilledOptions {
  const host = options.host ?? '127.0.0.1';
  const filled: FilledOptions = {
    dataDir: options.dataDir,
    host,
    port: options.port ?? 0,
    advertisedHost: options.advertisedHost ?? (WILDCARDS.includes(host) ? 'localhost' : host),
    partitions: options.partitions ?? 1,
    autoCreateTopics: options.autoCreateTopics ?? true,
    fsync: options.fsync ?? 'never',
    groups: { ...DEFAULT_GROUP_OPTIONS, sessionTimeoutMinMs: EMBEDDED_SESSION_MIN_MS, ...options.groups },
    transactions: { ...DEFAULT_TRANSACTION_OPTIONS, sweepIntervalMs: EMBEDDED_SWEEP_MS, ...options.transactions },
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    security: fillSecurity(options.security, host),
  };
  if (filled.dataDir === '') throw optionError('dataDir', 'is empty', 'Name the directory where the log is to be kept.');
  if (!Number.isInteger(filled.port) || filled.port < 0 || filled.port > 65_535)
    throw optionError('port', `is ${filled.port}`, 'Use 0 (any free port) to 65535.');
  if (!Number.isInteger(filled.partitions) || filled.partitions < 1 || filled.partitions > 10_000)
    throw optionError('partitions', `is ${filled.partitions}`, 'Use a whole number from 1 to 10000.');
  if (filled.fsync !== 'never' && filled.fsync !== 'perBatchGroup') throw optionError('fsync', `is ${String(filled.fsync)}`, "Use 'never' or 'perBatchGroup'.");
  for (const [name, value] of Object.entries(filled.limits))
    if (!Number.isSafeInteger(value) || value < 1) throw optionError(`limits.${name}`, `is ${String(value)}`, 'Use a whole number, 1 or more.');
  return filled;
}

function optionError(option: string, what: string, fix: string): MillraceError {
  return new MillraceError('ERR_OPTION', `The broker's option ${option} ${what}. ${fix}`, { option });
}

/** The settings DescribeConfigs shows for the broker, by Kafka's names. */
export function brokerConfig(options: FilledOptions): Record<string, string> {
  const { groups, transactions, limits } = options;
  return {
    'num.partitions': String(options.partitions),
    'auto.create.topics.enable': String(options.autoCreateTopics),
    'default.replication.factor': '1',
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.replication.factor': '1',
    'message.max.bytes': '1048588',
    'socket.request.max.bytes': String(limits.requestBytesMax),
    'fetch.max.bytes': String(limits.fetchBytesMax),
    'connections.max.idle.ms': String(limits.idleMs),
    'group.min.session.timeout.ms': String(groups.sessionTimeoutMinMs),
    'group.max.session.timeout.ms': String(groups.sessionTimeoutMaxMs),
    'group.initial.rebalance.delay.ms': String(groups.initialRebalanceDelayMs),
    'group.max.size': String(groups.membersMax),
    'group.consumer.max.size': String(groups.membersMax),
    'group.consumer.session.timeout.ms': String(groups.consumerSessionTimeoutMs),
    'group.consumer.heartbeat.interval.ms': String(groups.consumerHeartbeatIntervalMs),
    'group.consumer.assignors': 'uniform,range',
    'offsets.retention.minutes': String(Math.floor(groups.offsetsRetentionMs / 60_000)),
    'offset.metadata.max.bytes': String(groups.metadataBytesMax),
    'transaction.max.timeout.ms': String(transactions.timeoutMaxMs),
    'transactional.id.expiration.ms': String(transactions.idExpirationMs),
    'log.retention.check.interval.ms': String(limits.retentionCheckMs),
    'log.cleaner.backoff.ms': String(limits.compactionCheckMs),
    'producer.id.expiration.ms': String(limits.producerExpirationMs),
  };
}
