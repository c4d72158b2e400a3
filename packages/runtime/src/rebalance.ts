// Step 2: everything that changes which tasks live: assignments, losses, dropped spans, failures, the stop. Runs between two turns.
// Owns: the order of these moves.  Never: processes a record.
// A revocation is a barrier (design, Membership 3) but no pause: kept tasks go on while the last span of the leaving ones is committed.
import { explainError, MillraceError, sleep } from '@millrace/core';
import { clearStore, type Database } from '@millrace/state';
import type { Subtopology } from '@millrace/topology';
import { abandonTransaction } from './commit/execute.ts';
import { passes, type SpanFailure, spanFailure, suggestsTimeout } from './commit/failures.ts';
import type { LoopState } from './loop-state.ts';
import { startTasks } from './restore/start-tasks.ts';
import { Task } from './task/task.ts';
import type { TaskAssignment, WorkerAssignment } from './worker-ports.ts';

const RETRY_MS = 200;

/** Throws what ends the worker. */
export async function rebalance(state: LoopState): Promise<void> {
  if (state.fatal !== undefined) throw state.fatal;
  if (state.losses.length > 0) await loseMembership(state);
  // A batch of the open span was refused: there is nothing to wait for.
  if (state.closing === undefined) state.commitFailure ??= state.outbox.open.failure;
  if (state.commitFailure !== undefined) await answerCommitFailure(state);
  if (state.halted !== undefined && state.closing === undefined) await answerHalt(state);
  releaseLeaving(state);
  takeAssignments(state);
  stopWhenDone(state);
}

// ---- assignments ------------------------------------------------------------------------------------------------------

function takeAssignments(state: LoopState): void {
  while (state.leaving === undefined && state.stopping === undefined) {
    const next = state.assignments.shift();
    if (next === undefined) return;
    const wanted = new Set(next.what.tasks.map(({ id }) => id));
    const renewed = new Set(state.outdated.filter(({ id }) => wanted.has(id)));
    const leaving = [...state.tasks.values()].filter((task) => !wanted.has(task.id) || renewed.has(task));
    for (const task of leaving) {
      state.restorer.cancel(task.id);
      task.suspend();
    }
    if (leaving.length > 0) {
      state.ports.trace?.onPoint?.('revoked');
      state.intake.assign(new Set());
    }
    const fresh = next.what.tasks.filter(({ id }) => !state.tasks.has(id));
    if (fresh.length > 0) state.background(createTasks(state, fresh, next.what));
    state.leaving = { tasks: leaving, renewed, assignment: next };
    releaseLeaving(state);
  }
}

/** The barrier opens when nothing of the leaving tasks is uncommitted. */
function releaseLeaving(state: LoopState): void {
  const { leaving } = state;
  if (leaving === undefined) return;
  if (leaving.tasks.some((task) => task.state !== 'closed' && (state.inClosingSpan(task) || task.touched))) return;
  try {
    state.settle(leaving.tasks.filter((task) => task.state !== 'closed'));
  } catch (error) {
    state.ports.log.warn({ error: explainError(error) }, 'a task leaves without its last settle; its next owner restores it from the changelog');
  }
  state.ports.trace?.onPoint?.('before-release');
  for (const task of leaving.tasks) if (!leaving.renewed.has(task)) release(state, task);
  state.ports.trace?.onPoint?.('released');
  state.leaving = undefined;
  renew(state, leaving.renewed);
  leaving.assignment.resolve();
}

/** Other topics match a pattern: a task of the same rows takes each one's place, and reads on where that one has committed. */
function renew(state: LoopState, outdated: ReadonlySet<Task>): void {
  const renewed: Task[] = [];
  for (const old of outdated) {
    const { id, partition, failures, subtopology } = old;
    if (old.state === 'closed') continue;
    const now = state.topology.subtopologies.find((one) => one.id === subtopology.id) ?? subtopology;
    const task = openTask(state, id, now, partition, old.handOver());
    task.failures.failedBefore = failures.failedBefore;
    state.tasks.set(id, task);
    renewed.push(task);
  }
  if (renewed.length === 0) return;
  shareCache(state);
  state.background(beginLives(state, renewed, []));
}

function release(state: LoopState, task: Task): void {
  task.close();
  state.tasks.delete(task.id);
}

