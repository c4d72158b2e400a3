// AlterConfigs: replaces everything that is set on a topic (kafkajs has only this form). Serves versions 0-2.
// Broker settings are given when the broker starts and cannot be changed here.
import { isLegalName } from '@millrace/core';
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import { refusalOf, TopicRefusal, type Topics } from '../topics/topics.ts';

type Request = RequestBody<typeof APIS.alterConfigs>;
type Response = ResponseInput<typeof APIS.alterConfigs>;

export const RESOURCE_TOPIC = 2;
export const RESOURCE_BROKER = 4;

export interface AlterAnswer {
  readonly errorCode: number;
  readonly errorMessage: string | null;
  readonly resourceType: number;
  readonly resourceName: string;
}

export function alterConfigsHandler(topics: Topics) {
  const handler: Handler<Request, Response> = (request) => ({
    responses: request.resources.map(({ resourceType, resourceName, configs }) =>
      alterOne(topics, resourceType, resourceName, request.validateOnly, () => {
        const next: Record<string, string> = {};
        for (const { name, value } of configs) {
          if (value === null) throw new TopicRefusal(ERROR_CODES.INVALID_REQUEST, `Null value not supported for topic config: ${name}`);
          next[name] = value;
        }
        return next;
      }),
    ),
  });
  return handlerEntry(APIS.alterConfigs.key, handler);
}

/** `next`: what is set now → what is to be set. */
export function alterOne(
  topics: Topics,
  resourceType: number,
  resourceName: string,
  validateOnly: boolean,
  next: (set: Readonly<Record<string, string>>) => Readonly<Record<string, string>>,
): AlterAnswer {
  const answer = (errorCode: number, errorMessage: string | null): AlterAnswer => ({ errorCode, errorMessage, resourceType, resourceName });
  if (resourceType !== RESOURCE_TOPIC)
    return answer(ERROR_CODES.INVALID_REQUEST, 'Only topic settings can be altered; those of the broker are given when it starts.');
  const topic = topics.get(resourceName);
  try {
    const config = next(topic?.setConfig ?? {});
    if (resourceName === '') throw new TopicRefusal(ERROR_CODES.INVALID_REQUEST, 'Default topic resources are not allowed.');
    if (!isLegalName(resourceName)) throw new TopicRefusal(ERROR_CODES.INVALID_TOPIC_EXCEPTION, `'${resourceName}' is no name of a topic.`);
    topics.checkConfigs(config);
    if (topic === undefined) return answer(ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION, `Topic '${resourceName}' does not exist.`);
    if (!validateOnly) topics.setConfig(resourceName, config);
    return answer(ERROR_CODES.NONE, null);
  } catch (error) {
    const { code, message } = refusalOf(error);
    return answer(code, message);
  }
}
