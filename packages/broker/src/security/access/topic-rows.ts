// What the APIs of topics and their settings need.
import { APIS, ERROR_CODES, NO_UUID, type RequestBody } from '@millrace/protocol';
import { type Ask, PASS, type Row, row, split } from './guard.ts';
import { type Operation, wordFor } from './rule.ts';

const DENIED = ERROR_CODES.TOPIC_AUTHORIZATION_FAILED;
const DENIED_TEXT = 'Authorization failed.';
const CREATES_UNASKED = 4;

type MetadataRequest = RequestBody<typeof APIS.metadata>;
type AskedTopic = NonNullable<MetadataRequest['topics']>[number];

const metadata = row(APIS.metadata, 'describe on each topic: others are hidden; create on the cluster or the topic to create it on the way', (request, ask) => {
  const all = request.topics === null || (ask.version === 0 && request.topics.length === 0);
  const mayCreate = ask.topics.autoCreate && (ask.version < CREATES_UNASKED || request.allowAutoTopicCreation);
  const nameOf = ({ name, topicId }: AskedTopic): string | undefined => (name === null || name === '' ? ask.topics.nameOf(topicId) : name);
  const allows = (asked: AskedTopic): boolean => {
    const name = nameOf(asked);
    if (name === undefined) return true; // an id nobody has: the handler says so
    if (!ask.may('describe', 'topic', name)) return false;
    return ask.topics.exists(name) || !mayCreate || ask.mayCluster('create') || ask.may('create', 'topic', name);
  };
  const [allowed, refused] = all ? [request.topics, []] : split(request.topics ?? [], allows);
  const answers = refused.map(({ name, topicId }) => ({
    errorCode: DENIED,
    name,
    topicId: name === null || name === '' ? topicId : NO_UUID, // the id of a topic that may not be seen stays unknown
    partitions: [],
  }));
  return {
    kind: 'part',
    request: { ...request, topics: allowed },
    complete: (response) => ({
      ...response,
      topics: [
        ...response.topics
          .filter(({ name }) => !all || name === null || ask.may('describe', 'topic', name))
          .map((topic) =>
            request.includeTopicAuthorizedOperations && topic.name !== null
              ? { ...topic, topicAuthorizedOperations: ask.operations('topic', topic.name) }
              : topic,
          ),
        ...answers,
      ],
      ...(request.includeClusterAuthorizedOperations ? { clusterAuthorizedOperations: clusterOperations(ask) } : {}),
    }),
  };
});

const describeTopicPartitions = row(APIS.describeTopicPartitions, 'describe on each topic: others are hidden', (request, ask) => {
  const all = request.topics.length === 0;
  const asked = all ? ask.topics.names().map((name) => ({ name })) : request.topics;
  const [allowed, refused] = split(asked, ({ name }) => ask.may('describe', 'topic', name));
  const answers = all ? [] : refused.map(({ name }) => ({ errorCode: DENIED, name, topicId: NO_UUID, partitions: [] }));
  if (allowed.length === 0) return { kind: 'answer', response: { topics: answers } }; // no names would mean all of them
  return {
    kind: 'part',
    request: { ...request, topics: allowed },
    complete: (response) => ({
      ...response,
      topics: [
        ...response.topics.map((topic) => (topic.name === null ? topic : { ...topic, topicAuthorizedOperations: ask.operations('topic', topic.name) })),
        ...answers,
      ],
    }),
  };
});

/** As Kafka: what one may do to the cluster is told to those who may describe it. */
function clusterOperations(ask: Ask): number {
  return ask.mayCluster('describe') ? ask.operations('cluster', 'kafka-cluster') : 0;
}

const describeCluster = row(APIS.describeCluster, 'nothing; describe on the cluster to be told what else one may do to it', (request, ask) =>
  request.includeClusterAuthorizedOperations
    ? { kind: 'part', request, complete: (response) => ({ ...response, clusterAuthorizedOperations: clusterOperations(ask) }) }
    : PASS,
);

const createTopics = row(APIS.createTopics, 'create on the cluster or on each topic; describe configs to be told its settings', (request, ask) => {
  const [allowed, refused] = split(request.topics, ({ name }) => ask.mayCluster('create') || ask.may('create', 'topic', name));
  const answers = refused.map(({ name }) => ({ name, topicId: NO_UUID, errorCode: DENIED, errorMessage: DENIED_TEXT, configs: [] }));
  return {
    kind: 'part',
    request: { ...request, topics: allowed },
    complete: (response) => ({
      ...response,
      topics: [
        ...response.topics.map((topic) =>
          ask.may('describeConfigs', 'topic', topic.name)
            ? topic
            : { ...topic, topicConfigErrorCode: DENIED, numPartitions: -1, replicationFactor: -1, configs: null },
        ),
        ...answers,
      ],
    }),
  };
});

