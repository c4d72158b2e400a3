// Topic settings as DescribeConfigs and CreateTopics show them: each one with its value and where that comes from.
// Owns: nothing.  Never: changes a setting.
import { CONFIG_TYPE_CODES, type ConfigSpec, TOPIC_CONFIGS } from './topic-config.ts';

/** Kafka's numbers for the origin of a value. */
export const CONFIG_SOURCE = { topic: 1, staticBroker: 4, default: 5 } as const;

export interface DescribedConfig {
  readonly name: string;
  readonly value: string;
  readonly source: number;
  readonly type: number;
  readonly doc: string;
  readonly synonyms: readonly { readonly name: string; readonly value: string; readonly source: number }[];
}

export function describeTopicConfig(set: Readonly<Record<string, string>>): DescribedConfig[] {
  return [...TOPIC_CONFIGS.values()].map((spec) => describeOne(spec, set[spec.name]));
}

function describeOne(spec: ConfigSpec, set: string | undefined): DescribedConfig {
  const synonyms = [];
  if (set !== undefined) synonyms.push({ name: spec.name, value: set, source: CONFIG_SOURCE.topic });
  if (spec.brokerName !== undefined) synonyms.push({ name: spec.brokerName, value: spec.default, source: CONFIG_SOURCE.default });
  return {
    name: spec.name,
    value: set ?? spec.default,
    source: set === undefined ? CONFIG_SOURCE.default : CONFIG_SOURCE.topic,
    type: CONFIG_TYPE_CODES[spec.type],
    doc: spec.doc,
    synonyms,
  };
}
