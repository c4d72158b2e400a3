// The entry of the DSL: `topology(name, build)` runs the user's build function once and returns what runs.
import { type ErasedSerde, isLegalName, MillraceError, type Serde, serde } from '@millrace/core';
import { type Topology, topologyError } from '@millrace/topology';
import { compile } from './compile.ts';
import { GlobalFace, StreamFace, TableFace } from './draft/faces.ts';
import { globalStore, globalTable, sourceStore } from './draft/global-stores.ts';
import { type Paceable, pacedTable } from './draft/paced-table.ts';
import { PlanDraft } from './draft/plan-draft.ts';
import { withNull } from './draft/serde-hints.ts';
import { sharedSerde, sourceReading } from './draft/source-reading.ts';
import { streamNode } from './draft/stream-node.ts';
import { type TableSourceOptionsErased, tableFromTopic } from './draft/table-sources.ts';
import { typed } from './draft/typed.ts';
import type { GlobalTable } from './global-table.ts';
import type { KStream } from './kstream.ts';
import type { KTable } from './ktable.ts';
import type { GlobalStoreOptions, GlobalTableOptions, SourceOptions, TableSourceOptions } from './operator-options.ts';
import { ALL_OPTIMIZATIONS, KNOWN_OPTIMIZATIONS, type Optimization } from './optimizations.ts';
import type { ProcessorSpec, StreamRecord } from './processor.ts';
import { placingErrors } from './script-place.ts';
import { sourceDeclaration, type TopicSource, topicDeclaration } from './topic.ts';

/** What the build function gets. */
export interface TopologyBuilder {
  /** Reads one topic, or several as one stream; a `topicPattern` stands for all that match. */
  stream<K, V>(source: TopicSource<K, V> | readonly TopicSource<K, V>[], options?: SourceOptions): KStream<K, V>;
  /** Reads a topic as a table: the latest value per key, null deletes. */
  table<K, V>(source: TopicSource<K, V | null>, options?: TableSourceOptions<K, V>): KTable<K, V>;
  /** Reads all partitions of a topic as a table on every instance: for joins by any key, and lookups. Read to its end before the first record. */
  globalTable<K, V>(source: TopicSource<K, V | null>, options?: GlobalTableOptions<K, V>): GlobalTable<K, V>;
  /** A store on every instance that only this processor writes, from all partitions of a topic; every other processor may read it. It forwards nothing and has no timers. */
  globalStore<K, V>(source: TopicSource<K, V>, processor: ProcessorSpec<K, V, never, never>, options?: GlobalStoreOptions): void;
  /**
   * A store of each task, written by this processor alone from the task's partition, and read by processors that connect it. It has no changelog: the
   * topic is its changelog, so the processor must put what the topic holds, under the same key. The topic should be compacted.
   */
  sourceStore<K, V>(source: TopicSource<K, V>, processor: ProcessorSpec<K, V, never, never>, options?: GlobalStoreOptions): void;
}

export interface TopologyOptions {
  /**
   * True (default): all optimizations but `mergeRepartitionsAsKafkaStreams`. False: none, which is the default of a Java application that is taken
   * over; one that runs with `topology.optimization=all` has all but `mergeRepartitions` in its list.
   */
  readonly optimize?: boolean | readonly Optimization[];
  /** `explicit`: a store or repartition topic with a generated name is a build error that lists them all. `generated` unless given. */
  readonly naming?: 'generated' | 'explicit';
  /** Serdes of internal topics and stores where no operator knows better: `serde.json()` unless given. */
  readonly defaults?: { readonly key?: Serde<unknown, never>; readonly value?: Serde<unknown, never> };
  /**
   * Sees every record at every operator, in the task's thread, before the operator does; a table's change as its new row, `null` for a delete. For
   * tracing and audits; it slows every record down. What it throws is a failure of that operator.
   */
  readonly onRecord?: (node: string, record: StreamRecord<unknown, unknown>) => void;
}

/**
 * Describes a program. Runs `build` at once; mistakes in the graph throw here, with a code and a place.
 *
 * @example
 * ```ts
 * export default topology('word-count', (t) => {
 *   t.stream(lines)
 *     .flatMapValues((line) => line.toLowerCase().split(' '))
 *     .groupBy((word) => word)
 *     .count({ store: counts })
 *     .toStream()
 *     .to(wordCounts);
 * });
 * ```
 */
