// DescribeConfigs of topics and of this broker. Serves versions 1-4.
import { isLegalName } from '@millrace/core';
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type BrokerFacts, type Handler, handlerEntry } from '../handler.ts';
import { CONFIG_SOURCE, type DescribedConfig, describeTopicConfig } from '../topics/describe-config.ts';
import { CONFIG_TYPE_CODES } from '../topics/topic-config.ts';
import type { Topics } from '../topics/topics.ts';
import { RESOURCE_BROKER, RESOURCE_TOPIC } from './33-alter-configs.ts';

type Request = RequestBody<typeof APIS.describeConfigs>;
type Response = ResponseInput<typeof APIS.describeConfigs>;
type Answer = NonNullable<Response['results']>[number];

export interface DescribeConfigsParts {
  readonly topics: Topics;
  readonly facts: BrokerFacts;
  /** Settings of this broker by Kafka's names. */
  readonly brokerConfig: Readonly<Record<string, string>>;
}

export function describeConfigsHandler(parts: DescribeConfigsParts) {
  const handler: Handler<Request, Response> = (request) => ({
    results: request.resources.map(({ resourceType, resourceName, configurationKeys }): Answer => {
      const found = lookUp(parts, resourceType, resourceName);
      if (typeof found === 'string') return { errorCode: errorFor(resourceType, resourceName), errorMessage: found, resourceType, resourceName, configs: [] };
      const wanted = configurationKeys === null || configurationKeys.length === 0 ? found : found.filter(({ name }) => configurationKeys.includes(name));
      return {
        errorCode: ERROR_CODES.NONE,
        errorMessage: null,
        resourceType,
        resourceName,
        configs: wanted.map(({ name, value, source, type, doc, synonyms }) => ({
          name,
          value,
          readOnly: resourceType === RESOURCE_BROKER,
          configSource: source,
          isSensitive: false,
          synonyms: request.includeSynonyms ? synonyms : [],
          configType: type,
          documentation: request.includeDocumentation ? doc : null,
        })),
      };
    }),
  });
  return handlerEntry(APIS.describeConfigs.key, handler);
}

function lookUp({ topics, facts, brokerConfig }: DescribeConfigsParts, type: number, name: string): readonly DescribedConfig[] | string {
  if (type === RESOURCE_TOPIC) {
    const topic = topics.get(name);
    return topic === undefined ? `Topic '${name}' does not exist.` : describeTopicConfig(topic.setConfig);
  }
  if (type !== RESOURCE_BROKER) return `Resource type ${type} is not known here.`;
  if (name !== '' && name !== String(facts.nodeId)) return `This is broker ${facts.nodeId}, not ${name}.`;
  return Object.entries(brokerConfig).map(([key, value]) => ({
    name: key,
    value,
    source: CONFIG_SOURCE.staticBroker,
    type: CONFIG_TYPE_CODES.string,
    doc: 'Given when the broker started.',
    synonyms: [],
  }));
}

function errorFor(resourceType: number, name: string): number {
  if (resourceType !== RESOURCE_TOPIC) return ERROR_CODES.INVALID_REQUEST;
  return isLegalName(name) ? ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION : ERROR_CODES.INVALID_TOPIC_EXCEPTION;
}
