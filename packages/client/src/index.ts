// The public names of @millrace/client.
export type { ConformanceCase } from './conformance/bench.ts';
export { CLIENT_CONFORMANCE } from './conformance.ts';
export { type ClientPorts, createAdmin, createConsumer, createGroupMember, createProducer } from './kafka/open.ts';
export type { AdminOptions, ConsumerOptions, GroupMemberOptions, ProducerOptions } from './options.ts';
export type {
  CommittedOffset,
  ConnectionOptions,
  FetchedPartition,
  GroupMember,
  GroupMemberHooks,
  GroupMetadata,
  LogAdmin,
  LogConsumer,
  LogProducer,
  MemberAssignment,
  MemberSubscription,
  NewTopic,
  OffsetSpec,
  OffsetToCommit,
  PartitionStart,
  PollEvent,
  PresentMember,
  ProduceAck,
  TopicDescription,
} from './port.ts';
export { recordMark } from './record-mark.ts';
