// One recorded case against our DSL, operators, stores and driver: builds the program, runs the script, lists what differs.
// Knows no test runner: the golden tests and `npm run parity` both stand on it.
import { isDeepStrictEqual } from 'node:util';
import { MillraceError } from '@millrace/core';
import { topology } from '@millrace/dsl';
import { StagedSessionStore, StagedWindowStore } from '@millrace/state';
import { type Topology, topicName } from '@millrace/topology';
import type { Case, Row, TopicSerdes } from './case-format.ts';
import { copartitionGroups, united } from './copartition.ts';
import { Driver, type Mark } from './driver.ts';
import { NotExpressible } from './functions.ts';
import { openParts } from './on-purpose.ts';
import { isProcessorApi, processorApiTopology } from './papi.ts';
import { bytesRow, isJoinBuffer, outputRow, storeRows, toArrival } from './read-back.ts';
import { normalized, serdeNamed } from './serdes.ts';
import { translate } from './translate.ts';

/** One part of a case that came out otherwise. */
export interface Difference {
  readonly part: string;
  readonly expected: unknown;
  readonly actual: unknown;
}

/** Where we differ on purpose, and in what. */
export const DIFFERENT: Readonly<Record<string, { readonly part: 'internalTopics' | 'build' | 'run'; readonly why: string }>> = {
  'stream-table/grace-null-key': { part: 'run', why: 'a record without key in a left join with grace fails in Kafka Streams; here it is joined with nothing, at once, as in a join without grace' },
  'window-sliding/zero-difference': { part: 'build', why: 'a difference of 0 is refused when the window is declared; Kafka Streams fails at the first record' },
};

/** Empty: equal. Throws NotExpressible for what cannot be said in our DSL, with the reason. */
export function checkCase(given: Case): readonly Difference[] {
  const { expect: expected } = given;
  if (expected.error !== undefined && openParts(given).has('error')) return [];
  if (expected.error !== undefined || DIFFERENT[given.name]?.part === 'build') return checkRefused(given);
  const found = new Differences(given);
  const built = build(given);
  if (expected.describe !== undefined) found.compare('describe', expected.describe, built.describe());
  checkInternalTopics(given, built, found);
  if (given.describeOnly !== true && DIFFERENT[given.name]?.part !== 'run') checkRun(given, built, found);
  return found.all;
}