/** New tasks: databases first, then their lives. They come up beside the running ones. */
async function createTasks(state: LoopState, wanted: readonly TaskAssignment[], assignment: WorkerAssignment): Promise<void> {
  const { ports } = state;
  const created: Task[] = [];
  // An assignment that came meanwhile has the word: what it does not name has no ticket any more, and its database may be closed.
  const isOurs = (id: string): boolean => state.assigned.has(id) && !state.tasks.has(id) && !state.ended;
  for (const { id, failedBefore } of wanted) {
    if (!isOurs(id)) continue;
    const [subtopologyId, partition] = id.split('_').map(Number) as [number, number];
    const subtopology = state.topology.subtopologies.find((one) => one.id === subtopologyId);
    if (subtopology === undefined)
      throw new MillraceError('ERR_TOPOLOGY', `task ${id} was assigned, but the topology has no subtopology ${subtopologyId}`, { task: id });
    const database = await ports.openDatabase(id, subtopology.stores);
    if (!isOurs(id)) {
      database.detach();
      continue;
    }
    const task = openTask(state, id, subtopology, partition, database);
    task.failures.failedBefore = failedBefore;
    state.tasks.set(id, task);
    created.push(task);
  }
  shareCache(state);
  ports.trace?.onPoint?.('tasks-created');
  await beginLives(state, created, assignment.fence);
}

/** A store on disk in another layout (its kind or retention has changed) is emptied: its changelog has it all. Throws what else keeps it from opening. */
function openTask(state: LoopState, id: string, subtopology: Subtopology, partition: number, database: Database): Task {
  const { topology } = state.options;
  for (let left = subtopology.stores.length; ; left--) {
    try {
      return new Task(id, subtopology, partition, database, state.taskHost);
    } catch (error) {
      const store = MillraceError.is(error) && error.response === 'rebuild-store' ? error.where.store : undefined;
      const spec = typeof store === 'string' ? topology.stores.get(store) : undefined;
      if (left === 0 || spec === undefined || (spec.changelog === false && spec.sourceTopic === undefined)) throw error;
      state.ports.log.warn(
        { task: id, store: spec.name, reason: explainError(error) },
        'the local copy of the store is emptied and rebuilt from its changelog',
      );
      clearStore(database, spec.name);
    }
  }
}

function shareCache(state: LoopState): void {
  const withStores = [...state.tasks.values()].filter(({ stores }) => stores.all.length > 0);
  for (const { stores } of withStores) stores.setCacheMax(state.options.timing.cacheBytesMax / withStores.length);
}

/** Restores and starts tasks; what fails for a moment is tried again. */
async function beginLives(state: LoopState, candidates: readonly Task[], fence: readonly string[]): Promise<void> {
  const { ports, options } = state;
  const tasks = candidates.filter((task) => task.state === 'created' || task.state === 'suspended'); // some may have left meanwhile
  const lives = new Map(tasks.map((task) => [task, task.life]));
  const wanted = (task: Task): boolean => task.state === 'restoring' && task.life === lives.get(task) && !state.ended;
  for (const task of tasks) task.move('restoring');
  const deadlineMs = ports.clock.monotonicMs() + options.timing.taskTimeoutMs;
  for (let left = tasks; left.length > 0; left = left.filter(wanted)) {
    try {
      await startTasks(left, {
        admin: ports.admin,
        restorer: state.restorer,
        clock: ports.clock,
        log: ports.log,
        groupId: state.ownership.group.groupId,
        exactlyOnce: state.transactional,
        inputsVary: state.readsByPattern,
        fence,
        trace: ports.trace,
        wanted,
        ready(task) {
          task.revive();
          state.begun(task);
          ports.trace?.onStep?.(2, 0, { running: task.id });
        },
      });
      return;
    } catch (error) {
      if (!(passes(error) || state.hasLost(error)) || ports.clock.monotonicMs() >= deadlineMs) throw error;
      ports.log.warn({ error: explainError(error) }, 'tasks could not be started yet; trying again');
      await sleep(ports.timers, RETRY_MS);
    }
  }
}

// ---- failures ---------------------------------------------------------------------------------------------------------

/**
 * A callback failed: the open span goes and the worker ends. A corrupt store: the open span goes and the store is rebuilt. A value that a store cannot
 * write, known only when the span closes: the span is done again with every write checked, so that the error policy is asked about the record.
 */
async function answerHalt(state: LoopState): Promise<void> {
  const error = state.halted;
  const rebuild = MillraceError.is(error) && error.response === 'rebuild-store' && canBeRebuilt(state);
  const again = [...state.tasks.values()].filter(({ stores }) => stores.checkWritesAfter(error)).length > 0;
  await dropSpans(state, 'abort', !rebuild && !again);
  if (!rebuild && !again) throw error;
  const { log } = state.ports;
  if (rebuild) log.warn({ error: explainError(error) }, 'a store is corrupt and is rebuilt from its changelog');
  else log.warn({ error: explainError(error) }, 'everything since the last commit is done again, to find the record that the value came from');
  state.halted = undefined;
}

