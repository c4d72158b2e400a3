// The public names of @millrace/topology.
export { checkErrorPolicy, type DeadLetter, deadLetter, type ErrorDecision, type ErrorPolicy, type Failure, isDeadLetter } from './error-policy.ts';
export { type GlobalStoreSpec, GraphBuilder, type ProcessorSpec, type SinkSpec, type SourceSpec } from './graph-builder.ts';
export { feedingInOrder, idleAfterOf } from './idle-sources.ts';
export type { Finding, FindingKind, Severity } from './lock/compare.ts';
export { checkLock, explainLock, isDangerous, LOCK_FILE, type LockReport, updateLock } from './lock/lock-file.ts';
export type { EarlierRecord, OutsideHost, OutsideWork } from './outside-work.ts';
export { hasPatterns, matchTopics, resolvePatterns, topicExpression } from './patterns.ts';
export type { DropReason, NodeContext, NodeProcessor, ProcessorFactory, Punctuation, RecordContext, RecordCursor, SourcePosition } from './processor.ts';
export {
  type KeyValueHandle,
  type KeyValueOptions,
  type Overrides,
  type SessionHandle,
  type SessionStoreOptions,
  type StoreDeclaration,
  type StoreHandle,
  type StoreKind,
  type StoreOptions,
  settings,
  store,
  storeDeclaration,
  type TypedHandle,
  type VersionedHandle,
  type VersionedOptions,
  type WindowHandle,
  type WindowStoreOptions,
} from './store-handle.ts';
export type { KeyValueSpec, SessionSpec, StoreSpec, VersionedSpec, WindowSpec } from './store-spec.ts';
export { topicText } from './topic-text.ts';
export {
  type DescribeFormat,
  type GlobalStore,
  type InternalTopic,
  type ProcessorNode,
  type SinkChoice,
  type SinkNode,
  type SinkPartitioner,
  type SinkTarget,
  type SourceNode,
  type Subtopology,
  type TimestampSource,
  type TopicRef,
  type Topology,
  type TopologyNode,
  topicName,
  type UserTopic,
} from './topology.ts';
export { checkName, topologyError } from './validate.ts';
