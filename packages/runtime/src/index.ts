// The public names of @millrace/runtime.
export { type AppEnvironment, type AppEvent, createRunningApp, type RunningApp } from './app.ts';
export type { EngineCandidate } from './engines.ts';
export type { Feed, FeedObserver, FeedOptions, Subscription } from './feed.ts';
export { GlobalRows } from './global/global-rows.ts';
export type { HistoryRecord } from './history.ts';
export type { TaskView } from './instance-parts.ts';
export type { AppState } from './lifecycle.ts';
export type { AppOptions, Connection, ErrorPolicies, Overrides, Tuning } from './options.ts';
export type { OutputLane } from './outbox.ts';
export type { Located, ReadFacade, StoreFacts } from './read-facade.ts';
export { removeState, stateFolders } from './remove-state.ts';
export { EarliestFirst } from './task/earliest-first.ts';
export type { OutsidePorts } from './task/outside.ts';
export { Task } from './task/task.ts';
export type { TaskHost } from './task/task-host.ts';
export { serveThread, type ThreadService } from './thread-service.ts';
export { planTopics, type TopicPlan, type TopicPlanInput } from './topic-plan.ts';
export type { ReadRequest, ReadRow } from './worker-messages.ts';
