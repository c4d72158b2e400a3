// One task's copy of its subtopology: nodes created, children closed over, one context per node.
// Owns: the nodes' lives and which node is at work (for naming the culprit).  Never: queues, offsets, commits.
// G1 `current` is the innermost node whose `process` was entered and has not returned: on an error nobody resets it.
// G2 a node under a policy of its own is entered through a guard; all others cost two stores and a call.
import { assert, type Logger, type MetricFactory, MetricRegistry, MillraceError } from '@millrace/core';
import type {
  DropReason,
  EarlierRecord,
  ErrorPolicy,
  NodeContext,
  NodeProcessor,
  OutsideHost,
  OutsideWork,
  ProcessorNode,
  Punctuation,
  SinkNode,
  SourceNode,
  Subtopology,
  Topology,
} from '@millrace/topology';
import type { TaskCursor } from './cursor.ts';

/** All a graph may ask of the task that hosts it. */
export interface GraphHost {
  readonly applicationId: string;
  readonly taskId: string;
  readonly partition: number;
  readonly log: Logger;
  wallClockMs(): number;
  /** See NodeContext. */
  readonly emitIntervalMs: number;
  /** See NodeContext. Unless given, nobody sees what user code counts. */
  metricsOf?(node: string): MetricFactory;
  readonly stateDir?: string;
  store(name: string): unknown;
  /** A store that every instance holds whole: any node may read it. Undefined: there is none of that name. */
  globalStore?(name: string): unknown;
  /** What nodes have told with `setProgress`; goes with the input offsets. Unless given, it lives as long as the graph. */
  readonly progress?: Map<string, number>;
  schedule(everyMs: number, by: 'streamTime' | 'wallClock', run: (atMs: number) => void, startAtMs: number | undefined): Punctuation;
  requestCommit(): void;
  drop(node: string, reason: DropReason, detail: string | undefined): void;
  createSink(node: SinkNode): NodeProcessor;
  /**
   * Asks `policy` about an error at `node`: returns when the branch is to be skipped, throws ERR_TASK_FAILED otherwise. `earlier`: the record
   * it is about, where that is not the one in hand.
   */
  judge(policy: ErrorPolicy, stage: 'process' | 'punctuate' | 'async', node: string, error: unknown, earlier?: EarlierRecord): void;
  /** `standIn` runs with the cursor on an earlier record, and puts the cursor back. */
  workOutside(work: OutsideWork): Omit<OutsideHost, 'onBehalf'> & { standIn(record: EarlierRecord, run: () => void): void };
}

/** Where a call enters a node. `processor` is set once the node exists; parents hold the hop, so creation order is free. */
class Hop implements NodeProcessor {
  readonly index: number;
  readonly name: string;
  processor: NodeProcessor;
  constructor(index: number, name: string) {
    this.index = index;
    this.name = name;
    this.processor = this;
  }
  process(): void {
    throw new MillraceError('ERR_TOPOLOGY', `node ${this.name} was given a record while the graph was being built: forward only while processing`, {
      node: this.name,
    });
  }
}

type Forward = (key: unknown, value: unknown) => void;

export interface TaskGraph {
  /** Enters the graph at a source; the cursor is set. */
  enter(source: string): Forward;
  /** Name of the node at work. */
  readonly currentNode: string;
  /** Forwards what emit buffers hold, parents first. */
  drain(): void;
  /** Tells every node, parents first, that stream time has moved without a record. */
  timeMoved(streamTime: number): void;
  /** What nodes hold back. */
  readonly holdings: readonly { readonly node: string; readonly holding: NonNullable<NodeProcessor['holding']> }[];
  /** Closes every node even if one throws; the first error is thrown at the end. */
  close(): void;
}

