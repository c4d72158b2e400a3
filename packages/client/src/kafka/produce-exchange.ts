// A produce on the wire: the request for a set of batches, and the answer for each.
// Owns: the shape; the moment at which a batch gets its producer state and checksum.  Never: sends, judges errors, orders batches.
// X1 one batch per partition in a request (the broker takes no more).  X2 sealed once: a retry sends the same bytes.
import type { APIS, RequestInput, ResponseBody } from '@millrace/protocol';
import { groupByTopic } from './by-topic.ts';
import type { PartitionQueue, PendingBatch } from './partition-queue.ts';

/** Produce 12 joins partitions to the transaction by itself, which older coordinators do not expect. */
export const PRODUCE_EXPLICIT_MAX = 11;
export const PRODUCE_IMPLICIT_MAX = 12;
const ALL_REPLICAS = -1;

export type ProduceBody = ResponseBody<typeof APIS.produce>;
export type PartitionAnswer = ProduceBody['responses'][number]['partitionResponses'][number];

/** Who sends, as the transaction coordinator has named us. */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** Seals what is not sealed yet; sequences are set already. `timeoutMs`: how long the broker may wait for its replicas. */
export function produceRequest(
  batches: readonly PendingBatch[],
  identity: ProducerIdentity,
  transactionalId: string | undefined,
  compression: number,
  timeoutMs: number,
): RequestInput<typeof APIS.produce> {
  const entries = batches.map((batch) => {
    batch.sealed ??= batch.builder.seal({ ...identity, baseSequence: batch.baseSequence, transactional: transactionalId !== undefined, compression });
    return { topic: batch.queue.topic, partition: batch.queue.partition, records: batch.sealed };
  });
  const topicData = groupByTopic(entries).map(({ topic, items }) => ({
    name: topic,
    partitionData: items.map(({ partition, records }) => ({ index: partition, records })),
  }));
  return { transactionalId: transactionalId ?? null, acks: ALL_REPLICAS, timeoutMs, topicData };
}

/** What the broker says about a partition; undefined when it forgot it. */
export function answerFor(body: ProduceBody, queue: PartitionQueue): PartitionAnswer | undefined {
  return body.responses.find(({ name }) => name === queue.topic)?.partitionResponses.find(({ index }) => index === queue.partition);
}

/** What the broker says in words, if it does. */
export function explanationIn(answer: PartitionAnswer): string | null {
  return answer.errorMessage ?? answer.recordErrors.find(({ batchIndexErrorMessage }) => batchIndexErrorMessage !== null)?.batchIndexErrorMessage ?? null;
}
