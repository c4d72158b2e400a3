// ListConfigResources 0-1: topics and this broker. Client metrics and groups have no settings here.
// Observable: version 0 asks for client metrics only; a type that is not known gets [35].
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type BrokerFacts, type HandlerEntry, handlerEntry } from '../handler.ts';
import type { Topics } from '../topics/topics.ts';
import { RESOURCE_BROKER, RESOURCE_TOPIC } from './33-alter-configs.ts';

type Api = typeof APIS.listConfigResources;

const BROKER_LOGGER = 8;
const CLIENT_METRICS = 16;
const GROUP = 32;
const EVERY_TYPE = [RESOURCE_TOPIC, RESOURCE_BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];
const TYPES_FROM = 1;

export function listConfigResourcesHandler(topics: Topics, facts: BrokerFacts): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.listConfigResources.key, ({ resourceTypes }, { version }) => {
    const types = version < TYPES_FROM ? [CLIENT_METRICS] : resourceTypes.length === 0 ? EVERY_TYPE : resourceTypes;
    if (!types.every((type) => EVERY_TYPE.includes(type))) return { errorCode: ERROR_CODES.UNSUPPORTED_VERSION, configResources: [] };
    const named = (resourceType: number, names: readonly string[]) =>
      types.includes(resourceType) ? names.map((resourceName) => ({ resourceName, resourceType })) : [];
    return {
      errorCode: ERROR_CODES.NONE,
      configResources: [
        ...named(
          RESOURCE_TOPIC,
          [...topics.all()].map(({ name }) => name),
        ),
        ...named(RESOURCE_BROKER, [String(facts.nodeId)]),
        ...named(BROKER_LOGGER, [String(facts.nodeId)]),
      ],
    };
  });
}
