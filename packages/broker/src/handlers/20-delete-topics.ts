// DeleteTopics, by name or (from version 6) by id. Serves versions 1-6. Internal topics stay.
import { APIS, ERROR_CODES, NO_UUID, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import { refusalOf, type Topics } from '../topics/topics.ts';

type Request = RequestBody<typeof APIS.deleteTopics>;
type Response = ResponseInput<typeof APIS.deleteTopics>;
type Answer = NonNullable<Response['responses']>[number];

export function deleteTopicsHandler(topics: Topics) {
  const handler: Handler<Request, Response> = (request, { version }) => {
    const asked = version >= 6 ? request.topics : request.topicNames.map((name) => ({ name, topicId: NO_UUID }));
    return { responses: asked.map((one) => deleteOne(topics, one.name, one.topicId)) };
  };
  return handlerEntry(APIS.deleteTopics.key, handler);
}

function deleteOne(topics: Topics, name: string | null, topicId: string): Answer {
  if (name !== null && topicId !== NO_UUID)
    return { name, topicId, errorCode: ERROR_CODES.INVALID_REQUEST, errorMessage: 'Give a topic name or an id, not both.' };
  if (name === null && topicId === NO_UUID) return { name, topicId, errorCode: ERROR_CODES.INVALID_REQUEST, errorMessage: 'Give a topic name or an id.' };
  const topic = name === null ? topics.byId(topicId) : topics.get(name);
  if (topic === undefined) return { name, topicId, errorCode: name === null ? ERROR_CODES.UNKNOWN_TOPIC_ID : ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION };
  try {
    topics.delete(topic.name);
    return { name: topic.name, topicId: topic.id, errorCode: ERROR_CODES.NONE };
  } catch (error) {
    const { code, message } = refusalOf(error);
    return { name: topic.name, topicId: topic.id, errorCode: code, errorMessage: message };
  }
}