export function topology(name: string, build: (t: TopologyBuilder) => void, options: TopologyOptions = {}): Topology {
  return placingErrors(() => buildTopology(name, build, options));
}

function buildTopology(name: string, build: (t: TopologyBuilder) => void, options: TopologyOptions): Topology {
  if (!isLegalName(name))
    throw new MillraceError('ERR_NAME', `The topology name ${JSON.stringify(name)} is not legal. Use 1 to 249 letters, digits, ".", "_" and "-".`, {
      topology: name,
    });
  // Sound: a default is used only where nothing is known of the type, and says at run time what it cannot write.
  const json = serde.json<string>() as ErasedSerde;
  const { key = json, value = json } = options.defaults ?? {};
  const draft = new PlanDraft({ key: withNull(key), value: withNull(value) });
  const result: unknown = build(createStreamBuilder(draft));
  if (result instanceof Promise)
    throw topologyError(`The build function of topology "${name}" is asynchronous. Await what it needs before, and build in one go.`, { topology: name });
  const { optimize = true, naming = 'generated', onRecord } = options;
  if (naming !== 'generated' && naming !== 'explicit') throw unknownWord('naming', naming, "'generated' or 'explicit'");
  const optimizations = chosen(optimize);
  try {
    return compile(name, draft.freeze(), { optimizations, naming, watch: onRecord });
  } catch (error) {
    throw MillraceError.is(error) ? draft.places.blame(error) : error;
  }
}

function chosen(optimize: boolean | readonly Optimization[]): ReadonlySet<Optimization> {
  const unknown = typeof optimize === 'boolean' ? undefined : optimize.find((each) => !KNOWN_OPTIMIZATIONS.includes(each));
  if (unknown !== undefined) throw unknownWord('optimize', unknown, `true, false or a list of ${KNOWN_OPTIMIZATIONS.join(', ')}`);
  return new Set(optimize === true ? ALL_OPTIMIZATIONS : optimize === false ? [] : optimize);
}

function unknownWord(option: string, given: unknown, wanted: string): MillraceError {
  return new MillraceError('ERR_OPTION', `${option} has ${JSON.stringify(given)}; it takes ${wanted}.`, { option });
}

function createStreamBuilder(draft: PlanDraft): TopologyBuilder {
  return {
    stream<K, V>(source: TopicSource<K, V> | readonly TopicSource<K, V>[], options: SourceOptions = {}): KStream<K, V> {
      const topics = (isList(source) ? source : [source]).map((each) => sourceDeclaration(each, 't.stream()'));
      const reading = sourceReading(topics, options);
      const name = draft.names.node(options.as, 'KSTREAM-SOURCE-');
      const node = draft.add({ kind: 'source', name, parents: [], reading });
      const key = sharedSerde(topics.map((topic) => topic.key));
      const value = sharedSerde(topics.map((topic) => topic.value));
      return typed(new StreamFace(streamNode({ draft, node, name, key, value, sources: [node], keyChanged: false })));
    },
    table<K, V>(source: TopicSource<K, V | null>, options: TableSourceOptions<K, V> = {}): KTable<K, V> {
      const reading = sourceReading([topicDeclaration(source, 't.table()')], options);
      // Sound: the store handle's types were matched with the topic's by the signature.
      return typed(new TableFace(pacedTable(options as Paceable<TableSourceOptionsErased>, (immediate) => tableFromTopic(draft, reading, immediate))));
    },
    globalTable<K, V>(source: TopicSource<K, V | null>, options: GlobalTableOptions<K, V> = {}): GlobalTable<K, V> {
      const reading = sourceReading([topicDeclaration(source, 't.globalTable()')], options);
      // Sound: as for table().
      return typed(new GlobalFace(globalTable(draft, reading, options as TableSourceOptionsErased)));
    },
    globalStore<K, V>(source: TopicSource<K, V>, processor: ProcessorSpec<K, V, never, never>, options: GlobalStoreOptions = {}): void {
      globalStore(draft, sourceReading([topicDeclaration(source, 't.globalStore()')], options), processor, options);
    },
    sourceStore<K, V>(source: TopicSource<K, V>, processor: ProcessorSpec<K, V, never, never>, options: GlobalStoreOptions = {}): void {
      sourceStore(draft, sourceReading([topicDeclaration(source, 't.sourceStore()')], options), processor, options);
    },
  };
}

function isList<T>(source: T | readonly T[]): source is readonly T[] {
  return Array.isArray(source);
}
