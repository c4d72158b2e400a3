// Batches of short texts, as a producer sends them.
import { noHeaders } from '@millrace/core';
import { APIS, BatchPool } from '@millrace/protocol';

const pool = new BatchPool();

/** `records`: [key or null, value]. */
export function encodeBatch(records, { producerId = -1, producerEpoch = -1, baseSequence = -1, transactional = false } = {}) {
  const builder = pool.take();
  for (const [key, value] of records) {
    const keyBytes = key === null ? null : Buffer.from(key);
    const valueBytes = Buffer.from(value);
    builder.append(Date.now(), keyBytes, 0, keyBytes?.length ?? 0, valueBytes, 0, valueBytes.length, noHeaders);
  }
  const batch = Buffer.from(builder.seal({ producerId, producerEpoch, baseSequence, transactional }));
  builder.release();
  return batch;
}

export const PRODUCE_VERSION = 11;

export function produceBody(topic, parts, transactionalId = null) {
  return {
    transactionalId,
    acks: -1,
    timeoutMs: 30_000,
    topicData: [{ name: topic, partitionData: parts.map(([index, records]) => ({ index, records })) }],
  };
}

/** Asks for a producer id until the broker has one to give. */
export async function initProducer(session, transactionalId, find) {
  for (;;) {
    const body = { transactionalId, transactionTimeoutMs: 300_000, producerId: -1, producerEpoch: -1 };
    const { errorCode, producerId, producerEpoch } = await session.insist(APIS.initProducerId, 4, body);
    if (errorCode === 0) return { producerId, producerEpoch };
    if (![14, 15, 16, 51].includes(errorCode)) {
      find(`InitProducerId of ${transactionalId}: error ${errorCode}`);
      throw new Error('cannot go on');
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
