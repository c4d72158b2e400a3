// Recorded behaviour of Apache Kafka Streams 4.3.1, run against our DSL, operators, stores and graph.
// A case that uses what is not built yet is counted by its reason and listed at the end; any other difference fails.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodeWith, noHeaders } from '@millrace/core';
import { topology } from '@millrace/dsl';
import { StagedKeyValueStore, StagedSessionStore, type StagedWindowStore } from '@millrace/state';
import { type StoreSpec, type Topology, topicName } from '@millrace/topology';
import { afterAll, describe, expect, test } from 'vitest';
import type { Case, Pipe, Row, TopicSerdes } from './case-format.ts';
import { copartitionGroups } from './copartition.ts';
import { Driver, type Produced } from './driver.ts';
import { NotExpressible } from './functions.ts';
import { fromCase, normalized, serdeNamed, toCase } from './serdes.ts';
import { translate } from './translate.ts';

const root = fileURLToPath(new URL('./parity/', import.meta.url));
const read = (path: string): Case => JSON.parse(readFileSync(`${root}${path}`, 'utf8')) as Case;
const areas = [...readdirSync(`${root}cases`).map((area) => `cases/${area}`), 'describe'];

/** Where we differ on purpose, and in what. */
const DIFFERENT: Readonly<Record<string, { readonly part: 'internalTopics' | 'build'; readonly why: string }>> = {
  'caching/delete-of-absent': { part: 'internalTopics', why: 'a key that came and went between two commits leaves a tombstone in our changelog; Kafka Streams with its cache writes none' },
  'caching/random-1001': { part: 'internalTopics', why: 'as delete-of-absent' },
  'caching/random-1003': { part: 'internalTopics', why: 'as delete-of-absent' },
  'caching/table-self-join': { part: 'internalTopics', why: 'as delete-of-absent' },
  'window-sliding/zero-difference': { part: 'build', why: 'a difference of 0 is refused when the window is declared; Kafka Streams fails at the first record' },
};

const skipped = new Map<string, string[]>();
let ran = 0;

for (const area of areas) {
  describe(area, () => {
    for (const file of readdirSync(`${root}${area}`).sort()) {
      const given = read(`${area}/${file}`);
      test(`${given.name}: ${given.about}`, async (context) => {
        try {
          await check(given);
          ran++;
        } catch (error) {
          if (!(error instanceof NotExpressible)) throw error;
          skipped.set(error.message, [...(skipped.get(error.message) ?? []), given.name]);
          context.skip(error.message);
        }
      });
    }
  });
}

afterAll(() => {
  const reasons = [...skipped].sort((a, b) => b[1].length - a[1].length).map(([reason, names]) => `  ${names.length} ${reason}`);
  const count = [...skipped.values()].reduce((sum, names) => sum + names.length, 0);
  const differences = Object.entries(DIFFERENT).map(([name, { part, why }]) => `  ${name}, ${part}: ${why}`);
  console.log(`parity: ${ran} equal, ${count} skipped\n${reasons.join('\n')}\ndifferent on purpose:\n${differences.join('\n')}`);
});

async function check(given: Case): Promise<void> {
  const { expect: expected } = given;
  if (expected.error !== undefined || DIFFERENT[given.name]?.part === 'build') {
    let refused: unknown;
    try {
      build(given);
    } catch (error) {
      if (error instanceof NotExpressible) throw error;
      refused = error;
    }
    expect(refused).toMatchObject({ code: expect.stringMatching(/^ERR_(TOPOLOGY|OPTION|NAME)$/) });
    return;
  }
  const built = build(given);
  if (expected.describe !== undefined) expect(built.describe()).toBe(expected.describe);
  checkInternalTopics(given, built);
  if (given.describeOnly !== true) await checkRun(given, built);
}

function build(given: Case): Topology {
  const optimization = given.config['topology.optimization'] ?? 'none';
  const optimize = optimization === 'all' ? true : ([...(optimization.includes('reuse') ? ['reuseSourceTopics' as const] : []), ...(optimization.includes('merge') ? ['mergeRepartitions' as const] : []), ...(optimization.includes('self') ? ['singleStoreSelfJoin' as const] : [])] as const);
  const defaults = { key: serdeNamed(given.config['default.key.serde'] as string), value: serdeNamed(given.config['default.value.serde'] as string) };
  return topology('parity', (t) => translate(given, t), { optimize, defaults });
}

function checkInternalTopics(given: Case, built: Topology): void {
  const { expect: expected } = given;
  if (expected.internalTopicConfigs !== undefined) {
    const made = built.internalTopics.map(({ name, kind, partitions, config }) => [topicName('parity', { name, internal: true }), { kind, ...(partitions === undefined ? {} : { partitions }), config }]);
    // With a reused source topic Kafka Streams lists that topic as well, though it is the user's.
    const own = Object.entries(expected.internalTopicConfigs).filter(([name]) => given.inputs[name] === undefined);
    expect(Object.fromEntries(made)).toEqual(Object.fromEntries(own));
  }
  if (expected.copartitionGroups !== undefined) expect(copartitionGroups(given, built)).toEqual(expected.copartitionGroups.map((group) => [...group].sort().join()).sort());
}