export function createGraph(topology: Topology, subtopology: Subtopology, cursor: TaskCursor, defaultPolicy: ErrorPolicy, host: GraphHost): TaskGraph {
  const names = subtopology.nodes;
  const hops = new Map(names.map((name, index) => [name, new Hop(index, name)]));
  const at = { current: -1 };
  const hopOf = (name: string): Hop => {
    const hop = hops.get(name);
    assert(hop !== undefined, `node ${name} is not in subtopology ${subtopology.id}`);
    return hop;
  };
  const entries = new Map<string, Forward>();
  const created: { readonly hop: Hop; readonly processor: NodeProcessor; readonly policy: ErrorPolicy }[] = [];
  for (const name of names) {
    const node = topology.nodes.get(name);
    assert(node !== undefined, `subtopology ${subtopology.id} names the unknown node ${name}`);
    const hop = hopOf(name);
    if (node.kind === 'source') {
      entries.set(name, linkTo(node.children.map(hopOf), hop.index, at));
      continue;
    }
    const policy = node.kind === 'sink' ? 'fail' : (node.onError ?? defaultPolicy);
    at.current = hop.index;
    const processor = node.kind === 'sink' ? host.createSink(node) : node.create(new Context(node, hop, node.children.map(hopOf), at, cursor, policy, host));
    hop.processor = policy === 'fail' ? processor : new Guard(processor, hop, at, cursor, policy, host);
    created.push({ hop, processor, policy });
  }
  at.current = -1;
  return {
    enter(source) {
      const forward = entries.get(source);
      assert(forward !== undefined, `no source ${source} in subtopology ${subtopology.id}`);
      return forward;
    },
    get currentNode() {
      return names[at.current] ?? `subtopology ${subtopology.id}`;
    },
    drain() {
      for (const { hop, processor } of created) {
        if (processor.drain === undefined) continue;
        at.current = hop.index;
        processor.drain();
      }
      at.current = -1;
    },
    timeMoved(streamTime) {
      for (const { hop, processor, policy } of created) {
        if (processor.timeMoved === undefined) continue;
        at.current = hop.index;
        try {
          processor.timeMoved(streamTime);
        } catch (error) {
          if (at.current !== hop.index) throw error;
          host.judge(policy, 'punctuate', hop.name, error);
        }
      }
      at.current = -1;
    },
    get holdings() {
      return created.flatMap(({ hop, processor }) => (processor.holding === undefined ? [] : [{ node: hop.name, holding: processor.holding }]));
    },
    close() {
      const errors: unknown[] = [];
      for (const { hop, processor } of created) {
        at.current = hop.index;
        try {
          processor.close?.();
        } catch (error) {
          errors.push(error);
        }
      }
      at.current = -1;
      if (errors.length > 0) throw errors[0];
    },
  };
}

/** The call that hands a record to all of `children`, in order, and makes `own` current again. */
function linkTo(children: readonly Hop[], own: number, at: { current: number }): Forward {
  const only = children[0];
  if (only === undefined) return () => {};
  if (children.length === 1) {
    return (key, value) => {
      at.current = only.index;
      only.processor.process(key, value);
      at.current = own;
    };
  }
  return (key, value) => {
    for (const child of children) {
      at.current = child.index;
      child.processor.process(key, value);
    }
    at.current = own;
  };
}

class Context implements NodeContext {
  readonly node: string;
  readonly applicationId: string;
  readonly taskId: string;
  readonly partition: number;
  readonly record: TaskCursor;
  readonly log: Logger;
  readonly emitIntervalMs: number;
  readonly forward: Forward;
  readonly forwardAt: (key: unknown, value: unknown, timestamp: number) => void;
  readonly #node: ProcessorNode;
  readonly #own: number;
  readonly #children: ReadonlyMap<string, Forward>;
  readonly #at: { current: number };
  readonly #policy: ErrorPolicy;
  readonly #host: GraphHost;
  readonly #progress: Map<string, number>;

