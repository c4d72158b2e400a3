// OffsetFetch: committed offsets. v2 null = all partitions, error of the whole; v7 require-stable (KIP-447); v8 several groups in one request,
// which replace the single group's fields; v9 member epoch (KIP-848); v10 topic ids instead of names.
import { array, bool, defineApi, int16, int32, int64, string, uuid } from '../schema.ts';

export const offsetFetch = defineApi({
  key: 9,
  name: 'OffsetFetch',
  versions: [1, 10],
  advertised: [1, 9],
  flexible: 6,
  client: [8, 9],
  request: {
    groupId: string({ until: 7 }),
    topics: array(
      {
        name: string(),
        partitionIndexes: array(int32()),
      },
      { until: 7, nullable: 2 },
    ),
    groups: array(
      {
        groupId: string(),
        memberId: string({ since: 9, nullable: 9, default: null }),
        memberEpoch: int32({ since: 9, default: -1 }),
        topics: array(
          {
            name: string({ until: 9 }),
            topicId: uuid({ since: 10 }),
            partitionIndexes: array(int32()),
          },
          { nullable: 0 },
        ),
      },
      { since: 8 },
    ),
    requireStable: bool({ since: 7, default: false }),
  },
  response: {
    throttleTimeMs: int32({ since: 3, default: 0 }),
    topics: array(
      {
        name: string(),
        partitions: array({
          partitionIndex: int32(),
          committedOffset: int64(),
          committedLeaderEpoch: int32({ since: 5, default: -1 }),
          metadata: string({ nullable: 0 }),
          errorCode: int16(),
        }),
      },
      { until: 7 },
    ),
    errorCode: int16({ since: 2, until: 7, default: 0 }),
    groups: array(
      {
        groupId: string(),
        topics: array({
          name: string({ until: 9 }),
          topicId: uuid({ since: 10 }),
          partitions: array({
            partitionIndex: int32(),
            committedOffset: int64(),
            committedLeaderEpoch: int32({ default: -1 }),
            metadata: string({ nullable: 0 }),
            errorCode: int16(),
          }),
        }),
        errorCode: int16({ default: 0 }),
      },
      { since: 8 },
    ),
  },
});
