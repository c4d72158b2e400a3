// IncrementalAlterConfigs: sets, unsets, appends to and takes from single topic settings. Serves versions 0-1.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import { TOPIC_CONFIGS } from '../topics/topic-config.ts';
import { TopicRefusal, type Topics } from '../topics/topics.ts';
import { alterOne } from './33-alter-configs.ts';

type Request = RequestBody<typeof APIS.incrementalAlterConfigs>;
type Response = ResponseInput<typeof APIS.incrementalAlterConfigs>;
type Change = Request['resources'][number]['configs'][number];

const SET = 0;
const DELETE = 1;
const APPEND = 2;
const SUBTRACT = 3;

export function incrementalAlterConfigsHandler(topics: Topics) {
  const handler: Handler<Request, Response> = (request) => ({
    responses: request.resources.map(({ resourceType, resourceName, configs }) =>
      alterOne(topics, resourceType, resourceName, request.validateOnly, (set) => {
        const next: Record<string, string> = { ...set };
        if (new Set(configs.map(({ name }) => name)).size < configs.length)
          throw new TopicRefusal(ERROR_CODES.INVALID_REQUEST, 'A config is named twice for one resource.');
        for (const change of configs) applyChange(next, change);
        return next;
      }),
    ),
  });
  return handlerEntry(APIS.incrementalAlterConfigs.key, handler);
}

function applyChange(next: Record<string, string>, { name, configOperation, value }: Change): void {
  if (configOperation === DELETE) {
    delete next[name];
    return;
  }
  if (value === null) throw new TopicRefusal(ERROR_CODES.INVALID_REQUEST, `Null value not supported for topic config: ${name}`);
  if (configOperation === SET) {
    next[name] = value;
    return;
  }
  const spec = TOPIC_CONFIGS.get(name);
  if ((configOperation !== APPEND && configOperation !== SUBTRACT) || spec?.type !== 'list')
    throw new TopicRefusal(ERROR_CODES.INVALID_CONFIG, `Operation ${configOperation} is not possible on config ${name}`);
  const parts = (next[name] ?? spec.default).split(',').filter((part) => part !== '');
  const given = value.split(',');
  next[name] = (configOperation === APPEND ? [...parts, ...given.filter((part) => !parts.includes(part))] : parts.filter((part) => !given.includes(part))).join(
    ',',
  );
}
