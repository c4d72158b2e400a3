// The options of the four factories: plain data, so that they can travel to a worker thread. Defaults are filled once, here.
// Owns: names, units, defaults, bounds.  Never: opens anything.
import { MillraceError } from '@millrace/core';
import type { ConnectionOptions } from './port.ts';

export interface ConsumerOptions {
  /** `read_committed` leaves aborted and still open transactions out. */
  readonly isolation: 'read_committed' | 'read_uncommitted';
  /** Most bytes of one partition per fetch. Default 1 MiB; 256 KiB to 1 MiB measured best. */
  readonly fetchBytesMax?: number | undefined;
  /** Most bytes fetched and not yet released, over all partitions (a partition that holds nothing is fetched beyond it). Default 16 MiB. */
  readonly bufferedBytesMax?: number | undefined;
  /** How long the broker may park a fetch that finds nothing, ms. Default 500. */
  readonly fetchMaxWaitMs?: number | undefined;
  /** Pause before the next fetch after a small answer, ms: saves CPU when little flows. Default 2. */
  readonly gatherMs?: number | undefined;
}

export interface ProducerOptions {
  /** Set: transactional. Two living producers never share one. */
  readonly transactionalId?: string | undefined;
  /** How long a transaction may stay open before the broker aborts it, ms. Default 10 000. */
  readonly transactionTimeoutMs?: number | undefined;
  /** How long a batch is tried, ms. Default 120 000. */
  readonly deliveryTimeoutMs?: number | undefined;
  /** A produce request takes no further batch past this size, bytes. Default 1 MiB. */
  readonly requestBytesMax?: number | undefined;
  /** Codec of the batches. Default `none`. */
  readonly compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd' | undefined;
}

export interface AdminOptions {
  /** In place of the connection's, ms. */
  readonly requestTimeoutMs?: number | undefined;
}

export interface GroupMemberOptions {
  readonly groupId: string;
  /** Set: a static member, which keeps its assignment over a restart within the session timeout. */
  readonly instanceId?: string | undefined;
  /** Topics of the subscription (tools show them; the assignor gets them). */
  readonly topics: readonly string[];
  /** Name of our assignment protocol inside the group. Default `millrace`. */
  readonly protocolName?: string | undefined;
  /** Default 45 000 ms. */
  readonly sessionTimeoutMs?: number | undefined;
  /** How long the coordinator waits for all members to join, ms. Default 60 000. */
  readonly rebalanceTimeoutMs?: number | undefined;
  /** Default 3 000 ms; at most a third of the session timeout. */
  readonly heartbeatIntervalMs?: number | undefined;
}

type Filled<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };
/** Options with every default in place; what has no default stays optional. */
export type FilledConsumerOptions = Filled<ConsumerOptions>;
export type FilledProducerOptions = Filled<Omit<ProducerOptions, 'transactionalId'>> & { readonly transactionalId: string | undefined };
export type FilledMemberOptions = Filled<Omit<GroupMemberOptions, 'instanceId'>> & { readonly instanceId: string | undefined };

const MIB = 1024 * 1024;

export function fillConsumerOptions(options: ConsumerOptions): FilledConsumerOptions {
  return {
    isolation: options.isolation,
    fetchBytesMax: positive('fetchBytesMax', options.fetchBytesMax ?? MIB),
    bufferedBytesMax: positive('bufferedBytesMax', options.bufferedBytesMax ?? 16 * MIB),
    fetchMaxWaitMs: positive('fetchMaxWaitMs', options.fetchMaxWaitMs ?? 500),
    gatherMs: notNegative('gatherMs', options.gatherMs ?? 2),
  };
}

export function fillProducerOptions(options: ProducerOptions): FilledProducerOptions {
  return {
    transactionalId: options.transactionalId,
    transactionTimeoutMs: positive('transactionTimeoutMs', options.transactionTimeoutMs ?? 10_000),
    deliveryTimeoutMs: positive('deliveryTimeoutMs', options.deliveryTimeoutMs ?? 120_000),
    requestBytesMax: positive('requestBytesMax', options.requestBytesMax ?? MIB),
    compression: options.compression ?? 'none',
  };
}

export function fillMemberOptions(options: GroupMemberOptions): FilledMemberOptions {
  const sessionTimeoutMs = positive('sessionTimeoutMs', options.sessionTimeoutMs ?? 45_000);
  return {
    groupId: options.groupId,
    instanceId: options.instanceId,
    topics: options.topics,
    protocolName: options.protocolName ?? 'millrace',
    sessionTimeoutMs,
    rebalanceTimeoutMs: positive('rebalanceTimeoutMs', options.rebalanceTimeoutMs ?? 60_000),
    heartbeatIntervalMs: Math.min(positive('heartbeatIntervalMs', options.heartbeatIntervalMs ?? 3_000), Math.ceil(sessionTimeoutMs / 3)),
  };
}

/** A broker address as `host:port`, IPv6 hosts in brackets. Throws ERR_OPTION. */
export function parseBrokerAddress(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3] ?? 0);
  if (match === null || port < 1 || port > 65_535) {
    throw new MillraceError('ERR_OPTION', `"${text}" is not a broker address. Write host:port, for example localhost:9092.`, { address: text });
  }
  return { host: (match[1] ?? match[2]) as string, port };
}

/** Throws ERR_OPTION when the connection options cannot work. */
export function checkConnectionOptions(options: ConnectionOptions): void {
  if (options.brokers.length === 0) throw new MillraceError('ERR_OPTION', 'The list of brokers is empty. Name at least one as host:port.');
  const hosts = options.brokers.map((address) => parseBrokerAddress(address).host);
  checkLogin(options, hosts);
  positive('connectionTimeoutMs', options.connectionTimeoutMs);
  positive('requestTimeoutMs', options.requestTimeoutMs);
}

const LOOPBACK = /^(localhost|::1|127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/;

function checkLogin({ sasl, ssl }: ConnectionOptions, hosts: readonly string[]): void {
  if (sasl === undefined) return;
  if (typeof sasl.username !== 'string' || sasl.username === '' || typeof sasl.password !== 'string' || sasl.password === '')
    throw new MillraceError('ERR_OPTION', 'sasl needs a username and a password, and one of them is empty.', { option: 'sasl' });
  const isBare = ssl === undefined || ssl === false;
  if (sasl.mechanism !== 'plain' || !isBare || sasl.plainWithoutTls === true || hosts.every((host) => LOOPBACK.test(host))) return;
  throw new MillraceError(
    'ERR_OPTION',
    'sasl with the mechanism plain would show the password to the network. Set ssl, use scram-sha-256 or scram-sha-512, or set sasl.plainWithoutTls to true if that network is trusted.',
    { option: 'sasl.mechanism' },
  );
}

function positive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new MillraceError('ERR_OPTION', `${name} must be a whole number above 0, got ${value}.`, { option: name });
}

function notNegative(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new MillraceError('ERR_OPTION', `${name} must be a whole number, 0 or more, got ${value}.`, { option: name });
}
