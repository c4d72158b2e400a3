// ConsumerGroupDescribe: groups of the consumer group protocol (KIP-848) with what each member has and what it is to have. v1 says which protocol
// a member speaks.
import { array, bool, defineApi, int8, int16, int32, string, struct, uuid } from '../schema.ts';

const assignment = { topicPartitions: array({ topicId: uuid(), topicName: string(), partitions: array(int32()) }) };

export const consumerGroupDescribe = defineApi({
  key: 69,
  name: 'ConsumerGroupDescribe',
  versions: [0, 1],
  flexible: 0,
  request: {
    groupIds: array(string()),
    includeAuthorizedOperations: bool(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    groups: array({
      errorCode: int16(),
      errorMessage: string({ nullable: 0, default: null }),
      groupId: string(),
      groupState: string({ default: '' }),
      groupEpoch: int32({ default: 0 }),
      assignmentEpoch: int32({ default: 0 }),
      assignorName: string({ default: '' }),
      members: array({
        memberId: string(),
        instanceId: string({ nullable: 0, default: null }),
        rackId: string({ nullable: 0, default: null }),
        memberEpoch: int32(),
        clientId: string(),
        clientHost: string(),
        subscribedTopicNames: array(string()),
        subscribedTopicRegex: string({ nullable: 0, default: null }),
        assignment: struct(assignment),
        targetAssignment: struct(assignment),
        memberType: int8({ since: 1, default: -1 }),
      }),
      authorizedOperations: int32({ default: -0x8000_0000 }),
    }),
  },
});
