// The objects behind KStream, KTable and the grouped interfaces: public method names over erased types, each method one line
// into the functions that do the work. Grouped streams are in group-faces.ts.
import type { ErasedSerde } from '@millrace/core';
import type { SinkPartitioner, StoreHandle } from '@millrace/topology';
import type { ErasedJoiner, ErasedMapper, ErasedPredicate, ErasedRowMapper, ErasedRowPredicate } from '../erased.ts';
import { type ErasedAsyncMapper, type ErasedAsyncProcessorSpec, mapValuesWork, mapWork, processWork } from '../operators/async/async-work.ts';
import type { CallOptions } from '../operators/async/call-settings.ts';
import { filterOperator } from '../operators/filter.ts';
import { flatMapOperator } from '../operators/flat-map.ts';
import { flatMapValuesOperator } from '../operators/flat-map-values.ts';
import { mapOperator } from '../operators/map.ts';
import { mapValuesOperator } from '../operators/map-values.ts';
import { peekOperator } from '../operators/peek.ts';
import type { ErasedProcessorSpec } from '../operators/process.ts';
import { selectKeyOperator } from '../operators/select-key.ts';
import { type TableFold, tableCountFold } from '../operators/table-aggregate.ts';
import type { ErasedTransformerSpec } from '../operators/table-transform.ts';
import { topicDeclaration } from '../topic.ts';
import { type AsyncStep, appendAsync } from './async-draft.ts';
import { type ForeignKeyOptionsErased, joinByForeignKey } from './foreign-key-join.ts';
import { givenFunction, givenFunctions } from './given-function.ts';
import type { GlobalNode } from './global-stores.ts';
import { GroupFace } from './group-faces.ts';
import { type Paceable, pacedTable } from './paced-table.ts';
import { processStream } from './process-draft.ts';
import { firstSerde } from './serde-hints.ts';
import { type ErasedTopicChooser, sinkToChosen } from './sink-choice.ts';
import { type SplitOptionsErased, splitStream } from './split-draft.ts';
import { type GlobalJoinOptionsErased, joinWithGlobal } from './stream-global-join.ts';
import type { ErasedOptions, StreamNode, TableNode } from './stream-node.ts';
import { appendOperator, mergeStreams, repartitionStream, type Step, sinkStream } from './stream-operators.ts';
import { checkJoinOptions, joinStreams, type StreamJoinKind } from './stream-stream-join.ts';
import { type JoinOptionsErased, joinWithTable } from './stream-table-join.ts';
import { type SuppressOptionsErased, suppressTable } from './suppress-draft.ts';
import { foldTableGroup, groupTable, type TableGroup } from './table-group.ts';
import { filterTable, mapTable, tableToStream, transformTable } from './table-operators.ts';
import { type TableSourceOptionsErased, tableFromStream } from './table-sources.ts';
import { joinTables } from './table-table-join.ts';
import { sameTopology } from './typed.ts';

type TableOptionsErased = Paceable<TableSourceOptionsErased>;
type GroupOptionsErased = ErasedOptions & { readonly partitions?: number };

export class StreamFace {
  readonly kind = 'stream';
  readonly node: StreamNode;
  constructor(node: StreamNode) {
    this.node = node;
  }

