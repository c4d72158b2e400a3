// Drawings of a small topology with everything a drawing shows: topics of both kinds, two sub-topologies, a store.
import { serde } from '@millrace/core';
import { expect, test } from 'vitest';
import { GraphBuilder } from './graph-builder.ts';

function counting() {
  const text = serde.string();
  const graph = new GraphBuilder();
  const reading = {
    key: text,
    value: text,
    nullValues: 'serde',
    timestamp: 'record',
    onInvalidTimestamp: 'fail',
    startFrom: 'earliest',
    onError: undefined,
  } as const;
  graph.addSource({ name: 'lines', topics: [{ name: 'in', internal: false }], ...reading });
  graph.addSink({ name: 'by-word', parents: ['lines'], topic: { name: 'words-repartition', internal: true }, key: text, value: text });
  graph.addSource({ name: 'words', topics: [{ name: 'words-repartition', internal: true }], ...reading });
  graph.addStore({ kind: 'keyValue', name: 'counts', key: text, value: text, changelog: { config: {} }, queryable: true });
  graph.addProcessor({ name: 'count', parents: ['words'], stores: ['counts'], create: () => ({ process() {} }) });
  graph.addSink({ name: 'results', parents: ['count'], topic: { name: 'out', internal: false }, key: text, value: text });
  graph.addRepartitionTopic('words-repartition', undefined);
  return graph.build('counting');
}

test('mermaid draws sub-topologies as boxes, topics outside, stores on a plain line', () => {
  expect(counting().describe('mermaid')).toBe(`flowchart TD
  t0(["in"])
  t1{{"words-repartition"}}
  t2(["out"])
  subgraph sub0["Sub-topology 0"]
    n0["lines"]
    n1["by-word"]
  end
  subgraph sub1["Sub-topology 1"]
    n2["words"]
    n3["count"]
    n4["results"]
    s0[("counts")]
  end
  t0 --> n0
  n0 --> n1
  n1 --> t1
  t1 --> n2
  n2 --> n3
  n3 --- s0
  n3 --> n4
  n4 --> t2
`);
});

test('dot draws the same', () => {
  const dot = counting().describe('dot');
  expect(dot).toContain('digraph "counting" {\n  t0 [label="in", shape=ellipse];\n  t1 [label="words-repartition", shape=ellipse, style=dashed];\n');
  expect(dot).toContain('  subgraph cluster_1 {\n    label="Sub-topology 1";\n    n2 [label="words", shape=box];\n');
  expect(dot).toContain('    s0 [label="counts", shape=cylinder];\n');
  expect(dot).toContain('  n3 -> s0 [dir=none];\n  n3 -> n4;\n');
  expect(dot.split('{').length).toBe(dot.split('}').length);
});

test('json is what toJSON gives', () => {
  const topology = counting();
  expect(JSON.parse(topology.describe('json'))).toEqual(JSON.parse(JSON.stringify(topology)));
});

test('another format is refused with those there are', () => {
  expect(() => counting().describe('svg' as 'dot')).toThrow(/kafka, json, mermaid and dot/);
});
