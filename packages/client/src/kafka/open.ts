// Opens the ports over Kafka: the composition of each. Owns: nothing afterwards.  Never: fills in what the caller left out of the connection.
import type { Ports } from '@millrace/core';
import {
  type AdminOptions,
  type ConsumerOptions,
  fillConsumerOptions,
  fillMemberOptions,
  fillProducerOptions,
  type GroupMemberOptions,
  type ProducerOptions,
} from '../options.ts';
import type { ConnectionOptions, GroupMember, GroupMemberHooks, LogAdmin, LogConsumer, LogProducer } from '../port.ts';
import { KafkaAdmin } from './admin.ts';
import { KafkaCluster } from './cluster.ts';
import { KafkaConsumer } from './consumer.ts';
import { FramePool } from './frame-pool.ts';
import { KafkaGroupMember } from './group-member.ts';
import { KafkaProducer } from './producer.ts';

/** What the client needs of the machine. */
export type ClientPorts = Pick<Ports, 'clock' | 'timers' | 'chance' | 'network' | 'log'>;

/**
 * A consumer of assigned partitions. It connects with the first `assign`; a `poll` rejects with ERR_BROKER_UNREACHABLE when no broker answered
 * within `connectionTimeoutMs`, and the next one tries again.
 *
 * @example
 * ```ts
 * const consumer = createConsumer(connection, { isolation: 'read_committed' }, ports);
 * consumer.assign([{ topic: 'flights', partition: 0, offset: 0 as Offset }]);
 * for (const event of await consumer.poll(100)) if (event.kind === 'data') event.data.release();
 * ```
 */
export function createConsumer(connection: ConnectionOptions, options: ConsumerOptions, ports: ClientPorts): LogConsumer {
  const filled = fillConsumerOptions(options);
  return new KafkaConsumer(new KafkaCluster(connection, ports, new FramePool(filled.bufferedBytesMax)), filled);
}

/** A producer; it connects in `initialise`, which rejects with ERR_BROKER_UNREACHABLE when no broker answers within `connectionTimeoutMs`. */
export function createProducer(connection: ConnectionOptions, options: ProducerOptions, ports: ClientPorts): LogProducer {
  return new KafkaProducer(new KafkaCluster(connection, ports), fillProducerOptions(options));
}

/** It connects with the first call, which rejects with ERR_BROKER_UNREACHABLE when no broker answers within `connectionTimeoutMs`. */
export function createAdmin(connection: ConnectionOptions, options: AdminOptions, ports: ClientPorts): LogAdmin {
  return new KafkaAdmin(new KafkaCluster({ ...connection, requestTimeoutMs: options.requestTimeoutMs ?? connection.requestTimeoutMs }, ports));
}

/** A group member; it connects and joins when `start` is called, and keeps trying while no broker answers. */
export function createGroupMember(connection: ConnectionOptions, options: GroupMemberOptions, hooks: GroupMemberHooks, ports: ClientPorts): GroupMember {
  return new KafkaGroupMember(new KafkaCluster(connection, ports), fillMemberOptions(options), hooks);
}
