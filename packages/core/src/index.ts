// The public names of @millrace/core.

export { type MemoryDisk, memoryDisk } from './adapters/memory-disk.ts';
export { type MemoryNetwork, memoryNetwork, type PortChoice } from './adapters/memory-network.ts';
export { nodeDisk } from './adapters/node-disk.ts';
export { nodeNetwork } from './adapters/node-network.ts';
export { isSpawnedThread, nodeThreads, threadSide } from './adapters/node-threads.ts';
export { seededChance } from './adapters/seeded-chance.ts';
export { systemChance, systemClock, systemTimers } from './adapters/system-time.ts';
export { type TimeShare, type VirtualTime, virtualTime } from './adapters/virtual-time.ts';
export { AssertionFailed, assert, unreachable } from './assert.ts';
export { asBuffer, compareBytes, copyBytes, equalBytes, prefixEnd } from './bytes.ts';
export { backoffMs, type Chance } from './chance.ts';
export type { Clock } from './clock.ts';
export type { Disk, DiskEntry, DiskFile, DiskLock } from './disk.ts';
export { type Duration, durationMs } from './duration.ts';
export {
  type ErrorCode,
  type ErrorPlace,
  type ErrorWire,
  errorFromWire,
  errorToWire,
  explainError,
  FAILURES,
  type FailureResponse,
  MillraceError,
} from './errors.ts';
export { createHeaders, noHeaders, type RecordHeaders } from './headers.ts';
export { type Branded, isLegalName, type Offset, partitionKey, type TimestampMs, type TopicPartition } from './ids.ts';
export { jsonLogger, LOG_LEVELS, type Logger, type LogLevel, silentLogger } from './log.ts';
export { type Counter, type Histogram, type MetricFactory, type MetricLabels, MetricRegistry, type MetricSample, type MetricSnapshot } from './metrics.ts';
export type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketEvents } from './network.ts';
export { murmur2, partitionForKey } from './partitioner.ts';
export type { Ports } from './ports.ts';
export { serde } from './serde/index.ts';
export type { Json, NotJson, SchemaInput, SchemaLike, SchemaOutput } from './serde/json.ts';
export { readSafeInteger, writeSafeInteger } from './serde/numbers.ts';
export { type DirectForm, decodeWith, type ErasedSerde, encodeWith, type Serde, type SerdeInfo } from './serde/serde.ts';
export type { Thread, ThreadEvents, ThreadSide, Threads } from './threads.ts';
export { sleep, type Timer, type Timers } from './timers.ts';
export { whenAborted } from './when-aborted.ts';
export type { Window, Windowed } from './windowed.ts';
