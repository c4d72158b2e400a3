// Topics as values: a name with its serdes, event time and partitioner beside it, declared once.
// A topic is both a source (of what is read) and a sink (for what may be written).
import { type ErasedSerde, MillraceError, type Serde, serde } from '@millrace/core';
import {
  checkName,
  type Overrides,
  type RecordContext,
  type SinkPartitioner,
  settings,
  type TimestampSource,
  topicExpression,
  topologyError,
  type UserTopic,
} from '@millrace/topology';
import type { Partitioner } from './callbacks.ts';

export interface TopicSource<in out K, out V> {
  readonly kind: 'topic';
  readonly name: string;
  readonly '~reads'?: { readonly key: (key: K) => K; readonly value: V };
}
export interface TopicSink<in K, in V> {
  readonly kind: 'topic';
  readonly name: string;
  readonly '~accepts'?: (key: K, value: V) => void;
}
export interface Topic<in out K, out V, in In = V> extends TopicSource<K, V>, TopicSink<K, In> {
  readonly key: Serde<K>;
  readonly value: Serde<V, In>;
}
export interface TopicOptions<K, V, In> {
  /** `serde.none()` unless given: records without a key. */
  readonly key?: Serde<K>;
  readonly value: Serde<V, In>;
  /** Event time: the record's own (default), arrival, or from the payload (`context.streamTime` is the partition's). */
  readonly timestamp?: 'record' | 'wallClock' | ((value: V, key: K, context: RecordContext) => number);
  /** What to do with an event time below zero: `fail` unless given. */
  readonly onInvalidTimestamp?: 'fail' | 'skip' | 'partitionTime';
  /** One per topic, so that joins and queries can check and use it. */
  readonly partitioner?: Partitioner<K, In>;
  /** For creation only (dev mode, tools). */
  readonly partitions?: number;
  /** For creation only: Kafka topic settings. */
  readonly config?: Overrides;
}

/** What a topic, or a pattern of topics, was declared with, types erased. */
export interface TopicDeclaration {
  /** Of a pattern: the expression as written. */
  readonly name: string;
  /** Set: it stands for every topic whose name it tests true for. */
  readonly pattern: RegExp | undefined;
  readonly key: ErasedSerde;
  readonly value: ErasedSerde;
  readonly timestamp: TimestampSource;
  readonly onInvalidTimestamp: 'fail' | 'skip' | 'partitionTime';
  readonly partitioner: SinkPartitioner | undefined;
  readonly creation: UserTopic;
}

const declarations = new WeakMap<object, TopicDeclaration>();

/**
 * Declares a topic.
 *
 * @example
 * ```ts
 * export const orders = topic('orders', { key: serde.string(), value: serde.json<Order>() });
 * export const lines = topic('lines', { value: serde.string() }); // records without a key
 * ```
 */
export function topic<K = null, V = never, In = V>(name: string, options: TopicOptions<K, V, In>): Topic<K, V, In> {
  checkName(name, 'topic');
  checkValueSerde(`topic('${name}')`, name, options);
  const { partitions } = options;
  if (partitions !== undefined && !(Number.isInteger(partitions) && partitions > 0)) {
    throw new MillraceError('ERR_OPTION', `topic('${name}') has ${partitions} partitions; it takes a whole number from 1.`, {
      topic: name,
      option: 'partitions',
    });
  }
  return declare(name, undefined, options);
}

/**
 * Declares every topic whose name matches, now or later: a source of `t.stream()`, alone or in a list. New topics join, and deleted ones leave, at the
 * next refresh of the metadata (`tuning.metadataRefresh`). Without an anchor the whole name has to match, as in Kafka Streams: `/logs-.+/` does not
 * match `my-logs-a`. With `^` or `$` in it the expression is taken at its word. A topic is read by one source: it is a mistake to read one by name too,
 * or by two patterns. The application's own internal topics and those of the broker never match. Throws ERR_OPTION.
 *
 * @example
 * ```ts
 * const logs = topicPattern(/logs-.+/, { key: serde.string(), value: serde.string() });
 * const errors = topic('errors', { key: serde.string(), value: serde.string() });
 * export default topology('all-errors', (t) => {
 *   t.stream(logs).filter((line) => line.startsWith('ERROR')).to(errors);
 * });
 * ```
 */
export function topicPattern<K = null, V = never, In = V>(pattern: RegExp, options: TopicOptions<K, V, In>): TopicSource<K, V> {
  if (!(pattern instanceof RegExp))
    throw new MillraceError('ERR_OPTION', `topicPattern() was given ${JSON.stringify(pattern)}; it takes a regular expression, for example /logs-.+/.`, {
      option: 'pattern',
    });
  const where = `topicPattern(${pattern})`;
  checkValueSerde(where, pattern.source, options);
  for (const option of ['partitions', 'config'] as const)
    if (options[option] !== undefined)
      throw new MillraceError('ERR_OPTION', `${where} has { ${option} }, which is for the creation of a topic; a pattern creates none. Leave it out.`, {
        option,
      });
  return declare(pattern.source, topicExpression(pattern), options);
}

function checkValueSerde(where: string, topic: string, options: { readonly value?: unknown } | undefined): void {
  if (options?.value === undefined)
    throw new MillraceError('ERR_OPTION', `${where} has no value serde. Add one, for example { value: serde.json() }.`, { topic });
}

function declare<K, V, In>(name: string, pattern: RegExp | undefined, options: TopicOptions<K, V, In>): Topic<K, V, In> {
  // Sound: without `key` K is null (its default), which is what serde.none() holds.
  const key = options.key ?? (serde.none() as unknown as Serde<K>);
  const made: Topic<K, V, In> = Object.freeze({ kind: 'topic', name, key, value: options.value });
  declarations.set(made, {
    name,
    pattern,
    key,
    value: options.value,
    // Sound: the runtime calls it with what this topic's own serdes have read.
    timestamp: (options.timestamp ?? 'record') as TimestampSource,
    onInvalidTimestamp: options.onInvalidTimestamp ?? 'fail',
    // Sound: a sink calls it with what the compiler has let into this topic.
    partitioner: options.partitioner as SinkPartitioner | undefined,
    creation: { name, partitions: options.partitions, config: settings(options.config ?? {}) },
  });
  return made;
}

/** The declaration behind one topic. Throws ERR_TOPOLOGY for what `topic()` did not make, a pattern included. */
export function topicDeclaration(of: { readonly name: string }, where: string): TopicDeclaration {
  const found = sourceDeclaration(of, where);
  if (found.pattern !== undefined)
    throw topologyError(`${where} was given the pattern /${found.name}/, and needs one topic. A pattern is for t.stream() only.`, { topic: found.name });
  return found;
}

/** The declaration behind what a stream may read, a topic or a pattern. Throws ERR_TOPOLOGY for anything else. */
export function sourceDeclaration(of: { readonly name: string }, where: string): TopicDeclaration {
  const found = declarations.get(of);
  if (found === undefined)
    throw new MillraceError('ERR_TOPOLOGY', `${where} was given something that is no topic. Declare it with topic(name, { key, value }).`, {
      topic: String(of?.name),
    });
  return found;
}
