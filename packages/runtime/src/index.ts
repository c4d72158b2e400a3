// The public names of @millrace/runtime.
export { type AppEnvironment, type AppEvent, createRunningApp, type RunningApp } from './app.ts';
export { type EngineCandidate } from './engines.ts';
export { type Feed, type FeedObserver, type FeedOptions, type Subscription } from './feed.ts';
export { type HistoryRecord } from './history.ts';
export { type TaskView } from './instance.ts';
export { type AppState } from './lifecycle.ts';
export { type AppOptions, type Connection, type ErrorPolicies, type Overrides, type Tuning } from './options.ts';
export { type Located, type ReadFacade, type StoreFacts } from './read-facade.ts';
export { type ReadRequest, type ReadRow } from './worker-messages.ts';
