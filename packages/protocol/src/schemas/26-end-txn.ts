// EndTxn: commits or aborts. v5 answers with the next producer id and epoch (KIP-890: only where transaction.version 2 is finalized).
import { bool, defineApi, int16, int32, int64, string } from '../schema.ts';

export const endTxn = defineApi({
  key: 26,
  name: 'EndTxn',
  versions: [0, 5],
  flexible: 3,
  client: [3, 5],
  request: {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    committed: bool(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    producerId: int64({ since: 5, default: -1 }),
    producerEpoch: int16({ since: 5, default: -1 }),
  },
});
