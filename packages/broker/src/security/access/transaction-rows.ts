// What the APIs of transactions need.
import { APIS, ERROR_CODES } from '@millrace/protocol';
import { PASS, type Row, row, split } from './guard.ts';

const ID_DENIED = ERROR_CODES.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
const TOPIC_DENIED = ERROR_CODES.TOPIC_AUTHORIZATION_FAILED;

const initProducerId = row(
  APIS.initProducerId,
  'write on the transactional id; without one, idempotent write on the cluster or write on any topic',
  ({ transactionalId }, ask) => {
    const refuse = (errorCode: number) => ({ kind: 'answer', response: { errorCode, producerId: -1, producerEpoch: -1 } }) as const;
    if (transactionalId !== null) return ask.may('write', 'transactionalId', transactionalId) ? PASS : refuse(ID_DENIED);
    return ask.mayCluster('idempotentWrite') || ask.mayAny('write', 'topic') ? PASS : refuse(ERROR_CODES.CLUSTER_AUTHORIZATION_FAILED);
  },
);

const addPartitionsToTxn = row(APIS.addPartitionsToTxn, 'write on the transactional id and on each topic', (request, ask) => {
  const answer = (codeOf: (topic: string) => number) =>
    ({
      kind: 'answer',
      response: {
        resultsByTopic: request.topics.map(({ name, partitions }) => ({
          name,
          resultsByPartition: partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: codeOf(name) })),
        })),
      },
    }) as const;
  if (!ask.may('write', 'transactionalId', request.transactionalId)) return answer(() => ID_DENIED);
  const denied = new Set(request.topics.filter(({ name }) => !ask.may('write', 'topic', name)).map(({ name }) => name));
  return denied.size === 0 ? PASS : answer((topic) => (denied.has(topic) ? TOPIC_DENIED : ERROR_CODES.OPERATION_NOT_ATTEMPTED));
});

const addOffsetsToTxn = row(APIS.addOffsetsToTxn, 'write on the transactional id and read on the group', ({ transactionalId, groupId }, ask) => {
  if (!ask.may('write', 'transactionalId', transactionalId)) return { kind: 'answer', response: { errorCode: ID_DENIED } };
  return ask.may('read', 'group', groupId) ? PASS : { kind: 'answer', response: { errorCode: ERROR_CODES.GROUP_AUTHORIZATION_FAILED } };
});

const endTxn = row(APIS.endTxn, 'write on the transactional id', ({ transactionalId }, ask) =>
  ask.may('write', 'transactionalId', transactionalId) ? PASS : { kind: 'answer', response: { errorCode: ID_DENIED } },
);

const txnOffsetCommit = row(APIS.txnOffsetCommit, 'write on the transactional id, read on the group and on each topic', (request, ask) => {
  const refuse = (topics: typeof request.topics, errorCode: number) =>
    topics.map(({ name, partitions }) => ({ name, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })) }));
  if (!ask.may('write', 'transactionalId', request.transactionalId)) return { kind: 'answer', response: { topics: refuse(request.topics, ID_DENIED) } };
  if (!ask.may('read', 'group', request.groupId))
    return { kind: 'answer', response: { topics: refuse(request.topics, ERROR_CODES.GROUP_AUTHORIZATION_FAILED) } };
  const [allowed, refused] = split(request.topics, ({ name }) => ask.may('read', 'topic', name));
  if (refused.length === 0) return PASS;
  const answers = refuse(refused, TOPIC_DENIED);
  return { kind: 'part', request: { ...request, topics: allowed }, complete: (response) => ({ ...response, topics: [...response.topics, ...answers] }) };
});

const describeTransactions = row(APIS.describeTransactions, 'describe on each transactional id; topics without describe are left out', (request, ask) => {
  const [allowed, refused] = split(request.transactionalIds, (id) => ask.may('describe', 'transactionalId', id));
  const answers = refused.map((transactionalId) => ({
    errorCode: ID_DENIED,
    transactionalId,
    transactionState: '',
    transactionTimeoutMs: 0,
    transactionStartTimeMs: -1,
    producerId: -1,
    producerEpoch: -1,
    topics: [],
  }));
  return {
    kind: 'part',
    request: { ...request, transactionalIds: allowed },
    complete: (response) => ({
      ...response,
      transactionStates: [
        ...response.transactionStates.map((state) => ({ ...state, topics: state.topics.filter(({ topic }) => ask.may('describe', 'topic', topic)) })),
        ...answers,
      ],
    }),
  };
});

const listTransactions = row(APIS.listTransactions, 'describe on each transactional id: others are left out', (request, ask) => ({
  kind: 'part',
  request,
  complete: (response) => ({
    ...response,
    transactionStates: response.transactionStates.filter(({ transactionalId }) => ask.may('describe', 'transactionalId', transactionalId)),
  }),
}));

export const TRANSACTION_ROWS: readonly Row[] = [
  initProducerId,
  addPartitionsToTxn,
  addOffsetsToTxn,
  endTxn,
  txnOffsetCommit,
  describeTransactions,
  listTransactions,
];
