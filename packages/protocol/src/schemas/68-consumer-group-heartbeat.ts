// ConsumerGroupHeartbeat: the one request of the consumer group protocol (KIP-848): join (epoch 0), live, report what is owned, leave (-1; -2 for
// a static member that comes back). Fields that did not change may be left null. v1 a pattern the broker resolves, and the member brings its own id.
import { array, defineApi, int16, int32, string, struct, uuid } from '../schema.ts';

const topicPartitions = { topicId: uuid(), partitions: array(int32()) };

export const consumerGroupHeartbeat = defineApi({
  key: 68,
  name: 'ConsumerGroupHeartbeat',
  versions: [0, 1],
  flexible: 0,
  request: {
    groupId: string(),
    memberId: string(),
    memberEpoch: int32(),
    instanceId: string({ nullable: 0, default: null }),
    rackId: string({ nullable: 0, default: null }),
    rebalanceTimeoutMs: int32({ default: -1 }),
    subscribedTopicNames: array(string(), { nullable: 0, default: null }),
    subscribedTopicRegex: string({ since: 1, nullable: 1, default: null }),
    serverAssignor: string({ nullable: 0, default: null }),
    topicPartitions: array(topicPartitions, { nullable: 0, default: null }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    errorMessage: string({ nullable: 0, default: null }),
    memberId: string({ nullable: 0, default: null }),
    memberEpoch: int32({ default: 0 }),
    heartbeatIntervalMs: int32({ default: 0 }),
    assignment: struct({ topicPartitions: array(topicPartitions) }, { nullable: 0 }),
  },
});
