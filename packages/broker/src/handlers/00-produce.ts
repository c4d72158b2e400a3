// Produce: one batch per partition, appended in the order of arrival.
// Serves versions 3-13. acks 1 and -1 are the same on one node: the answer waits for the fsync setting, nothing else.
// From version 12 a transactional batch brings its partition into the transaction (KIP-890); below, the producer must have added it: else [48],
// from 11 on [120]. From version 13 topics come by id. Ignores the timeout: an append does not wait.
// P1 a request is checked, then joins the transaction, then is appended: nothing is appended for a transaction that ended while it waited.
import type { Clock, TopicPartition } from '@millrace/core';
import { APIS, ERROR_CODES, type RecordBatchView, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry, NO_RESPONSE, type RequestContext } from '../handler.ts';
import type { TransactionGate } from '../internal-log.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import type { SyncGroup } from '../log/sync-group.ts';
import { validateBatch } from '../log/validate.ts';
import type { Topic, Topics } from '../topics/topics.ts';

type Request = RequestBody<typeof APIS.produce>;
type Response = ResponseInput<typeof APIS.produce>;
type PartitionAnswer = Response['responses'][number]['partitionResponses'][number];

const ZSTD_FROM = 7;
const ABORTABLE_FROM = 11;
const JOINS_FROM = 12;
const TOPIC_IDS_FROM = 13;

export interface ProduceParts {
  readonly topics: Topics;
  readonly syncs: SyncGroup;
  readonly clock: Clock;
  readonly gate: TransactionGate;
}

/** One partition's batch that passed the checks, or the answer that says why it did not. */
type Prepared =
  | { readonly kind: 'sound'; readonly index: number; readonly topic: Topic; readonly log: PartitionLog; readonly batch: RecordBatchView }
  | { readonly kind: 'refused'; readonly answer: PartitionAnswer };

interface PreparedTopic {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: readonly Prepared[];
}

export function produceHandler(parts: ProduceParts) {
  const handler: Handler<Request, Response> = (request, context) => {
    const nowMs = parts.clock.nowMs();
    const prepared = request.topicData.map((asked) => prepareTopic(parts, request, asked, context.version, nowMs));
    const joined = context.version < JOINS_FROM ? NOTHING_TO_JOIN : join(parts.gate, request.transactionalId, prepared);
    const facts = { version: context.version, nowMs, transactionalId: request.transactionalId };
    const finish = (ready: boolean) => answer(parts, request, context, appendAll(parts, prepared, { ...facts, codes: ready ? joined.codes : UNREADY }));
    return joined.ready === undefined
      ? finish(true)
      : joined.ready.then(
          () => finish(true),
          () => finish(false),
        );
  };
  return handlerEntry(APIS.produce.key, handler);
}

function answer(parts: ProduceParts, { acks }: Request, { connection }: RequestContext, response: Response) {
  if (acks === 0) {
    const failed = response.responses.some(({ partitionResponses }) => partitionResponses.some(({ errorCode }) => errorCode !== ERROR_CODES.NONE));
    if (failed) connection.close(); // the only way to tell a client that wants no answer
    return NO_RESPONSE;
  }
  const durable = parts.syncs.durable();
  return durable === undefined
    ? response
    : durable.then(
        () => response,
        () => storageFailure(response),
      );
}

// ---- checking -----------------------------------------------------------------------------------------------------------

function prepareTopic(parts: ProduceParts, request: Request, asked: Request['topicData'][number], version: number, nowMs: number): PreparedTopic {
  const byId = version >= TOPIC_IDS_FROM;
  const topic = byId ? parts.topics.byId(asked.topicId) : parts.topics.get(asked.name);
  const missing = byId && topic === undefined ? ERROR_CODES.UNKNOWN_TOPIC_ID : ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION;
  const acksKnown = request.acks === -1 || request.acks === 0 || request.acks === 1;
  const partitions = asked.partitionData.map(({ index, records }): Prepared => {
    const log = topic?.logs[index];
    if (topic === undefined || log === undefined) return refused(index, missing, null);
    if (!acksKnown) return refused(index, ERROR_CODES.INVALID_REQUIRED_ACKS, `acks must be -1, 0 or 1, not ${request.acks}`);
    if (topic.internal) return refused(index, ERROR_CODES.INVALID_TOPIC_EXCEPTION, `${topic.name} is written by the broker alone`);
    const validation = validateBatch(records, topic.config, nowMs, version >= ZSTD_FROM);
    if (validation.kind === 'sound') return { kind: 'sound', index, topic, log, batch: validation.batch };
    const { code, message, record } = validation.refusal;
    return refused(index, code, message, record);
  });
  return { name: asked.name, topicId: asked.topicId, partitions };
}

function refused(index: number, errorCode: number, message: string | null, record?: number): Prepared {
  return { kind: 'refused', answer: refusal(index, errorCode, message, record) };
}

// ---- joining the transaction --------------------------------------------------------------------------------------------

/** Per producer id what joining said; a producer that is missing had nothing to join. */
type JoinCodes = ReadonlyMap<number, number> | typeof UNREADY;
const UNREADY: unique symbol = Symbol('the transaction log did not take it');
const NOTHING_TO_JOIN: { readonly codes: ReadonlyMap<number, number>; readonly ready: Promise<unknown> | undefined } = { codes: new Map(), ready: undefined };