async function checkRun(given: Case, built: Topology): Promise<void> {
  const { config, expect: expected } = given;
  const driver = await Driver.open({
    topology: built,
    logEveryWrite: config['statestore.cache.max.bytes'] === '0',
    skipsUndecodable: config['deserialization.exception.handler'] === 'fn:deserializationContinue',
    skipsFailing: config['processing.exception.handler'] === 'fn:processingContinue',
    wallClockMs: Number(config['initialWallClock'] ?? 0),
  });
  const failedAt = runScript(given, driver);
  expect(failedAt).toBe(expected.failure?.step);
  for (const [name, serdes] of Object.entries(given.outputs)) {
    const rows = driver.produced.filter((record) => record.topic === name).map((record) => outputRow(record, serdes));
    expect(rows, `topic ${name}`).toEqual((expected.outputs?.[name] ?? []).map((row) => ({ ...row, key: normalized(row.key), value: normalized(row.value) })));
  }
  const kindMatters = new Set<string>([...(given.storeKindMatters ?? []), DIFFERENT[given.name]?.part ?? '']);
  if (expected.dropped !== undefined && !kindMatters.has('dropped')) expect(driver.dropped, 'dropped').toBe(expected.dropped);
  if (expected.internalTopics !== undefined && !kindMatters.has('internalTopics')) {
    const rows: Record<string, unknown[]> = {};
    const internal = new Set(built.internalTopics.map((topic) => `parity-${topic.name}`));
    for (const record of driver.produced) if (internal.has(record.topic)) (rows[record.topic] ??= []).push(bytesRow(record));
    expect(rows).toEqual(expected.internalTopics);
  }
  if (expected.stores !== undefined && !kindMatters.has('stores')) {
    expect([...driver.stores.keys()].filter((name) => !isJoinBuffer(built.stores.get(name))).sort()).toEqual(Object.keys(expected.stores).sort());
    for (const [name, rows] of Object.entries(expected.stores)) expect(storeRows(driver, name, rows.some((row) => row.ts === undefined)), `store ${name}`).toEqual(rows.map((row) => ({ ...row, key: normalized(row.key) })));
  }
}

/** The step that threw, if one did; what it had done by then does not count. */
function runScript(given: Case, driver: Driver): number | undefined {
  for (const [step, { pipe, advanceWallClock }] of (given.script ?? []).entries()) {
    if (pipe === undefined) {
      driver.advanceWallClock(advanceWallClock ?? 0);
      continue;
    }
    const before = { produced: driver.produced.length, dropped: driver.dropped };
    const arrival = toArrival(pipe, given.inputs[pipe.topic] as TopicSerdes);
    try {
      driver.pipe(arrival);
    } catch (error) {
      if (given.expect.failure === undefined) throw error;
      driver.produced.length = before.produced;
      driver.dropped = before.dropped;
      return step;
    }
  }
  return undefined;
}

function toArrival(pipe: Pipe, serdes: TopicSerdes) {
  const { topic } = pipe;
  const bytes = (role: 'key' | 'value', hex: string | undefined, value: unknown): Uint8Array | null => {
    if (hex !== undefined) return Buffer.from(hex, 'hex');
    const ours = fromCase(serdes[role], value);
    return ours === null ? null : serdeNamed(serdes[role]).serialize(ours, { topic, role, headers: noHeaders });
  };
  const headers = (pipe.headers ?? []).map(([name, text]) => [name, text === null ? null : Buffer.from(text)] as const);
  return { topic, timestamp: pipe.ts, key: bytes('key', pipe.keyHex, pipe.key), value: bytes('value', pipe.valueHex, pipe.value), headers };
}

function outputRow(record: Produced, serdes: TopicSerdes): Row {
  const { topic } = record;
  const decoded = (role: 'key' | 'value', bytes: Uint8Array | null): unknown => toCase(decodeWith(serdeNamed(serdes[role]), bytes, { topic, role, headers: noHeaders }));
  return { key: decoded('key', record.key), value: decoded('value', record.value), ts: record.timestamp, ...headersOf(record) };
}

function bytesRow(record: Produced): Row {
  const hex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString('hex'));
  return { key: hex(record.key), value: hex(record.value), ts: record.timestamp, ...headersOf(record) };
}

function headersOf(record: Produced): Pick<Row, 'headers'> {
  if (record.headers.length === 0) return {};
  return { headers: record.headers.map(([name, value]) => [name, value === null ? null : Buffer.from(value).toString('utf8')] as const) };
}

/** `withoutTimes`: a processor's plain store, which has no timestamps in Java; ours all have. */
function storeRows(driver: Driver, name: string, withoutTimes: boolean): Row[] {
  const store = driver.stores.get(name);
  if (store instanceof StagedKeyValueStore) return [...store.range()].map((entry) => ({ key: toCase(entry.key), value: toCase(entry.value), ...(withoutTimes ? {} : { ts: entry.timestamp }) }));
  if (store instanceof StagedSessionStore) {
    const sessions = [...store.fetchAll()].map((entry) => ({ key: toCase(entry.key) as { key: unknown; start: number; end: number }, value: toCase(entry.value) }));
    return sessions.sort((a, b) => (String(a.key.key) < String(b.key.key) ? -1 : String(a.key.key) > String(b.key.key) ? 1 : a.key.start - b.key.start));
  }
  const rows = [...(store as StagedWindowStore<unknown, unknown>).fetchAll()].map((entry) => ({ key: toCase(entry.key) as { key: unknown; start: number; end: string }, value: toCase(entry.value), ts: entry.timestamp }));
  return rows.sort((a, b) => (String(a.key.key) < String(b.key.key) ? -1 : String(a.key.key) > String(b.key.key) ? 1 : a.key.start - b.key.start));
}

/** The cases do not list the buffers of joins. */
function isJoinBuffer(spec: StoreSpec | undefined): boolean {
  return spec?.kind === 'window' ? spec.duplicates : /^(unmatched|subscription)\(/.test(spec?.key.format ?? '');
}