  filter(predicate: ErasedPredicate, options: ErasedOptions = {}): StreamFace {
    return this.#append(
      {
        prefix: 'KSTREAM-FILTER-',
        effect: 'keepsAll',
        create: filterOperator(givenFunction(predicate, 'filter(): the predicate'), true),
        ...serdesOf(this.node),
      },
      options,
    );
  }
  filterNot(predicate: ErasedPredicate, options: ErasedOptions = {}): StreamFace {
    return this.#append(
      {
        prefix: 'KSTREAM-FILTER-',
        effect: 'keepsAll',
        create: filterOperator(givenFunction(predicate, 'filterNot(): the predicate'), false),
        ...serdesOf(this.node),
      },
      options,
    );
  }
  map(mapper: ErasedMapper, options: ErasedOptions = {}): StreamFace {
    return this.#append(
      { prefix: 'KSTREAM-MAP-', effect: 'changesKey', create: mapOperator(givenFunction(mapper, 'map(): the mapper')), key: options.key, value: options.value },
      options,
    );
  }
  mapValues(mapper: ErasedMapper, options: ErasedOptions = {}): StreamFace {
    return this.#append(
      {
        prefix: 'KSTREAM-MAPVALUES-',
        effect: 'changesValue',
        create: mapValuesOperator(givenFunction(mapper, 'mapValues(): the mapper')),
        key: this.node.key,
        value: options.value,
      },
      options,
    );
  }
  flatMap(mapper: ErasedMapper, options: ErasedOptions = {}): StreamFace {
    return this.#append(
      {
        prefix: 'KSTREAM-FLATMAP-',
        effect: 'changesKey',
        create: flatMapOperator(givenFunction(mapper, 'flatMap(): the mapper')),
        key: options.key,
        value: options.value,
      },
      options,
    );
  }
  flatMapValues(mapper: ErasedMapper, options: ErasedOptions = {}): StreamFace {
    return this.#append(
      {
        prefix: 'KSTREAM-FLATMAPVALUES-',
        effect: 'changesValue',
        create: flatMapValuesOperator(givenFunction(mapper, 'flatMapValues(): the mapper')),
        key: this.node.key,
        value: options.value,
      },
      options,
    );
  }
  selectKey(selector: ErasedMapper, options: ErasedOptions = {}): StreamFace {
    return this.#append(
      {
        prefix: 'KSTREAM-KEY-SELECT-',
        effect: 'changesKey',
        create: selectKeyOperator(givenFunction(selector, 'selectKey() and groupBy(): the selector')),
        key: options.key,
        value: this.node.value,
      },
      options,
    );
  }
  peek(action: ErasedMapper, options: ErasedOptions = {}): StreamFace {
    return this.#append(
      { prefix: 'KSTREAM-PEEK-', effect: 'keepsAll', create: peekOperator(givenFunction(action, 'peek(): the action')), ...serdesOf(this.node) },
      options,
    );
  }
  forEach(action: ErasedMapper, options: ErasedOptions = {}): void {
    this.#append(
      { prefix: 'KSTREAM-FOREACH-', effect: 'keepsAll', create: peekOperator(givenFunction(action, 'forEach(): the action')), ...serdesOf(this.node) },
      options,
    );
  }
  merge(other: object, options: ErasedOptions = {}): StreamFace {
    return new StreamFace(mergeStreams(this.node, sameTopology(other, StreamFace, this.node.draft, 'merge()').node, options));
  }
  split(predicates: Readonly<Record<string, ErasedPredicate>>, options: SplitOptionsErased = {}): Readonly<Record<string, StreamFace>> {
    const split = splitStream(this.node, predicates, options);
    const faces = Object.fromEntries([...split.branches].map(([branch, node]) => [branch, new StreamFace(node)]));
    return Object.defineProperty(faces, 'rest', { enumerable: true, get: () => new StreamFace(split.rest()) });
  }
  repartition(options: GroupOptionsErased & { readonly partitioner?: SinkPartitioner } = {}): StreamFace {
    return new StreamFace(repartitionStream(this.node, options));
  }
  groupByKey(options: GroupOptionsErased = {}): GroupFace<TableFace> {
    const { as, partitions } = options;
    return new GroupFace((node) => new TableFace(node), {
      stream: this.node,
      as,
      key: firstSerde(options.key, this.node.key),
      value: firstSerde(options.value, this.node.value),
      partitions,
      shared: { repartition: undefined },
    });
  }
  groupBy(selector: ErasedMapper, options: GroupOptionsErased = {}): GroupFace<TableFace> {
    return this.selectKey(selector, options).groupByKey(options);
  }
  toTable(options: TableOptionsErased = {}): TableFace {
    return tableFace(options, (immediate) => tableFromStream(this.node, immediate));
  }
  join(other: object, joiner: ErasedJoiner, options: object = {}): StreamFace {
    return this.#join(other, joiner, 'inner', options);
  }
  leftJoin(other: object, joiner: ErasedJoiner, options: object = {}): StreamFace {
    return this.#join(other, joiner, 'left', options);
  }
  outerJoin(other: object, joiner: ErasedJoiner, options?: object): StreamFace {
    return this.#joinStream(other, joiner, 'outer', options);
  }
  mapAsync(mapper: ErasedAsyncMapper, options: ErasedOptions & CallOptions): StreamFace {
    return this.#async({ prefix: 'KSTREAM-MAPASYNC-', keys: 'free', stores: [], create: mapWork(givenFunction(mapper, 'mapAsync(): the mapper')) }, options);
  }
  mapValuesAsync(mapper: ErasedAsyncMapper, options: ErasedOptions & CallOptions): StreamFace {
    return this.#async(
      { prefix: 'KSTREAM-MAPVALUESASYNC-', keys: 'fixed', stores: [], create: mapValuesWork(givenFunction(mapper, 'mapValuesAsync(): the mapper')) },
      options,
    );
  }
  processAsync(spec: ErasedAsyncProcessorSpec & { readonly stores?: readonly StoreHandle[] }, options: ErasedOptions & CallOptions): StreamFace {
    const { stores = [] } = givenFunctions(spec, ['read', 'call', 'apply'], 'processAsync()');
    return this.#async({ prefix: 'KSTREAM-PROCESSASYNC-', keys: 'free', stores, create: processWork(spec) }, options);
  }
  process(spec: ErasedProcessorSpec, options: ErasedOptions = {}): StreamFace {
    return new StreamFace(processStream(this.node, givenFunctions(spec, ['create'], 'process()'), 'free', options));
  }
  processValues(spec: ErasedProcessorSpec, options: ErasedOptions = {}): StreamFace {
    return new StreamFace(processStream(this.node, givenFunctions(spec, ['create'], 'processValues()'), 'fixed', options));
  }
  to(sink: { readonly name: string } | ErasedTopicChooser, options: ErasedOptions & { readonly topics?: readonly { readonly name: string }[] } = {}): void {
    if (typeof sink === 'function') sinkToChosen(this.node, sink as ErasedTopicChooser, options);
    else sinkStream(this.node, topicDeclaration(sink, 'to()'), options);
  }

  /** A table is looked up; a stream is met within a window. */
  #join(other: object, joiner: ErasedJoiner, kind: 'inner' | 'left', options: object): StreamFace {
    givenFunction(joiner, 'a join: the joiner');
    if (other instanceof GlobalFace) {
      const { node } = sameTopology(other, GlobalFace, this.node.draft, 'a join');
      return new StreamFace(joinWithGlobal(this.node, node, joiner, kind, options as GlobalJoinOptionsErased));
    }
    if (!(other instanceof TableFace)) return this.#joinStream(other, joiner, kind, options);
    const table = sameTopology(other, TableFace, this.node.draft, 'a join');
    return new StreamFace(joinWithTable(this.node, table.node, joiner, kind, options as JoinOptionsErased));
  }
  #joinStream(other: object, joiner: ErasedJoiner, kind: StreamJoinKind, options: object | undefined): StreamFace {
    givenFunction(joiner, 'a join: the joiner');
    const { node } = sameTopology(other, StreamFace, this.node.draft, 'a join');
    checkJoinOptions(options, 'A join');
    return new StreamFace(joinStreams(this.node, node, joiner, kind, options));
  }
  #async(step: AsyncStep, options: ErasedOptions & CallOptions): StreamFace {
    return new StreamFace(appendAsync(this.node, step, options));
  }
  #append(step: Step, options: ErasedOptions): StreamFace {
    return new StreamFace(appendOperator(this.node, step, options));
  }
}

