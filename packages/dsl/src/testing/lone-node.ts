// One node alone, for tests of operators: real stores in memory, what it forwards and drops in lists.
import { createHeaders, MetricRegistry, type RecordHeaders, silentLogger } from '@millrace/core';
import { META_STORE, memoryEngine, StagedKeyValueStore, StagedSessionStore, StagedVersionedStore, StagedWindowStore, WriteBatch } from '@millrace/state';
import type { NodeContext, NodeProcessor, ProcessorFactory, StoreSpec } from '@millrace/topology';
import type { Change } from '../change.ts';

export interface Forwarded {
  readonly key: unknown;
  readonly value: unknown;
  readonly at: number;
}

/** A change as it was when it was forwarded: the cell behind it is used again. */
export function frozenChange(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('priorKind' in value)) return value;
  const { kind, value: now, priorKind, prior } = value as Change;
  return { kind, value: now, priorKind, prior };
}

export class LoneNode {
  readonly forwarded: Forwarded[] = [];
  readonly dropped: string[] = [];
  readonly progress = new Map<string, number>();
  readonly #record = { timestamp: 0, headers: createHeaders([]) as RecordHeaders, streamTime: -1, taskId: '0_0', source: undefined };
  readonly #stores = new Map<
    string,
    StagedKeyValueStore<unknown, unknown> | StagedWindowStore<unknown, unknown> | StagedSessionStore<unknown, unknown> | StagedVersionedStore<unknown, unknown>
  >();
  #node: NodeProcessor = { process() {} };
  readonly #create: ProcessorFactory;

  private constructor(create: ProcessorFactory) {
    this.#create = create;
  }

  static async open(create: ProcessorFactory, ...specs: readonly StoreSpec[]): Promise<LoneNode> {
    const lone = new LoneNode(create);
    const database = await memoryEngine.open({ directory: '', stores: [META_STORE, ...specs.map((spec) => spec.name)], cacheBytes: 0 });
    for (const spec of specs) {
      const options = { name: spec.name, key: spec.key, value: spec.value, database, currentTimestamp: () => lone.#record.timestamp };
      const store =
        spec.kind === 'keyValue'
          ? new StagedKeyValueStore(options)
          : spec.kind === 'versioned'
            ? new StagedVersionedStore({ ...options, historyMs: spec.historyMs })
            : spec.kind === 'session'
              ? new StagedSessionStore({ ...options, retentionMs: spec.retentionMs, holdsClosed: spec.holdsClosed })
              : new StagedWindowStore({
                  ...options,
                  windowSizeMs: spec.windowSizeMs,
                  retentionMs: spec.retentionMs,
                  holdsClosed: spec.holdsClosed,
                  duplicates: spec.duplicates,
                });
      lone.#stores.set(spec.name, store);
    }
    lone.beginAgain();
    return lone;
  }

  /** As after a restart: the operator is a new one, its stores are as they were. */
  beginAgain(): void {
    this.#node = this.#create(this.#context());
  }

  process(key: unknown, value: unknown, at = 0): void {
    this.#record.timestamp = at;
    this.#record.streamTime = Math.max(this.#record.streamTime, at);
    this.#node.process(key, value);
  }

  /** Drains, then freezes the span as a commit would. */
  commit(): void {
    this.#node.drain?.();
    for (const store of this.#stores.values()) {
      store.close(undefined);
      store.committed();
      store.settle(new WriteBatch());
    }
  }

  keyValue(name: string): StagedKeyValueStore<unknown, unknown> {
    return this.#stores.get(name) as StagedKeyValueStore<unknown, unknown>;
  }

  /** What was forwarded since the last call. */
  take(): Forwarded[] {
    return this.forwarded.splice(0);
  }

  #context(): NodeContext {
    const record = this.#record;
    const note = (key: unknown, value: unknown, at: number): void => void this.forwarded.push({ key, value: frozenChange(value), at });
    return {
      node: 'lone',
      applicationId: 'test',
      taskId: '0_0',
      partition: 0,
      record,
      log: silentLogger,
      metrics: new MetricRegistry(),
      stateDir: '.',
      wallClockMs: () => 0,
      emitIntervalMs: 0,
      forward: (key, value) => note(key, value, record.timestamp),
      forwardAt: (key, value, timestamp) => note(key, value, timestamp),
      forwardTo: (_child, key, value) => note(key, value, record.timestamp),
      store: (name) => this.#stores.get(name),
      schedule: () => ({ cancel() {}, [Symbol.dispose]() {} }),
      workOutside: () => {
        throw new Error('a lone node has no host for it');
      },
      requestCommit() {},
      progress: (name) => this.progress.get(name),
      setProgress: (name, value) => void this.progress.set(name, value),
      drop: (reason) => void this.dropped.push(reason),
    };
  }
}
