import { MillraceError, serde, silentLogger } from '@millrace/core';
import { type ErrorPolicy, GraphBuilder, type NodeContext, type NodeProcessor, type Topology } from '@millrace/topology';
import { expect, test } from 'vitest';
import { TaskCursor } from './cursor.ts';
import { createGraph, type GraphHost, type TaskGraph } from './graph.ts';

type Create = (context: NodeContext) => NodeProcessor;
interface NodeDraft {
  readonly parents: readonly string[];
  readonly create: Create;
  readonly onError?: ErrorPolicy;
  readonly stores?: readonly string[];
}

function build(nodes: Readonly<Record<string, NodeDraft>>): Topology {
  const graph = new GraphBuilder();
  graph.addSource({
    name: 'src',
    topics: [{ name: 'in', internal: false }],
    key: serde.string() as never,
    value: serde.string() as never,
    nullValues: 'serde',
    timestamp: 'record',
    onInvalidTimestamp: 'fail',
    startFrom: 'earliest',
    onError: undefined,
  });
  for (const [name, { parents, create, onError, stores = [] }] of Object.entries(nodes)) graph.addProcessor({ name, parents, stores, create, onError });
  return graph.build('t');
}

function start(nodes: Readonly<Record<string, NodeDraft>>, defaultPolicy: ErrorPolicy = 'fail') {
  const topology = build(nodes);
  const cursor = new TaskCursor('0_0');
  const judged: [node: string, stage: string][] = [];
  const host: GraphHost = {
    emitIntervalMs: 0,
    applicationId: 'app',
    taskId: '0_0',
    partition: 0,
    log: silentLogger,
    wallClockMs: () => 5,
    store: (name) => `store ${name}`,
    schedule: () => ({ cancel() {}, [Symbol.dispose]() {} }),
    workOutside: () => {
      throw new Error('not in this graph');
    },
    requestCommit() {},
    drop() {},
    createSink: () => ({ process() {} }),
    judge(policy, stage, node, error) {
      judged.push([node, stage]);
      if (policy !== 'skip') throw error;
    },
  };
  const subtopology = topology.subtopologies[0];
  if (subtopology === undefined) throw new Error('no subtopology');
  const graph: TaskGraph = createGraph(topology, subtopology, cursor, defaultPolicy, host);
  return { cursor, judged, graph, send: graph.enter('src') };
}
const pass: Create = (context) => ({ process: (key, value) => context.forward(key, value) });
const collect =
  (into: unknown[]): Create =>
  (context) => ({ process: (_key, value) => void into.push([context.node, value, context.record.timestamp]) });
const fail: Create = () => ({
  process() {
    throw new Error('mine');
  },
});

test('a record goes depth first to every child, in the order in which they were connected', () => {
  const seen: unknown[] = [];
  const { send } = start({
    a: { parents: ['src'], create: pass },
    b: { parents: ['a'], create: collect(seen) },
    c: { parents: ['src'], create: collect(seen) },
  });
  send('k', 1);
  expect(seen.map((one) => (one as unknown[])[0])).toEqual(['b', 'c']);
});

test('forwardAt changes the time for what is below, and only there', () => {
  const seen: unknown[] = [];
  const { send, cursor } = start({
    shift: { parents: ['src'], create: (context) => ({ process: (key, value) => context.forwardAt(key, value, 42) }) },
    below: { parents: ['shift'], create: collect(seen) },
    beside: { parents: ['src'], create: collect(seen) },
  });
  cursor.timestamp = 7;
  send('k', 1);
  expect(seen).toEqual([
    ['below', 1, 42],
    ['beside', 1, 7],
  ]);
});

test('forwardTo reaches one child; another name is an error that says which there are', () => {
  const seen: unknown[] = [];
  const { send } = start({
    route: { parents: ['src'], create: (context) => ({ process: (key, value) => context.forwardTo(value as string, key, value) }) },
    left: { parents: ['route'], create: collect(seen) },
    right: { parents: ['route'], create: collect(seen) },
  });
  send('k', 'right');
  expect(seen.map((one) => (one as unknown[])[0])).toEqual(['right']);
  expect(() => send('k', 'up')).toThrow(/not one of its children \(left, right\)/);
});

test('an error is judged once, at the innermost node; its branch ends, siblings called later still run', () => {
  const seen: unknown[] = [];
  const { send, judged } = start({
    outer: { parents: ['src'], create: pass, onError: 'skip' },
    inner: { parents: ['outer'], create: fail, onError: 'skip' },
    sibling: { parents: ['outer'], create: collect(seen) },
  });
  send('k', 1);
  expect(judged).toEqual([['inner', 'process']]);
  expect(seen).toEqual([['sibling', 1, -1]]);
});

test("a node whose policy is 'fail' is not saved by a parent that skips", () => {
  const { send, judged, graph } = start({
    outer: { parents: ['src'], create: pass, onError: 'skip' },
    inner: { parents: ['outer'], create: fail, onError: 'fail' },
  });
  expect(() => send('k', 1)).toThrow('mine');
  expect(judged).toEqual([]);
  expect(graph.currentNode).toBe('inner');
});

test('the default policy guards nodes without one of their own', () => {
  const { send, judged } = start({ node: { parents: ['src'], create: fail } }, 'skip');
  send('k', 1);
  expect(judged).toEqual([['node', 'process']]);
});

test('after a skip the cursor is what it was before the node that failed', () => {
  const { send, cursor } = start({
    shift: { parents: ['src'], create: (context) => ({ process: (key, value) => context.forwardAt(key, value, 42) }), onError: 'skip' },
    bad: { parents: ['shift'], create: fail, onError: 'skip' },
  });
  cursor.timestamp = 7;
  send('k', 1);
  expect(cursor.timestamp).toBe(7);
});

test('a store that was not declared is refused', () => {
  const { send } = start({ node: { parents: ['src'], create: (context) => ({ process: () => void context.store('counts') }) } });
  let code: string | undefined;
  try {
    send('k', 1);
  } catch (error) {
    code = MillraceError.is(error) ? error.code : String(error);
  }
  expect(code).toBe('ERR_STORE_NOT_CONNECTED');
});

test('forwarding while the graph is being built is refused', () => {
  expect(() =>
    start({
      eager: {
        parents: ['src'],
        create(context) {
          context.forward('k', 1);
          return { process() {} };
        },
      },
      below: { parents: ['eager'], create: pass },
    }),
  ).toThrow(/only while processing/);
});

test('buffers drain parents first; every node is closed even if one throws', () => {
  const order: string[] = [];
  const node =
    (bad = false): Create =>
    (context) => ({
      process() {},
      drain: () => void order.push(`drain ${context.node}`),
      close() {
        order.push(`close ${context.node}`);
        if (bad) throw new Error('cannot close');
      },
    });
  const { graph } = start({ first: { parents: ['src'], create: node(true) }, second: { parents: ['first'], create: node() } });
  graph.drain();
  expect(() => graph.close()).toThrow('cannot close');
  expect(order).toEqual(['drain first', 'drain second', 'close first', 'close second']);
});