/** A target of joins and lookups, without operators of its own. */
export class GlobalFace {
  readonly kind = 'globalTable';
  readonly node: GlobalNode;
  constructor(node: GlobalNode) {
    this.node = node;
  }
}

export class TableFace {
  readonly kind = 'table';
  readonly node: TableNode;
  constructor(node: TableNode) {
    this.node = node;
  }

  filter(predicate: ErasedRowPredicate, options: TableOptionsErased = {}): TableFace {
    return tableFace(options, (immediate) => filterTable(this.node, givenFunction(predicate, 'filter(): the predicate'), true, immediate));
  }
  filterNot(predicate: ErasedRowPredicate, options: TableOptionsErased = {}): TableFace {
    return tableFace(options, (immediate) => filterTable(this.node, givenFunction(predicate, 'filterNot(): the predicate'), false, immediate));
  }
  mapValues(mapper: ErasedRowMapper, options: TableOptionsErased = {}): TableFace {
    return tableFace(options, (immediate) => mapTable(this.node, givenFunction(mapper, 'mapValues(): the mapper'), immediate));
  }
  transformValues(spec: ErasedTransformerSpec, options: TableOptionsErased = {}): TableFace {
    return tableFace(options, (immediate) => transformTable(this.node, givenFunctions(spec, ['create'], 'transformValues()'), immediate));
  }
  groupBy(selector: ErasedRowMapper, options: GroupOptionsErased = {}): TableGroupFace {
    return new TableGroupFace(groupTable(this.node, givenFunction(selector, 'groupBy(): the selector'), options));
  }
  join(other: object, joiner: ErasedJoiner, options: TableOptionsErased = {}): TableFace {
    const { node } = sameTopology(other, TableFace, this.node.draft, 'join()');
    return tableFace(options, (immediate) => joinTables(this.node, node, givenFunction(joiner, 'a join: the joiner'), 'inner', immediate));
  }
  leftJoin(other: object, joiner: ErasedJoiner, options: TableOptionsErased = {}): TableFace {
    const { node } = sameTopology(other, TableFace, this.node.draft, 'leftJoin()');
    return tableFace(options, (immediate) => joinTables(this.node, node, givenFunction(joiner, 'a join: the joiner'), 'left', immediate));
  }
  outerJoin(other: object, joiner: ErasedJoiner, options: TableOptionsErased = {}): TableFace {
    const { node } = sameTopology(other, TableFace, this.node.draft, 'outerJoin()');
    return tableFace(options, (immediate) => joinTables(this.node, node, givenFunction(joiner, 'a join: the joiner'), 'outer', immediate));
  }
  foreignKeyJoin(other: object, joiner: ErasedJoiner, options: Paceable<ForeignKeyOptionsErased>): TableFace {
    const { node } = sameTopology(other, TableFace, this.node.draft, 'foreignKeyJoin()');
    givenFunctions(options, ['on'], 'foreignKeyJoin()');
    return tableFace(options, (immediate) => joinByForeignKey(this.node, node, givenFunction(joiner, 'a join: the joiner'), 'inner', immediate));
  }
  leftForeignKeyJoin(other: object, joiner: ErasedJoiner, options: Paceable<ForeignKeyOptionsErased>): TableFace {
    const { node } = sameTopology(other, TableFace, this.node.draft, 'leftForeignKeyJoin()');
    givenFunctions(options, ['on'], 'leftForeignKeyJoin()');
    return tableFace(options, (immediate) => joinByForeignKey(this.node, node, givenFunction(joiner, 'a join: the joiner'), 'left', immediate));
  }
  suppress(options: SuppressOptionsErased): TableFace {
    return new TableFace(suppressTable(this.node, options));
  }
  toStream(options: ErasedOptions = {}): StreamFace {
    return new StreamFace(tableToStream(this.node, options));
  }
}

