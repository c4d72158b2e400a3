// What the APIs of records and offsets in the log need.
import { APIS, ERROR_CODES } from '@millrace/protocol';
import { type Ask, PASS, type Row, row, split } from './guard.ts';

const DENIED = ERROR_CODES.TOPIC_AUTHORIZATION_FAILED;
/** In the header of a batch. */
const ATTRIBUTES_AT = 21;
const TRANSACTIONAL = 0x10;

/** Names where there are some, else ids; an id nobody has is not secret: the handler says that it is unknown. */
function topicAllowed(ask: Ask, operation: 'read' | 'write', name: string, topicId: string): boolean {
  const known = name === '' ? ask.topics.nameOf(topicId) : name;
  return known === undefined || ask.may(operation, 'topic', known);
}

function isTransactional(records: Buffer | null): boolean {
  return records !== null && records.length > ATTRIBUTES_AT + 1 && (records.readInt16BE(ATTRIBUTES_AT) & TRANSACTIONAL) !== 0;
}

const produce = row(APIS.produce, 'write on each topic; write on the transactional id for transactional records', (request, ask) => {
  const refuse = (topics: typeof request.topicData, errorCode: number) =>
    topics.map(({ name, topicId, partitionData }) => ({
      name,
      topicId,
      partitionResponses: partitionData.map(({ index }) => ({ index, errorCode, baseOffset: -1 })),
    }));
  const transactional = request.topicData.some(({ partitionData }) => partitionData.some(({ records }) => isTransactional(records)));
  const id = request.transactionalId;
  if (transactional && (id === null || !ask.may('write', 'transactionalId', id))) {
    const responses = refuse(request.topicData, ERROR_CODES.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    if (request.acks !== 0) return { kind: 'answer', response: { responses } };
    return { kind: 'part', request: { ...request, topicData: [] }, complete: () => ({ responses }), closes: true };
  }
  const [allowed, refused] = split(request.topicData, ({ name, topicId }) => topicAllowed(ask, 'write', name, topicId));
  if (refused.length === 0) return PASS;
  return {
    kind: 'part',
    request: { ...request, topicData: allowed },
    complete: (response) => ({ ...response, responses: [...response.responses, ...refuse(refused, DENIED)] }),
    closes: true,
  };
});

const fetch = row(APIS.fetch, 'read on each topic', (request, ask) => {
  const [allowed, refused] = split(request.topics, ({ topic, topicId }) => topicAllowed(ask, 'read', topic, topicId));
  if (refused.length === 0) return PASS;
  const answers = refused.map(({ topic, topicId, partitions }) => ({
    topic,
    topicId,
    partitions: partitions.map(({ partition }) => ({
      partitionIndex: partition,
      errorCode: DENIED,
      highWatermark: -1,
      abortedTransactions: request.isolationLevel === 1 ? [] : null,
      records: Buffer.alloc(0),
    })),
  }));
  if (allowed.length === 0) return { kind: 'answer', response: { errorCode: ERROR_CODES.NONE, responses: answers } };
  // A refusal is news: the allowed rest does not park.
  const now = { ...request, topics: allowed, maxWaitMs: 0 };
  return { kind: 'part', request: now, complete: (response) => ({ ...response, responses: [...(response.responses ?? []), ...answers] }) };
});

const listOffsets = row(APIS.listOffsets, 'describe on each topic', (request, ask) => {
  const [allowed, refused] = split(request.topics, ({ name }) => ask.may('describe', 'topic', name));
  if (refused.length === 0) return PASS;
  const answers = refused.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: DENIED })),
  }));
  return {
    kind: 'part',
    request: { ...request, topics: allowed },
    complete: (response) => ({ ...response, topics: [...(response.topics ?? []), ...answers] }),
  };
});

const deleteRecords = row(APIS.deleteRecords, 'delete on each topic', (request, ask) => {
  const [allowed, refused] = split(request.topics, ({ name }) => ask.may('delete', 'topic', name));
  if (refused.length === 0) return PASS;
  const answers = refused.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, lowWatermark: -1, errorCode: DENIED })),
  }));
  return { kind: 'part', request: { ...request, topics: allowed }, complete: (response) => ({ ...response, topics: [...response.topics, ...answers] }) };
});

const offsetForLeaderEpoch = row(APIS.offsetForLeaderEpoch, 'describe on each topic', (request, ask) => {
  const [allowed, refused] = split(request.topics, ({ topic }) => ask.may('describe', 'topic', topic));
  if (refused.length === 0) return PASS;
  const answers = refused.map(({ topic, partitions }) => ({ topic, partitions: partitions.map(({ partition }) => ({ partition, errorCode: DENIED })) }));
  return { kind: 'part', request: { ...request, topics: allowed }, complete: (response) => ({ ...response, topics: [...response.topics, ...answers] }) };
});

const describeProducers = row(APIS.describeProducers, 'read on each topic', (request, ask) => {
  const [allowed, refused] = split(request.topics, ({ name }) => ask.may('read', 'topic', name));
  if (refused.length === 0) return PASS;
  const answers = refused.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, errorCode: DENIED, activeProducers: [] })),
  }));
  return { kind: 'part', request: { ...request, topics: allowed }, complete: (response) => ({ ...response, topics: [...response.topics, ...answers] }) };
});

export const LOG_ROWS: readonly Row[] = [produce, fetch, listOffsets, deleteRecords, offsetForLeaderEpoch, describeProducers];
