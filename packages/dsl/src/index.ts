// The public names of @millrace/dsl.

// What users of the DSL meet of the layer below.
export {
  type DeadLetter,
  deadLetter,
  type ErrorDecision,
  type ErrorPolicy,
  type Failure,
  type KeyValueHandle,
  type KeyValueOptions,
  type Overrides,
  type Punctuation,
  type RecordContext,
  type SessionHandle,
  type SessionStoreOptions,
  type SourcePosition,
  type StoreHandle,
  type StoreKind,
  type StoreOptions,
  store,
  type Topology,
  type TypedHandle,
  type VersionedHandle,
  type VersionedOptions,
  type WindowHandle,
  type WindowStoreOptions,
} from '@millrace/topology';
export type { AsyncContext, AsyncMapper, AsyncOptions, AsyncProcessorSpec } from './async.ts';
export type { Branches, Guarded } from './branches.ts';
export type { Adder, AsyncNotAllowed, Fold, Joiner, KeyValue, Mapper, Nothing, NotPromise, Partitioner, Predicate, Present } from './callbacks.ts';
export type {
  CogroupedKStream,
  CogroupFold,
  CogroupSessionSpec,
  CogroupWindowOptions,
  SessionWindowedCogroupedKStream,
  TimeWindowedCogroupedKStream,
} from './cogrouped.ts';
export type { GlobalTable } from './global-table.ts';
export type {
  AggregateSpec,
  KGroupedStream,
  SessionAggregateSpec,
  SessionTombstone,
  SessionWindowedKStream,
  TimeWindowedKStream,
  WindowAggregateSpec,
  WindowedByOptions,
} from './grouped.ts';
export type { KGroupedTable, TableAggregateSpec, TableReduceSpec } from './grouped-table.ts';
export type { JoinWindow } from './join-window.ts';
export type { KStream } from './kstream.ts';
export type { KTable } from './ktable.ts';
export type {
  ChoosingSinkOptions,
  Emit,
  ForeignKeyJoinOptions,
  GlobalJoinOptions,
  GlobalStoreOptions,
  GlobalTableOptions,
  GroupOptions,
  KeyedOptions,
  KeyOptions,
  OperatorOptions,
  RepartitionOptions,
  SessionTableOptions,
  SinkOptions,
  SourceOptions,
  SplitOptions,
  StreamJoinOptions,
  StreamJoinSettings,
  StreamTableJoinOptions,
  TableOptions,
  TableSourceOptions,
  UnnamedStoreOptions,
  UnnamedWindowStoreOptions,
  ValueOptions,
  WindowEmit,
  WindowTableOptions,
} from './operator-options.ts';
export { DataRecord } from './operators/stream-record.ts';
export type { Optimization } from './optimizations.ts';
export type {
  FixedKeyProcessor,
  FixedKeyProcessorContext,
  FixedKeyProcessorSpec,
  FixedKeyRecord,
  ForwardOptions,
  Processor,
  ProcessorContext,
  ProcessorSpec,
  ReadOnlyKeyValueStore,
  StoreAccess,
  StreamRecord,
  TaskContext,
  ValueTransformerSpec,
} from './processor.ts';
export { type TopologyBuilder, type TopologyOptions, topology } from './stream-builder.ts';
export type { SuppressBufferOptions, SuppressUntilTime, SuppressUntilWindowClose } from './suppress-options.ts';
export { type Topic, type TopicDeclaration, type TopicOptions, type TopicSink, type TopicSource, topic, topicDeclaration, topicPattern } from './topic.ts';
export {
  type CustomOptions,
  type HoppingOptions,
  type SessionOptions,
  type SessionWindows,
  type SlidingOptions,
  type TimeWindows,
  type TumblingOptions,
  type UnlimitedOptions,
  windows,
} from './windows.ts';