  constructor(node: ProcessorNode, hop: Hop, children: readonly Hop[], at: { current: number }, cursor: TaskCursor, policy: ErrorPolicy, host: GraphHost) {
    this.#progress = host.progress ?? new Map();
    this.node = node.name;
    this.applicationId = host.applicationId;
    this.taskId = host.taskId;
    this.partition = host.partition;
    this.record = cursor;
    this.log = host.log;
    this.emitIntervalMs = host.emitIntervalMs;
    const forward = linkTo(children, hop.index, at);
    this.forward = forward;
    this.forwardAt = (key, value, timestamp) => {
      const before = cursor.timestamp;
      cursor.timestamp = timestamp;
      forward(key, value);
      cursor.timestamp = before;
    };
    this.#node = node;
    this.#own = hop.index;
    this.#children = new Map(children.map((child) => [child.name, linkTo([child], hop.index, at)]));
    this.#at = at;
    this.#policy = policy;
    this.#host = host;
  }
  get metrics(): MetricFactory {
    return this.#host.metricsOf?.(this.node) ?? new MetricRegistry();
  }
  get stateDir(): string {
    return this.#host.stateDir ?? '.';
  }
  wallClockMs(): number {
    return this.#host.wallClockMs();
  }
  forwardTo(child: string, key: unknown, value: unknown): void {
    const forward = this.#children.get(child);
    if (forward === undefined)
      throw new MillraceError(
        'ERR_TOPOLOGY',
        `node ${this.node} forwards to ${JSON.stringify(child)}, which is not one of its children (${[...this.#children.keys()].join(', ')})`,
        { node: this.node },
      );
    forward(key, value);
  }
  store(name: string): unknown {
    if (!this.#node.stores.includes(name)) {
      const global = this.#host.globalStore?.(name);
      if (global !== undefined) return global;
      throw new MillraceError(
        'ERR_STORE_NOT_CONNECTED',
        `node ${this.node} asks for store ${JSON.stringify(name)}, which it did not declare: list it in the operator's stores`,
        { node: this.node, store: name },
      );
    }
    return this.#host.store(name);
  }
  schedule(everyMs: number, by: 'streamTime' | 'wallClock', punctuate: (atMs: number) => void, startAtMs?: number): Punctuation {
    const run = (atMs: number): void => {
      this.#at.current = this.#own;
      try {
        punctuate(atMs);
      } catch (error) {
        if (this.#at.current !== this.#own) throw error;
        this.#host.judge(this.#policy, 'punctuate', this.node, error);
      }
      this.#at.current = -1;
    };
    return this.#host.schedule(everyMs, by, run, startAtMs);
  }
  workOutside(work: OutsideWork): OutsideHost {
    const { standIn, ...host } = this.#host.workOutside(work);
    const guarded = (record: EarlierRecord, run: () => void): void => {
      this.#at.current = this.#own;
      try {
        run();
      } catch (error) {
        if (this.#at.current !== this.#own) throw error;
        this.#host.judge(this.#policy, 'async', this.node, error, record);
      }
      this.#at.current = -1;
    };
    return { ...host, onBehalf: (record, run) => standIn(record, () => guarded(record, run)) };
  }
  requestCommit(): void {
    this.#host.requestCommit();
  }
  drop(reason: DropReason, detail?: string): void {
    this.#host.drop(this.node, reason, detail);
  }
  progress(name: string): number | undefined {
    return this.#progress.get(name);
  }
  setProgress(name: string, value: number): void {
    this.#progress.set(name, value);
  }
}

/** Asks the node's policy when the error is the node's own: a deeper one has been judged there already (its policy said fail). */
class Guard implements NodeProcessor {
  readonly #inner: NodeProcessor;
  readonly #hop: Hop;
  readonly #at: { current: number };
  readonly #cursor: TaskCursor;
  readonly #policy: ErrorPolicy;
  readonly #host: GraphHost;
  constructor(inner: NodeProcessor, hop: Hop, at: { current: number }, cursor: TaskCursor, policy: ErrorPolicy, host: GraphHost) {
    this.#inner = inner;
    this.#hop = hop;
    this.#at = at;
    this.#cursor = cursor;
    this.#policy = policy;
    this.#host = host;
  }
  process(key: unknown, value: unknown): void {
    const { timestamp, headers, source } = this.#cursor;
    try {
      this.#inner.process(key, value);
    } catch (error) {
      if (this.#at.current !== this.#hop.index) throw error;
      this.#cursor.timestamp = timestamp;
      this.#cursor.headers = headers;
      this.#host.judge(this.#policy, 'process', this.#hop.name, error);
      this.#cursor.source = source;
    }
  }
}

/** The sources of a subtopology by topic name as the topology gives it. */
export function sourcesOf(topology: Topology, subtopology: Subtopology): readonly SourceNode[] {
  return subtopology.nodes.flatMap((name) => {
    const node = topology.nodes.get(name);
    return node?.kind === 'source' ? [node] : [];
  });
}