class Differences {
  readonly all: Difference[] = [];
  /** Parts in which Kafka Streams itself differs between its store kinds, or we on purpose. */
  readonly #open: ReadonlySet<string>;
  constructor(given: Case) {
    this.#open = new Set([...(given.storeKindMatters ?? []), ...openParts(given), DIFFERENT[given.name]?.part ?? '']);
  }
  compare(part: string, expected: unknown, actual: unknown): void {
    if (this.#open.has(part.split(' ')[0] as string) || isDeepStrictEqual(plain(expected), plain(actual))) return;
    this.all.push({ part, expected, actual });
  }
}

/** As JSON has it: without undefined members, prototypes and the sign of a zero. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));

function checkRefused(given: Case): readonly Difference[] {
  try {
    build(given);
  } catch (error) {
    if (error instanceof NotExpressible) throw error;
    if (MillraceError.is(error) && /^ERR_(TOPOLOGY|OPTION|NAME|STORE_NOT_CONNECTED)$/.test(error.code)) return [];
    return [{ part: 'error', expected: 'a typed build error', actual: String(error) }];
  }
  return [{ part: 'error', expected: given.expect.error, actual: 'built' }];
}

function build(given: Case): Topology {
  if (isProcessorApi(given)) return processorApiTopology(given);
  const optimization = given.config['topology.optimization'] ?? 'none';
  const parts = { reuse: 'reuseSourceTopics', merge: 'mergeRepartitions', self: 'singleStoreSelfJoin' } as const;
  const optimize = optimization === 'all' ? true : Object.entries(parts).flatMap(([word, name]) => (optimization.includes(word) ? [name] : []));
  const defaults = { key: serdeNamed(given.config['default.key.serde'] ?? 'bytes'), value: serdeNamed(given.config['default.value.serde'] ?? 'bytes') };
  const naming = given.config['ensure.explicit.internal.resource.naming'] === 'true' ? 'explicit' : 'generated';
  return topology('parity', (t) => translate(given, t), { optimize, defaults, naming });
}

function checkInternalTopics(given: Case, built: Topology, found: Differences): void {
  const { expect: expected } = given;
  if (expected.internalTopicConfigs !== undefined) {
    const made = built.internalTopics.map(({ name, kind, partitions, config }) => [topicName('parity', { name, internal: true }), { kind, ...(partitions === undefined ? {} : { partitions }), config }]);
    // With a reused source topic Kafka Streams lists that topic as well, though it is the user's.
    const own = Object.entries(expected.internalTopicConfigs).filter(([name]) => given.inputs[name] === undefined);
    found.compare('internalTopicConfigs', sortedByName(own), sortedByName(made as [string, unknown][]));
  }
  if (expected.copartitionGroups === undefined) return;
  found.compare('copartitionGroups', united(expected.copartitionGroups), copartitionGroups(given, built));
}

const sortedByName = (entries: readonly (readonly [string, unknown])[]): object => Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));

function checkRun(given: Case, built: Topology, found: Differences): void {
  const { config, expect: expected } = given;
  const driver = new Driver({
    topology: built,
    logEveryWrite: (config['statestore.cache.max.bytes'] ?? '0') === '0',
    skipsUndecodable: config['deserialization.exception.handler'] === 'fn:deserializationContinue',
    skipsFailing: config['processing.exception.handler'] === 'fn:processingContinue',
    wallClockMs: Number(config['initialWallClock'] ?? 0),
    topics: Object.keys(given.inputs),
  });
  const failed = runScript(given, driver);
  if (failed?.step !== expected.failure?.step) {
    found.compare('failure', expected.failure?.step, failed === undefined ? undefined : `step ${failed.step}: ${String(failed.error)}`);
    return;
  }
  for (const [name, serdes] of Object.entries(given.outputs)) {
    const listed = (expected.outputs?.[name] ?? []).map((row) => ({ ...row, key: normalized(row.key), value: normalized(row.value) }));
    found.compare(`outputs ${name}`, listed, driver.written(name, failed?.mark).map((record) => outputRow(record, serdes)));
  }
  if (expected.dropped !== undefined) found.compare('dropped', expected.dropped, failed?.mark.dropped ?? driver.dropped);
  checkInternalRecords(given, built, driver, found);
  if (expected.stores === undefined) return;
  const ours = [...driver.stores.keys()].filter((name) => !isJoinBuffer(built.stores.get(name)) || expected.stores?.[name] !== undefined);
  found.compare('stores', Object.keys(expected.stores).sort(), ours.sort());
  for (const [name, rows] of Object.entries(expected.stores)) {
    if (!driver.stores.has(name)) continue;
    found.compare(
      `stores ${name}`,
      (isCached(given) ? rows.filter((row) => isKept(driver.stores.get(name), row)) : rows).map((row) => ({ ...row, key: normalized(row.key) })),
      storeRows(driver, name, rows.some((row) => row.ts === undefined), given),
    );
  }
}

const isCached = (given: Case): boolean => (given.config['statestore.cache.max.bytes'] ?? '0') !== '0';

/** Kafka Streams' cache goes on showing rows that retention has taken from the store below it. */
function isKept(store: object | undefined, row: Row): boolean {
  if (!(store instanceof StagedWindowStore || store instanceof StagedSessionStore)) return true;
  const { start, end } = row.key as { readonly start: number; readonly end: number };
  return (store.kind === 'window' ? start : end) > store.observedTime - store.retentionMs;
}

/** Also of a step that failed: records that it had brought to their end, as far as the next repartition topic, were committed one by one. */
function checkInternalRecords(given: Case, built: Topology, driver: Driver, found: Differences): void {
  const { internalTopics, internalTopicsUnordered = {} } = given.expect;
  if (internalTopics === undefined && given.expect.internalTopicsUnordered === undefined) return;
  const written = (name: string) => driver.written(name).map(bytesRow);
  /** A time of null was the wall clock when it was recorded. */
  const untimed = (rows: readonly Row[], like: readonly Row[]): readonly Row[] => (like.length > 0 && like.every(({ ts }) => ts === null) ? rows.map((row) => ({ ...row, ts: null as never })) : rows);
  for (const [name, rows] of Object.entries(internalTopics ?? {})) found.compare(`internalTopics ${name}`, rows, untimed(written(name), rows));
  const sorted = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();
  for (const [name, rows] of Object.entries(internalTopicsUnordered)) found.compare(`internalTopics ${name}`, sorted(rows.map(ordered)), sorted(untimed(written(name), rows).map(ordered)));
  for (const { name } of built.internalTopics) {
    const full = topicName('parity', { name, internal: true });
    if (internalTopics?.[full] === undefined && internalTopicsUnordered[full] === undefined) found.compare(`internalTopics ${full}`, [], written(full));
  }
}

/** One order of members, so that equal rows are equal text. */
const ordered = ({ key, value, ts, headers }: { readonly key?: unknown; readonly value?: unknown; readonly ts?: number; readonly headers?: unknown }): object => ({ key, value, ts, headers });

interface Failed {
  readonly step: number;
  readonly error: unknown;
  /** What had been done before that step: the step itself does not count. */
  readonly mark: Mark;
}

const rootOf = (error: unknown): unknown => (error instanceof Error && error.cause !== undefined ? rootOf(error.cause) : error);

function runScript(given: Case, driver: Driver): Failed | undefined {
  for (const [step, { pipe, advanceWallClock }] of (given.script ?? []).entries()) {
    const mark = driver.mark();
    // A value that we cannot write is no failure of the program.
    const arrival = pipe === undefined ? undefined : toArrival(pipe, given.inputs[pipe.topic] as TopicSerdes);
    try {
      if (arrival === undefined) driver.advanceWallClock(advanceWallClock ?? 0);
      else driver.pipe(arrival);
    } catch (error) {
      const cause = rootOf(error);
      if (cause instanceof NotExpressible) throw cause;
      return { step, error, mark };
    }
  }
  return undefined;
}
