// How a source reads its topics: serdes, event time, start. Several topics in one source are read each by its own declaration.
import { type Duration, durationMs, type ErasedSerde, MillraceError, type Serde, type SerdeInfo } from '@millrace/core';
import { type SourceNode, topologyError } from '@millrace/topology';
import type { SourceOptions } from '../operator-options.ts';
import type { SourceReading } from '../plan/nodes.ts';
import type { TopicDeclaration } from '../topic.ts';

export function sourceReading(topics: readonly TopicDeclaration[], options: SourceOptions): SourceReading {
  const [first] = topics;
  if (first === undefined) throw topologyError('t.stream() was given an empty list. Name at least one topic.');
  const names = new Set(topics.map(({ name, pattern }) => (pattern === undefined ? name : String(pattern))));
  if (names.size < topics.length) throw topologyError(`t.stream() was given one topic twice: ${topics.map((topic) => topic.name).join(', ')}.`);
  for (const topic of topics) {
    if (topic.timestamp !== first.timestamp || topic.onInvalidTimestamp !== first.onInvalidTimestamp) {
      throw topologyError(
        `Topics "${first.name}" and "${topic.name}" take event time in different ways and cannot share a source. Read each with t.stream() and merge() the two.`,
        { topic: topic.name },
      );
    }
  }
  return {
    topics,
    key: eachByItsOwn(
      topics,
      topics.map((topic) => topic.key),
    ),
    value: eachByItsOwn(
      topics,
      topics.map((topic) => topic.value),
    ),
    timestamp: first.timestamp,
    onInvalidTimestamp: first.onInvalidTimestamp,
    startFrom: startFrom(options.startFrom),
    ...(options.idleAfter === undefined ? {} : { idleAfterMs: idleAfter(options.idleAfter) }),
    onError: options.onError,
  };
}

function idleAfter(option: Duration): number {
  const idleAfterMs = durationMs(option, 'idleAfter');
  if (idleAfterMs > 0) return idleAfterMs;
  throw new MillraceError('ERR_OPTION', "idleAfter is 0; it must be at least 1 ms. '1 minute' is a good begin; leave it out to let time stand still.", {
    option: 'idleAfter',
  });
}

function startFrom(option: SourceOptions['startFrom']): SourceNode['startFrom'] {
  if (option === undefined) return 'earliest';
  if (typeof option === 'object') return { agoMs: durationMs(option.ago, 'startFrom.ago') };
  if (option === 'earliest' || option === 'latest' || option === 'fail') return option;
  throw new MillraceError('ERR_OPTION', `startFrom is ${JSON.stringify(option)}; it takes 'earliest', 'latest', 'fail' or { ago: '1 hour' }.`, {
    option: 'startFrom',
  });
}

/** The serde that all topics share, for operators below that write bytes; undefined if they differ. */
export function sharedSerde(serdes: readonly ErasedSerde[]): ErasedSerde | undefined {
  return serdes.every((serde) => serde === serdes[0]) ? serdes[0] : undefined;
}

/** One serde if all topics share it, else one that asks for the topic. */
function eachByItsOwn(topics: readonly TopicDeclaration[], serdes: readonly ErasedSerde[]): ErasedSerde {
  const [first] = serdes as [ErasedSerde];
  if (serdes.every((serde) => serde === first)) return first;
  const byTopic = new Map(topics.map(({ name }, at) => [name, serdes[at] as ErasedSerde]));
  // Those that a pattern has brought are looked up once each.
  const serdeOf = (topic: string): ErasedSerde => {
    const known = byTopic.get(topic);
    if (known !== undefined) return known;
    const found = serdes[topics.findIndex(({ pattern }) => pattern?.test(topic) === true)] ?? first;
    byTopic.set(topic, found);
    return found;
  };
  // Sound: a source only reads, and each topic's records are read by that topic's own serde.
  const reading: Serde<unknown> = {
    format: [...new Set(serdes.map((serde) => serde.format))].join('|'),
    serialize() {
      throw topologyError(
        `values of several topics (${topics.map(({ name }) => name).join(', ')}) have no common serde to be written with; give the operator one`,
      );
    },
    deserialize: (bytes: Uint8Array, info: SerdeInfo) => serdeOf(info.topic).deserialize(bytes, info),
    ...(serdes.every((serde) => serde['~null'] === true) ? { '~null': true as const } : {}),
  };
  return reading;
}
