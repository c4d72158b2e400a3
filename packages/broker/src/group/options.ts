// The settings of the group coordinator, with Kafka's names beside ours, filled in once at the door.
const DAY_MS = 86_400_000;

export interface GroupOptions {
  /** group.min.session.timeout.ms */
  readonly sessionTimeoutMinMs: number;
  /** group.max.session.timeout.ms */
  readonly sessionTimeoutMaxMs: number;
  /** group.initial.rebalance.delay.ms: how long the first member of an empty group waits for others. Kafka: 3 s. */
  readonly initialRebalanceDelayMs: number;
  /** group.max.size and group.consumer.max.size */
  readonly membersMax: number;
  /** A first join that is parked is given up after this long; Kafka has it fixed. */
  readonly newMemberJoinMs: number;
  /** group.consumer.session.timeout.ms: of members of the consumer group protocol, who do not choose their own. */
  readonly consumerSessionTimeoutMs: number;
  /** group.consumer.heartbeat.interval.ms: what such members are told. */
  readonly consumerHeartbeatIntervalMs: number;
  /** offset.metadata.max.bytes */
  readonly metadataBytesMax: number;
  /** offsets.retention.minutes, in ms */
  readonly offsetsRetentionMs: number;
  /** offsets.retention.check.interval.ms */
  readonly offsetsCheckIntervalMs: number;
  /** Groups held at the same time; a new one past it is refused with COORDINATOR_NOT_AVAILABLE. */
  readonly groupsMax: number;
}

export const DEFAULT_GROUP_OPTIONS: GroupOptions = {
  sessionTimeoutMinMs: 6_000,
  sessionTimeoutMaxMs: 1_800_000,
  initialRebalanceDelayMs: 0,
  membersMax: 10_000,
  newMemberJoinMs: 300_000,
  consumerSessionTimeoutMs: 45_000,
  consumerHeartbeatIntervalMs: 5_000,
  metadataBytesMax: 4_096,
  offsetsRetentionMs: 7 * DAY_MS,
  offsetsCheckIntervalMs: 600_000,
  groupsMax: 100_000,
};