/** False where the store that is corrupt, or every store of the task, has no changelog. */
function canBeRebuilt(state: LoopState): boolean {
  return [...state.tasks.values()].some(({ distrusted, stores }) => stores.all.some(({ spec, log }) => distrusted.has(spec.name) && log.kind !== 'none'));
}

async function answerCommitFailure(state: LoopState): Promise<void> {
  const error = state.commitFailure;
  const answer: SpanFailure = state.hasLost(error) ? 'abort' : spanFailure(error, state.options.guarantee);
  state.ports.log.warn({ error: explainError(error), answer }, 'a span could not be committed; everything since the last commit is dropped and done again');
  if (suggestsTimeout(error)) state.outbox.cautious = true;
  if (answer !== 'lost' && answer !== 'end' && state.failsTooLong()) {
    await dropSpans(state, 'initialise', true).catch(() => undefined);
    throw new MillraceError(
      'ERR_TIMEOUT',
      `worker ${state.options.workerId} could commit nothing for ${state.options.timing.taskTimeoutMs} ms (tuning.taskTimeout): ${explainError(error)}`,
      { worker: state.options.workerId },
      error,
    );
  }
  switch (answer) {
    case 'abort':
      return dropSpans(state, 'abort', false);
    case 'initialise':
    case 'again': // the repeats are used up
      return dropSpans(state, 'initialise', false);
    case 'lost':
      // An assignment that waits belongs to a membership newer than the one that was refused.
      if (state.assignments.length === 0) state.disown(error);
      await dropSpans(state, 'abort', true);
      state.ports.events.membershipLost(error instanceof Error ? error : new Error(String(error)));
      return;
    case 'end':
      await dropSpans(state, 'abort', true);
      throw error;
  }
}

/**
 * Both spans go, and with them the lives of all running tasks. `close`: the tasks go as well; else they are restored to what is
 * committed and begin again.
 */
async function dropSpans(state: LoopState, how: 'abort' | 'initialise', close: boolean): Promise<void> {
  const running = [...state.tasks.values()].filter((task) => close || task.state === 'running' || task.state === 'suspended');
  state.settleUnlogged(running);
  for (const task of running) {
    state.restorer.cancel(task.id);
    task.dropLife();
  }
  const begun = state.outbox.transactionBegun;
  state.outbox.drop();
  state.closing = undefined;
  state.commitFailure = undefined;
  state.intake.assign(new Set());
  state.ports.trace?.onPoint?.('dropped');
  if (begun || how === 'initialise') await endTransaction(state, how);
  const renewed = state.leaving?.renewed ?? new Set();
  const leaving = new Set(state.leaving?.tasks.filter((task) => !renewed.has(task)));
  for (const task of running) if (close || leaving.has(task)) release(state, task);
  const again = running.filter((task) => task.state !== 'closed' && !renewed.has(task));
  if (again.length > 0) state.background(beginLives(state, again, []));
}

async function endTransaction(state: LoopState, how: 'abort' | 'initialise'): Promise<void> {
  const ports = state.commitPorts();
  if (!state.transactional && how === 'abort') {
    // Nothing to abort; but what is in flight must have come to rest before a changelog's end is looked up.
    try {
      await ports.producer.flush();
      return;
    } catch {
      // the producer starts over below
    }
  }
  await abandonTransaction(state.transactional ? how : 'initialise', ports);
}

async function loseMembership(state: LoopState): Promise<void> {
  const losses = state.losses.splice(0);
  await state.commitEnded(); // an EndTxn under way cannot be called back
  await dropSpans(state, 'abort', true);
  if (state.leaving !== undefined) {
    state.leaving.assignment.resolve();
    state.leaving = undefined;
  }
  for (const waiting of losses) waiting.resolve();
}

// ---- stop -------------------------------------------------------------------------------------------------------------

function stopWhenDone(state: LoopState): void {
  const { stopping } = state;
  if (stopping === undefined || state.ended) return;
  const late = state.ports.clock.monotonicMs() >= stopping.deadlineMs;
  if (!late && (state.closing !== undefined || state.dirty)) return;
  if (late && state.closing === undefined && state.dirty)
    state.ports.log.warn({}, 'stopped without the last commit: it did not end in time; what it held will be done again');
  state.ended = true;
}

/** No more input: what has been processed is committed, then the worker ends. */
export function beginStop(state: LoopState): void {
  for (const task of state.tasks.values()) {
    state.restorer.cancel(task.id);
    task.suspend();
  }
  state.intake.assign(new Set());
}