const BY_ID_FROM = 6;

const deleteTopics = row(APIS.deleteTopics, 'delete on each topic', (request, ask) => {
  if (ask.version < BY_ID_FROM) {
    const [allowed, refused] = split(request.topicNames, (name) => ask.may('delete', 'topic', name));
    if (refused.length === 0) return PASS;
    const answers = refused.map((name) => ({ name, topicId: NO_UUID, errorCode: DENIED, errorMessage: DENIED_TEXT }));
    return {
      kind: 'part',
      request: { ...request, topicNames: allowed },
      complete: (response) => ({ ...response, responses: [...response.responses, ...answers] }),
    };
  }
  const nameOf = (name: string | null, topicId: string): string | undefined => name ?? ask.topics.nameOf(topicId);
  const [allowed, refused] = split(request.topics, ({ name, topicId }) => {
    const known = nameOf(name, topicId);
    return known === undefined || ask.may('delete', 'topic', known);
  });
  if (refused.length === 0) return PASS;
  const answers = refused.map(({ name, topicId }) => {
    const known = nameOf(name, topicId) as string;
    const shown = name ?? (ask.may('describe', 'topic', known) ? known : null);
    return { name: shown, topicId, errorCode: DENIED, errorMessage: DENIED_TEXT };
  });
  return { kind: 'part', request: { ...request, topics: allowed }, complete: (response) => ({ ...response, responses: [...response.responses, ...answers] }) };
});

const createPartitions = row(APIS.createPartitions, 'alter on each topic', (request, ask) => {
  const [allowed, refused] = split(request.topics, ({ name }) => ask.may('alter', 'topic', name));
  if (refused.length === 0) return PASS;
  const answers = refused.map(({ name }) => ({ name, errorCode: DENIED, errorMessage: DENIED_TEXT }));
  return { kind: 'part', request: { ...request, topics: allowed }, complete: (response) => ({ ...response, results: [...response.results, ...answers] }) };
});

/** Types of resources as the APIs of settings number them. */
const CONFIG_TYPES = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16, group: 32 } as const;
type Resource = { readonly resourceType: number; readonly resourceName: string };

function mayConfigs(ask: Ask, operation: Operation, { resourceType, resourceName }: Resource): boolean {
  switch (wordFor(CONFIG_TYPES, resourceType)) {
    case 'topic':
      return ask.may(operation, 'topic', resourceName);
    case 'group':
      return ask.may(operation, 'group', resourceName);
    default:
      return ask.mayCluster(operation);
  }
}

function refusedConfig({ resourceType, resourceName }: Resource) {
  const word = wordFor(CONFIG_TYPES, resourceType);
  const errorCode = word === 'topic' ? DENIED : word === 'group' ? ERROR_CODES.GROUP_AUTHORIZATION_FAILED : ERROR_CODES.CLUSTER_AUTHORIZATION_FAILED;
  return { errorCode, errorMessage: DENIED_TEXT, resourceType, resourceName };
}

const describeConfigs = row(APIS.describeConfigs, 'describe configs on each topic or group, or on the cluster for the broker', (request, ask) => {
  const [allowed, refused] = split(request.resources, (one) => mayConfigs(ask, 'describeConfigs', one));
  if (refused.length === 0) return PASS;
  const answers = refused.map((one) => ({ ...refusedConfig(one), configs: [] }));
  return { kind: 'part', request: { ...request, resources: allowed }, complete: (response) => ({ ...response, results: [...response.results, ...answers] }) };
});

/** Both ways of altering configs ask for the same right and answer in the same shape. */
// Sound: what is read and answered here both schemas have.
const alterRow = (api: typeof APIS.alterConfigs | typeof APIS.incrementalAlterConfigs): Row =>
  row(api as typeof APIS.alterConfigs, 'alter configs on each topic or group, or on the cluster for the broker', (request, ask) => {
    const [allowed, refused] = split(request.resources, (one) => mayConfigs(ask, 'alterConfigs', one));
    if (refused.length === 0) return PASS;
    const answers = refused.map(refusedConfig);
    return {
      kind: 'part',
      request: { ...request, resources: allowed },
      complete: (response) => ({ ...response, responses: [...response.responses, ...answers] }),
    };
  });

export const TOPIC_ROWS: readonly Row[] = [
  metadata,
  describeTopicPartitions,
  describeCluster,
  createTopics,
  deleteTopics,
  createPartitions,
  describeConfigs,
  alterRow(APIS.alterConfigs),
  alterRow(APIS.incrementalAlterConfigs),
];
