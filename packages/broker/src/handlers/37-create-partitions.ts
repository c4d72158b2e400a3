// CreatePartitions: grows a topic. Serves versions 0-3. Manual assignments must name this broker alone.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type BrokerFacts, type Handler, handlerEntry } from '../handler.ts';
import { refusalOf, TopicRefusal, type Topics } from '../topics/topics.ts';

type Request = RequestBody<typeof APIS.createPartitions>;
type Response = ResponseInput<typeof APIS.createPartitions>;

export function createPartitionsHandler(topics: Topics, facts: BrokerFacts) {
  const handler: Handler<Request, Response> = (request) => ({
    results: request.topics.map(({ name, count, assignments }) => {
      try {
        const topic = topics.get(name);
        if (topic === undefined) throw new TopicRefusal(ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION, `Topic '${name}' does not exist.`);
        if (topic.internal) throw new TopicRefusal(ERROR_CODES.INVALID_REQUEST, `Topic '${name}' is internal.`);
        topics.checkGrowth(name, count);
        if (
          assignments !== null &&
          (assignments.length !== count - topic.logs.length || assignments.some(({ brokerIds }) => brokerIds.length !== 1 || brokerIds[0] !== facts.nodeId))
        )
          throw new TopicRefusal(ERROR_CODES.INVALID_REPLICA_ASSIGNMENT, `Each new partition must be assigned to broker ${facts.nodeId} alone.`);
        if (!request.validateOnly) topics.addPartitions(name, count);
        return { name, errorCode: ERROR_CODES.NONE };
      } catch (error) {
        const { code, message } = refusalOf(error);
        return { name, errorCode: code, errorMessage: message };
      }
    }),
  });
  return handlerEntry(APIS.createPartitions.key, handler);
}
