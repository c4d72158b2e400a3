// AddPartitionsToTxn: registers partitions with the transaction before they are written. v4 takes
// several transactions at a time and may only verify; brokers among themselves use it, and a few clients.
import { array, bool, defineApi, int16, int32, int64, string } from '../schema.ts';

export const addPartitionsToTxn = defineApi({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [0, 5],
  advertised: [0, 3],
  flexible: 3,
  client: [3, 3],
  request: {
    transactions: array(
      {
        transactionalId: string(),
        producerId: int64(),
        producerEpoch: int16(),
        verifyOnly: bool({ default: false }),
        topics: array({
          name: string(),
          partitions: array(int32()),
        }),
      },
      { since: 4 },
    ),
    transactionalId: string({ until: 3 }),
    producerId: int64({ until: 3 }),
    producerEpoch: int16({ until: 3 }),
    topics: array(
      {
        name: string(),
        partitions: array(int32()),
      },
      { until: 3 },
    ),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16({ since: 4 }),
    resultsByTransaction: array(
      {
        transactionalId: string(),
        topicResults: array({
          name: string(),
          resultsByPartition: array({
            partitionIndex: int32(),
            partitionErrorCode: int16(),
          }),
        }),
      },
      { since: 4 },
    ),
    resultsByTopic: array(
      {
        name: string(),
        resultsByPartition: array({
          partitionIndex: int32(),
          partitionErrorCode: int16(),
        }),
      },
      { until: 3 },
    ),
  },
});
