// Produce: appends record batches, one per partition. Its throttle time comes last, unlike everywhere else. With acks 0 there is no response.
// v3 transactional id and batches v2 only; v5 log start offset; v8 errors per record; v10 leader hints in tags; v11 TRANSACTION_ABORTABLE;
// v12 adds partitions to the transaction by itself (KIP-890: only where transaction.version 2 is finalized); v13 topic ids
// instead of names (KIP-516). 0-2 are advertised, never spoken:
// librdkafka turns compression off when the minimum is not 0.
import { array, defineApi, int16, int32, int64, records, string, struct, uuid } from '../schema.ts';

export const produce = defineApi({
  key: 0,
  name: 'Produce',
  versions: [3, 13],
  flexible: 9,
  advertised: [0, 13],
  client: [9, 12],
  request: {
    transactionalId: string({ nullable: 0, default: null }),
    acks: int16(),
    timeoutMs: int32(),
    topicData: array({
      name: string({ until: 12 }),
      topicId: uuid({ since: 13 }),
      partitionData: array({
        index: int32(),
        records: records(),
      }),
    }),
  },
  response: {
    responses: array({
      name: string({ until: 12 }),
      topicId: uuid({ since: 13 }),
      partitionResponses: array({
        index: int32(),
        errorCode: int16(),
        baseOffset: int64(),
        logAppendTimeMs: int64({ default: -1 }),
        logStartOffset: int64({ since: 5, default: -1 }),
        recordErrors: array(
          {
            batchIndex: int32(),
            batchIndexErrorMessage: string({ nullable: 0, default: null }),
          },
          { since: 8 },
        ),
        errorMessage: string({ since: 8, nullable: 8, default: null }),
        currentLeader: struct(
          {
            leaderId: int32({ default: -1 }),
            leaderEpoch: int32({ default: -1 }),
          },
          { since: 10, tag: 0 },
        ),
      }),
    }),
    throttleTimeMs: int32({ default: 0 }),
    nodeEndpoints: array(
      {
        nodeId: int32(),
        host: string(),
        port: int32(),
        rack: string({ nullable: 0, default: null }),
      },
      { since: 10, tag: 0 },
    ),
  },
});
