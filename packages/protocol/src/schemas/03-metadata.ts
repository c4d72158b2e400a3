// Metadata: brokers, topics, partitions and their leaders.
// v0 empty list = all topics; v1 null = all, empty = none; v4 may create topics; v5 offline replicas; v7 leader epoch; v8 authorised operations;
// v10 topic ids; v12 asks by id; v13 error of the whole. Source: KIP-516.
import { array, bool, defineApi, int16, int32, string, uuid } from '../schema.ts';

export const metadata = defineApi({
  key: 3,
  name: 'Metadata',
  versions: [0, 13],
  flexible: 9,
  client: [9, 12],
  request: {
    topics: array(
      {
        topicId: uuid({ since: 10 }),
        name: string({ nullable: 10 }),
      },
      { nullable: 1 },
    ),
    allowAutoTopicCreation: bool({ since: 4, default: true }),
    includeClusterAuthorizedOperations: bool({ since: 8, until: 10 }),
    includeTopicAuthorizedOperations: bool({ since: 8 }),
  },
  response: {
    throttleTimeMs: int32({ since: 3, default: 0 }),
    brokers: array({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string({ since: 1, nullable: 1, default: null }),
    }),
    clusterId: string({ since: 2, nullable: 2, default: null }),
    controllerId: int32({ since: 1, default: -1 }),
    topics: array({
      errorCode: int16(),
      name: string({ nullable: 12 }),
      topicId: uuid({ since: 10 }),
      isInternal: bool({ since: 1, default: false }),
      partitions: array({
        errorCode: int16(),
        partitionIndex: int32(),
        leaderId: int32(),
        leaderEpoch: int32({ since: 7, default: -1 }),
        replicaNodes: array(int32()),
        isrNodes: array(int32()),
        offlineReplicas: array(int32(), { since: 5 }),
      }),
      topicAuthorizedOperations: int32({ since: 8, default: -0x8000_0000 }),
    }),
    clusterAuthorizedOperations: int32({ since: 8, until: 10, default: -0x8000_0000 }),
    errorCode: int16({ since: 13 }),
  },
});
