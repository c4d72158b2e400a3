// Metadata: this one broker, and topics by name or id. Creates named topics on the way where setting and client allow it, and answers with the leader at once.
// Serves versions 0-13. Authorised operations are all there are; with access control its row says which.
import { APIS, ERROR_CODES, NO_UUID, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type BrokerFacts, type Handler, handlerEntry } from '../handler.ts';
import { everyOperation } from '../security/access/rule.ts';
import { refusalOf, type Topic, type Topics } from '../topics/topics.ts';

type Request = RequestBody<typeof APIS.metadata>;
type Response = ResponseInput<typeof APIS.metadata>;
type TopicAnswer = Response['topics'][number];

const BY_ID_FROM = 12;
const NOT_ASKED = -0x8000_0000;

export interface MetadataParts {
  readonly topics: Topics;
  readonly facts: BrokerFacts;
  readonly autoCreateTopics: boolean;
  /** Partitions of a topic that is created on the way. */
  readonly partitions: number;
}

export function metadataHandler(parts: MetadataParts) {
  const handler: Handler<Request, Response> = (request, { version }) => {
    const { nodeId, host, port, clusterId } = parts.facts;
    const all = request.topics === null || (version === 0 && request.topics.length === 0);
    const refused = all ? undefined : refuseIds(request, version);
    if (refused !== undefined) return { brokers: [], topics: refused };
    const mayCreate = parts.autoCreateTopics && (version < 4 || request.allowAutoTopicCreation);
    const found = all ? [...parts.topics.all()].map((topic) => describe(topic, parts)) : request.topics.map((asked) => lookUp(parts, asked, mayCreate));
    const topics = request.includeTopicAuthorizedOperations
      ? found.map((topic) => (topic.errorCode === ERROR_CODES.NONE ? { ...topic, topicAuthorizedOperations: everyOperation('topic') } : topic))
      : found;
    const clusterAuthorizedOperations = request.includeClusterAuthorizedOperations ? everyOperation('cluster') : NOT_ASKED;
    return { brokers: [{ nodeId, host, port }], clusterId, controllerId: nodeId, topics, clusterAuthorizedOperations, errorCode: ERROR_CODES.NONE };
  };
  return handlerEntry(APIS.metadata.key, handler);
}

/** Versions 10 and 11 carry topic ids, and Kafka takes them from 12 on only. */
function refuseIds({ topics }: Request, version: number): TopicAnswer[] | undefined {
  if (topics === null || version < 10 || version >= BY_ID_FROM || topics.every(({ name, topicId }) => name !== null && topicId === NO_UUID)) return undefined;
  return topics.map(({ name, topicId }) => ({ errorCode: ERROR_CODES.INVALID_REQUEST, name: name ?? '', topicId, partitions: [] }));
}

function lookUp(parts: MetadataParts, asked: { readonly name: string | null; readonly topicId: string }, mayCreate: boolean): TopicAnswer {
  const { name, topicId } = asked;
  if (name === null || (name === '' && topicId !== NO_UUID)) {
    const topic = parts.topics.byId(topicId);
    return topic === undefined ? { errorCode: ERROR_CODES.UNKNOWN_TOPIC_ID, name: null, topicId, partitions: [] } : describe(topic, parts);
  }
  const topic = parts.topics.get(name);
  if (topic !== undefined) return describe(topic, parts);
  try {
    if (mayCreate) return describe(parts.topics.create(name, parts.partitions, {}), parts);
    parts.topics.checkNew(name, 1, {});
    return { errorCode: ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION, name, topicId: NO_UUID, partitions: [] };
  } catch (error) {
    return { errorCode: refusalOf(error).code, name, topicId: NO_UUID, partitions: [] };
  }
}

function describe(topic: Topic, { facts, topics }: MetadataParts): TopicAnswer {
  const replicas = [facts.nodeId];
  return {
    errorCode: ERROR_CODES.NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.internal,
    partitions: topic.logs.map((_, partitionIndex) => ({
      errorCode: ERROR_CODES.NONE,
      partitionIndex,
      leaderId: facts.nodeId,
      leaderEpoch: topics.leaderEpoch,
      replicaNodes: replicas,
      isrNodes: replicas,
      offlineReplicas: [],
    })),
  };
}