/** A request is one producer's; should it claim several, each is asked for by itself. */
function join(gate: TransactionGate, transactionalId: string | null, prepared: readonly PreparedTopic[]): typeof NOTHING_TO_JOIN {
  const wanted = new Map<number, { readonly producerEpoch: number; readonly partitions: TopicPartition[] }>();
  for (const { partitions } of prepared)
    for (const one of partitions) {
      if (one.kind === 'refused' || !one.batch.transactional) continue;
      const { producerId, producerEpoch } = one.batch;
      let asked = wanted.get(producerId);
      if (asked === undefined) wanted.set(producerId, (asked = { producerEpoch, partitions: [] }));
      asked.partitions.push({ topic: one.topic.name, partition: one.index });
    }
  if (wanted.size === 0) return NOTHING_TO_JOIN;
  const codes = new Map<number, number>();
  const waits: Promise<void>[] = [];
  for (const [producerId, { producerEpoch, partitions }] of wanted) {
    const { errorCode, ready } = gate.join({ transactionalId: transactionalId ?? '', producerId, producerEpoch }, partitions);
    codes.set(producerId, errorCode);
    if (ready !== undefined) waits.push(ready);
  }
  // One producer waits for the very promise: requests behind one another are then appended in their order.
  return { codes, ready: waits.length > 1 ? Promise.all(waits) : waits[0] };
}

/** Produce has its own names for what the coordinator refuses. Retriable ones become [19]: it makes no client ask for metadata. */
function joinCode(errorCode: number): number {
  switch (errorCode) {
    case ERROR_CODES.PRODUCER_FENCED:
      return ERROR_CODES.INVALID_PRODUCER_EPOCH;
    case ERROR_CODES.COORDINATOR_NOT_AVAILABLE:
    case ERROR_CODES.NOT_COORDINATOR:
      return ERROR_CODES.NOT_ENOUGH_REPLICAS;
    default:
      return errorCode;
  }
}

// ---- appending ----------------------------------------------------------------------------------------------------------

/** What all batches of a request share. */
interface AppendFacts {
  readonly version: number;
  readonly nowMs: number;
  readonly transactionalId: string | null;
  readonly codes: JoinCodes;
}

function appendAll(parts: ProduceParts, prepared: readonly PreparedTopic[], facts: AppendFacts): Response {
  return {
    responses: prepared.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitionResponses: partitions.map((one) => (one.kind === 'refused' ? one.answer : appendOne(parts, one, facts))),
    })),
  };
}

function appendOne({ gate }: ProduceParts, one: Extract<Prepared, { kind: 'sound' }>, facts: AppendFacts): PartitionAnswer {
  const { version, nowMs, transactionalId, codes } = facts;
  const { index, topic, log, batch } = one;
  if (codes === UNREADY) return refusal(index, ERROR_CODES.NOT_ENOUGH_REPLICAS, 'the transaction log could not be written');
  const joined = codes.get(batch.producerId) ?? ERROR_CODES.NONE;
  if (batch.transactional && joined !== ERROR_CODES.NONE) return refusal(index, joinCode(joined), 'the transaction cannot take this partition now');
  const joins = version >= JOINS_FROM;
  const mayTransact =
    !batch.transactional ||
    (!joins && log.hasOpenTransaction(batch.producerId)) ||
    gate.holdsPartition(batch.producerId, batch.producerEpoch, topic.name, index);
  if (!mayTransact && !joins && transactionalId !== null) {
    const refused = gate.checkProducer({ transactionalId, producerId: batch.producerId, producerEpoch: batch.producerEpoch });
    if (refused !== ERROR_CODES.NONE) return refusal(index, joinCode(refused), 'the producer has no transaction here');
  }
  const outcome = log.append(batch, nowMs, mayTransact, joins && batch.transactional);
  if (outcome.kind === 'refused') {
    const abortable = outcome.code === ERROR_CODES.INVALID_TXN_STATE && version >= ABORTABLE_FROM;
    return refusal(index, abortable ? ERROR_CODES.TRANSACTION_ABORTABLE : outcome.code, outcome.message);
  }
  const stampedMs = outcome.kind === 'duplicate' ? outcome.timestampMs : nowMs;
  return {
    index,
    errorCode: ERROR_CODES.NONE,
    baseOffset: outcome.baseOffset,
    logAppendTimeMs: topic.config.logAppendTime ? stampedMs : -1,
    logStartOffset: log.logStart,
    recordErrors: [],
  };
}

function refusal(index: number, errorCode: number, errorMessage: string | null, record?: number): PartitionAnswer {
  const recordErrors = record === undefined ? [] : [{ batchIndex: record, batchIndexErrorMessage: errorMessage }];
  return { index, errorCode, baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1, recordErrors, errorMessage };
}

/** The device refused: nothing of this request may count as written. */
function storageFailure(response: Response): Response {
  return {
    responses: response.responses.map(({ name, topicId, partitionResponses }) => ({
      name,
      topicId,
      partitionResponses: partitionResponses.map((answer) =>
        answer.errorCode === ERROR_CODES.NONE ? refusal(answer.index, ERROR_CODES.KAFKA_STORAGE_ERROR, 'the data could not be synced to the device') : answer,
      ),
    })),
  };
}
