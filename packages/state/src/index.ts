// The public names of @millrace/state.
export {
  type ByteRows,
  type ByteStore,
  type ByteStoreEngine,
  type Database,
  type DatabaseTicket,
  type OpenDatabase,
  type OpenOptions,
  type ScanOptions,
  WriteBatch,
  type WriteOperation,
} from './byte-store.ts';
export { type Checkpoint, decodeCheckpoint, encodeCheckpoint, META_STORE, putCheckpoint, readCheckpoint } from './checkpoint.ts';
export { checksum32 } from './checksum.ts';
export { clearStore } from './clear-store.ts';
export { type EngineSuite, engineConformance } from './conformance.ts';
export { memoryEngine, openMemoryDatabase } from './memory-byte-store.ts';
export { mixedEngine } from './mixed-engine.ts';
export {
  type KeyValueReadView,
  keyValueView,
  type SessionViewSpec,
  sessionView,
  type ViewSpec,
  type Weighing,
  type WindowReadView,
  type WindowViewSpec,
  windowView,
} from './read-view.ts';
export { ownBounds, type ScanBounds, scanBounds } from './scan-bounds.ts';
export { StagedEntry } from './staged-entry.ts';
export type { ChangelogSink, StagedStore, StoreMemory } from './staged-store.ts';
export { byteStoreEngineOf, checkEngine, type Engine, type StoreEngine, storeEngine } from './store-engine.ts';
export type { Entry, KeyValueStore, Range, Rows, SessionStore, TimeRange, Version, VersionedStore, WindowStore, Written } from './stores/contract.ts';
export { ExpiringStore } from './stores/expiring-store.ts';
export { type KeyValueStoreOptions, StagedKeyValueStore } from './stores/key-value-store.ts';
export { RecentRowsStore, type RecentRowsStoreOptions } from './stores/recent-rows-store.ts';
export { type SessionStoreOptions, StagedSessionStore, sessionEnd } from './stores/session-store.ts';
export { StagedVersionedStore, type VersionedRow, type VersionedStoreOptions } from './stores/versioned-store.ts';
export { StagedWindowStore, type WindowStoreOptions } from './stores/window-store.ts';
export { type VersionedReadView, type VersionedViewSpec, versionedView } from './versioned-view.ts';