export class TableGroupFace {
  readonly group: TableGroup;
  constructor(group: TableGroup) {
    this.group = group;
  }

  count(options: TableOptionsErased = {}): TableFace {
    return tableFace(options, (immediate) => foldTableGroup(this.group, { fold: tableCountFold, kind: 'count', options: immediate }));
  }
  reduce(spec: TableOptionsErased & Pick<TableFold, 'add' | 'subtract'>): TableFace {
    const { add, subtract } = givenFunctions(spec, ['add', 'subtract'], 'reduce() of a grouped table');
    return tableFace(spec, (immediate) => foldTableGroup(this.group, { fold: { initial: undefined, add, subtract }, kind: 'reduce', options: immediate }));
  }
  aggregate(spec: TableOptionsErased & TableFold): TableFace {
    const { initial, add, subtract } = givenFunctions(spec, ['initial', 'add', 'subtract'], 'aggregate() of a grouped table');
    return tableFace(spec, (immediate) => foldTableGroup(this.group, { fold: { initial, add, subtract }, kind: 'aggregate', options: immediate }));
  }
}

function tableFace<O extends TableSourceOptionsErased>(options: Paceable<O>, make: (immediate: O) => TableNode): TableFace {
  return new TableFace(pacedTable(options, make));
}

function serdesOf(node: StreamNode): { readonly key: ErasedSerde | undefined; readonly value: ErasedSerde | undefined } {
  return { key: node.key, value: node.value };
}
