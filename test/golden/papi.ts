// Recorded Processor API programs, built straight at the topology layer: named sources, processors and sinks, linked by name.
import { type Topology, GraphBuilder, type StoreSpec, topicExpression } from '@millrace/topology';
// What turns a processor of the DSL into a node: the same code that `process()` uses.
import { processOperator } from '../../packages/dsl/src/operators/process.ts';
import type { Case, Step, StoreCase } from './case-format.ts';
import { NotExpressible, topicExtractor } from './functions.ts';
import type { Likenesses } from './likeness.ts';
import { caseStore, processor } from './processors.ts';
import { serdeNamed } from './serdes.ts';
import { timestampOf } from './translate.ts';

/** A topology whose first step is addSource is built without the DSL. */
export function isProcessorApi(given: Case): boolean {
  return given.topology[0]?.op === 'addSource';
}

export function processorApiTopology(given: Case, likenesses: Likenesses): Topology {
  const graph = new GraphBuilder();
  const stores = new Map(given.topology.flatMap(({ op, store }) => (op === 'addStateStore' && store !== undefined ? [[store.name, caseStore(store, likenesses)] as const] : [])));
  for (const step of given.topology) addStep(given, step, graph, (name) => {
    const found = stores.get(name);
    if (found === undefined) throw new NotExpressible('a processor that reads a store which was not added');
    return found;
  });
  return graph.build('parity');
}

function addStep(given: Case, step: Step, graph: GraphBuilder, stores: Parameters<typeof processor>[2]): void {
  const name = step.name ?? '';
  const parents = step.parents ?? [];
  const key = serdeNamed(step.key ?? given.config['default.key.serde'] ?? 'bytes') as never;
  const value = serdeNamed(step.value ?? given.config['default.value.serde'] ?? 'bytes') as never;
  switch (step.op) {
    case 'addSource': {
      const { pattern } = step;
      const topics = pattern === undefined ? (step.topics ?? []).map((topic) => ({ name: topic, internal: false })) : [{ name: pattern, internal: false, pattern: topicExpression(new RegExp(pattern)) }];
      graph.addSource({ name, topics, key, value, nullValues: 'serde', timestamp: 'record', onInvalidTimestamp: 'fail', startFrom: step.reset ?? 'earliest', onError: undefined, ...timestampOf(step.extractor) });
      return;
    }
    case 'addProcessor':
      graph.addProcessor({ name, parents, stores: [], create: processOperator(processor(step.fn ?? '', [], stores), 'free') });
      return;
    case 'addSink':
      if (step.topic === undefined) {
        const extract = topicExtractor(step.topicExtractor as string);
        const names = Object.keys(given.outputs);
        const targets = names.map((one) => ({ topic: { name: one, internal: false }, key, value }));
        const choice = { name: 'OutByPrefix', targets, pick: (v: unknown, k: unknown): number => names.indexOf(extract(k, v)) };
        graph.addSink({ name, parents, ...(targets[0] as (typeof targets)[number]), choice });
        return;
      }
      graph.addSink({ name, parents, topic: { name: step.topic, internal: false }, key, value });
      return;
    case 'addStateStore':
      graph.addStore(specOf(step.store as StoreCase));
      for (const node of step.processors ?? []) graph.connect(node, (step.store as StoreCase).name);
      return;
  }
  throw new NotExpressible(`${step.op} in a Processor API program`);
}

function specOf(store: StoreCase): StoreSpec {
  const shared = { name: store.name, key: serdeNamed(store.key) as never, value: serdeNamed(store.value) as never, changelog: store.logging === false ? false : { config: {} }, queryable: false } as const;
  switch (store.type) {
    case 'kv':
    case 'timestampedKv':
      return { ...shared, kind: 'keyValue' };
    case 'window':
    case 'timestampedWindow':
      return { ...shared, kind: 'window', windowSizeMs: store.windowSize as number, retentionMs: store.retention as number, duplicates: store.retainDuplicates === true };
    case 'session':
      return { ...shared, kind: 'session', retentionMs: store.retention as number };
  }
  throw new NotExpressible(`stores of type ${store.type} at the topology layer`);
}
