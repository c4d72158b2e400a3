// CreateTopics. Serves versions 2-7. The only replica is this broker: replication -1 or 1, and manual assignments that name it alone.
import { APIS, ERROR_CODES, NO_UUID, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type BrokerFacts, type Handler, handlerEntry } from '../handler.ts';
import { describeTopicConfig } from '../topics/describe-config.ts';
import { refusalOf, TopicRefusal, type Topics } from '../topics/topics.ts';

type Request = RequestBody<typeof APIS.createTopics>;
type Response = ResponseInput<typeof APIS.createTopics>;
type Asked = Request['topics'][number];
type Answer = NonNullable<Response['topics']>[number];

export interface CreateTopicsParts {
  readonly topics: Topics;
  readonly facts: BrokerFacts;
  /** For topics that ask for the default number (-1). */
  readonly partitions: number;
}

export function createTopicsHandler(parts: CreateTopicsParts) {
  const handler: Handler<Request, Response> = (request) => {
    const names = new Map<string, number>();
    for (const { name } of request.topics) names.set(name, (names.get(name) ?? 0) + 1);
    return {
      topics: request.topics.map((asked) => {
        try {
          if ((names.get(asked.name) ?? 0) > 1) throw new TopicRefusal(ERROR_CODES.INVALID_REQUEST, `Topic '${asked.name}' appears twice in the request.`);
          return createOne(parts, asked, request.validateOnly);
        } catch (error) {
          const { code, message } = refusalOf(error);
          return { name: asked.name, topicId: NO_UUID, errorCode: code, errorMessage: message, configs: [] };
        }
      }),
    };
  };
  return handlerEntry(APIS.createTopics.key, handler);
}

function createOne(parts: CreateTopicsParts, asked: Asked, validateOnly: boolean): Answer {
  parts.topics.checkName(asked.name);
  const config: Record<string, string> = {};
  for (const { name, value } of asked.configs) {
    if (value === null) throw new TopicRefusal(ERROR_CODES.INVALID_CONFIG, `Null value not supported for topic config: ${name}`);
    config[name] = value;
  }
  parts.topics.checkConfigs(config);
  const partitions = partitionCount(parts, asked);
  parts.topics.checkNew(asked.name, partitions, config);
  const topicId = validateOnly ? NO_UUID : parts.topics.create(asked.name, partitions, config).id;
  return {
    name: asked.name,
    topicId,
    errorCode: ERROR_CODES.NONE,
    errorMessage: null,
    numPartitions: partitions,
    replicationFactor: 1,
    configs: describeTopicConfig(config).map(({ name, value, source }) => ({ name, value, readOnly: false, configSource: source, isSensitive: false })),
  };
}

function partitionCount({ facts, partitions }: CreateTopicsParts, asked: Asked): number {
  if (asked.assignments.length > 0) {
    if (asked.numPartitions !== -1 || asked.replicationFactor !== -1)
      throw new TopicRefusal(ERROR_CODES.INVALID_REQUEST, 'Both numPartitions or replicationFactor and a manual assignment were given.');
    const indexes = asked.assignments.map(({ partitionIndex }) => partitionIndex).sort((left, right) => left - right);
    const wellFormed =
      indexes.every((index, at) => index === at) && asked.assignments.every(({ brokerIds }) => brokerIds.length === 1 && brokerIds[0] === facts.nodeId);
    if (!wellFormed)
      throw new TopicRefusal(ERROR_CODES.INVALID_REPLICA_ASSIGNMENT, `Partitions must be 0, 1, … and each assigned to broker ${facts.nodeId} alone.`);
    return asked.assignments.length;
  }
  const { numPartitions, replicationFactor } = asked;
  const impossible = new TopicRefusal(
    ERROR_CODES.INVALID_REPLICATION_FACTOR,
    `Replication factor ${replicationFactor} was asked; this is a single node, use 1 or -1.`,
  );
  if (replicationFactor === 0 || replicationFactor < -1) throw impossible;
  if (numPartitions === 0 || numPartitions < -1)
    throw new TopicRefusal(ERROR_CODES.INVALID_PARTITIONS, `${numPartitions} partitions were asked; use 1 or more.`);
  if (replicationFactor > 1) throw impossible;
  return numPartitions === -1 ? partitions : numPartitions;
}
