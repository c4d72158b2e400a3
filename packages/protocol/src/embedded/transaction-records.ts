// Records of __transaction_state: what each transactional id was doing, in Kafka's own bytes. A null value forgets the id.
// Source: KIP-98; tagged fields from KIP-890.
import { array, int8, int16, int32, int64, string } from '../schema.ts';
import { defineEmbedded } from './embedded.ts';

/** Numbers of the states in `transactionStatus`. */
export const TRANSACTION_STATUS = {
  Empty: 0,
  Ongoing: 1,
  PrepareCommit: 2,
  PrepareAbort: 3,
  CompleteCommit: 4,
  CompleteAbort: 5,
  Dead: 6,
  PrepareEpochFence: 7,
} as const;

export const transactionLogKey = defineEmbedded({
  name: 'TransactionLogKey',
  versions: [0, 0],
  flexible: undefined,
  fields: { transactionalId: string() },
});

export const transactionLogValue = defineEmbedded({
  name: 'TransactionLogValue',
  versions: [0, 1],
  flexible: 1,
  fields: {
    producerId: int64(),
    previousProducerId: int64({ since: 1, tag: 0, default: -1 }),
    nextProducerId: int64({ since: 1, tag: 1, default: -1 }),
    producerEpoch: int16(),
    transactionTimeoutMs: int32(),
    transactionStatus: int8(),
    /** Null unless a transaction is open or being completed. */
    transactionPartitions: array({ topic: string(), partitionIds: array(int32()) }, { nullable: 0 }),
    transactionLastUpdateTimestampMs: int64(),
    transactionStartTimestampMs: int64(),
    clientTransactionVersion: int16({ since: 1, tag: 2, default: 0 }),
    /** Millrace's own, far from Kafka's numbers: the epoch a producer named when it asked for this one, so that its retry is known after a restart. */
    previousProducerEpoch: int16({ since: 1, tag: 10_000, default: -1 }),
  },
});
