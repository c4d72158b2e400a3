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
import { AS_OURS, type Likenesses, withLikeness } from './likeness.ts';
import { isCached, RULES, type Rule } from './on-purpose.ts';
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

/** How a case came out. */
export interface Outcome {
  /** Empty: equal. */
  readonly differences: readonly Difference[];
  /** Names of the rules without which it would differ. */
  readonly onPurpose: readonly string[];
}

/**
 * Compares a case as it is; where it differs, once more with the rules of `on-purpose` that could matter, each alone and then together.
 * Throws NotExpressible for what cannot be said in our DSL, with the reason.
 */
export function checkCase(given: Case): Outcome {
  const differences = compareCase(given, AS_OURS);
  if (differences.length === 0) return { differences, onPurpose: [] };
  const rules = RULES.filter((rule) => rule.applies(given));
  const alone = rules.find((rule) => compareBy(given, [rule]).length === 0);
  if (alone !== undefined) return { differences: [], onPurpose: [alone.name] };
  const left = rules.length === 0 ? differences : compareBy(given, rules);
  if (left.length > 0) return { differences: left, onPurpose: [] };
  return { differences: [], onPurpose: needed(given, rules).map(({ name }) => name) };
}

/** Rules are taken away one after another as long as the case stays equal. */
function needed(given: Case, rules: readonly Rule[]): readonly Rule[] {
  return rules.reduce((kept, rule) => {
    const fewer = kept.filter((each) => each !== rule);
    return compareBy(given, fewer).length === 0 ? fewer : kept;
  }, rules);
}

function compareBy(given: Case, rules: readonly Rule[]): readonly Difference[] {
  const altered = rules.reduce((whole, rule) => rule.without?.(whole) ?? whole, given);
  return compareCase(altered, new Set(rules.flatMap(({ likeness }) => likeness ?? [])));
}

function compareCase(given: Case, likenesses: Likenesses): readonly Difference[] {
  try {
    return withLikeness(likenesses, () => compareParts(given, likenesses));
  } catch (error) {
    if (error instanceof NotExpressible) throw error;
    return [{ part: 'threw', expected: undefined, actual: error instanceof Error ? (error.stack ?? error.message) : String(error) }];
  }
}

function compareParts(given: Case, likenesses: Likenesses): readonly Difference[] {
  const { expect: expected } = given;
  if (expected.error !== undefined) return checkRefused(given, likenesses);
  const found = new Differences();
  const built = build(given, likenesses);
  if (expected.describe !== undefined) found.compare('describe', expected.describe, built.describe());
  checkInternalTopics(given, built, found, likenesses);
  if (given.describeOnly !== true) checkRun(given, built, found, likenesses);
  return found.all;
}

class Differences {
  readonly all: Difference[] = [];
  compare(part: string, expected: unknown, actual: unknown): void {
    if (!isDeepStrictEqual(plain(expected), plain(actual))) this.all.push({ part, expected, actual });
  }
}

/** As JSON has it: without undefined members, prototypes and the sign of a zero. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));

function checkRefused(given: Case, likenesses: Likenesses): readonly Difference[] {
  try {
    const built = build(given, likenesses);
    if (likenesses.has('demandsUnmadeNames') && unmade(given, built)) return [];
  } catch (error) {
    if (error instanceof NotExpressible) throw error;
    if (MillraceError.is(error) && /^ERR_(TOPOLOGY|OPTION|NAME|STORE_NOT_CONNECTED)$/.test(error.code)) return [];
    return [{ part: 'error', expected: 'a typed build error', actual: String(error) }];
  }
  return [{ part: 'error', expected: given.expect.error, actual: 'built' }];
}

/** Are all the names that were demanded those of stores which are never made? */
function unmade({ expect: { error } }: Case, built: Topology): boolean {
  const names = String((error as { readonly javaMessage?: string } | undefined)?.javaMessage).match(/[\w.-]+-[0-9]{10}(?=-changelog|\b)/g) ?? [];
  return names.length > 0 && names.every((name) => !built.stores.has(name));
}

function build(given: Case, likenesses: Likenesses): Topology {
  if (isProcessorApi(given)) return processorApiTopology(given, likenesses);
  const optimization = given.config['topology.optimization'] ?? 'none';
  const merging = likenesses.has('mergesLoosely') ? 'mergeRepartitionsAsKafkaStreams' : 'mergeRepartitions';
  const parts = { reuse: 'reuseSourceTopics', merge: merging, self: 'singleStoreSelfJoin' } as const;
  const optimize = Object.entries(parts).flatMap(([word, name]) => (optimization === 'all' || optimization.includes(word) ? [name] : []));
  const defaults = { key: serdeNamed(given.config['default.key.serde'] ?? 'bytes'), value: serdeNamed(given.config['default.value.serde'] ?? 'bytes') };
  const naming = given.config['ensure.explicit.internal.resource.naming'] === 'true' && !likenesses.has('sparesForeignKeys') ? 'explicit' : 'generated';
  return topology('parity', (t) => translate(given, t, likenesses), { optimize, defaults, naming });
}

function checkInternalTopics(given: Case, built: Topology, found: Differences, likenesses: Likenesses): void {
  const { expect: expected } = given;
  if (expected.internalTopicConfigs !== undefined) {
    const made = built.internalTopics.map(({ name, kind, partitions, config }) => [topicName('parity', { name, internal: true }), { kind, ...(partitions === undefined ? {} : { partitions }), config }]);
    // With a reused source topic Kafka Streams lists that topic as well, though it is the user's.
    const own = Object.entries(expected.internalTopicConfigs).filter(([name]) => given.inputs[name] === undefined);
    found.compare('internalTopicConfigs', sortedByName(own), sortedByName(made as [string, unknown][]));
  }
  if (expected.copartitionGroups === undefined) return;
  found.compare('copartitionGroups', united(expected.copartitionGroups), copartitionGroups(given, built, likenesses));
}

const sortedByName = (entries: readonly (readonly [string, unknown])[]): object => Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));

function checkRun(given: Case, built: Topology, found: Differences, likenesses: Likenesses): void {
  const { config, expect: expected } = given;
  const driver = new Driver({
    topology: built,
    logsEveryWrite: uncached(given, built),
    skipsUndecodable: config['deserialization.exception.handler'] === 'fn:deserializationContinue',
    skipsFailing: config['processing.exception.handler'] === 'fn:processingContinue',
    wallClockMs: Number(config['initialWallClock'] ?? 0),
    topics: Object.keys(given.inputs),
    like: { given, likenesses },
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
  checkInternalRecords(given, built, driver, found, likenesses);
  if (expected.stores === undefined) return;
  const ours = [...driver.stores.keys()].filter((name) => !isJoinBuffer(built.stores.get(name)) || expected.stores?.[name] !== undefined);
  found.compare('stores', Object.keys(expected.stores).sort(), ours.sort());
  for (const [name, rows] of Object.entries(expected.stores)) {
    if (!driver.stores.has(name)) continue;
    found.compare(
      `stores ${name}`,
      (likenesses.has('showsEdge') ? rows.filter((row) => isKept(driver.stores.get(name), row)) : rows).map((row) => ({ ...row, key: normalized(row.key) })),
      storeRows(driver, name, rows.some((row) => row.ts === undefined), given),
    );
  }
}

/** Which stores have no cache over them in Kafka Streams: all, or with caches the added ones, buffers, versioned ones, and those that say so. */
function uncached(given: Case, built: Topology): (store: string) => boolean {
  if (!isCached(given)) return () => true;
  const named = new Set(given.topology.flatMap(({ store, materialized }) => [store?.name ?? '', ...(materialized?.caching === false ? [materialized.supplier?.name ?? materialized.name ?? ''] : [])]));
  const onlyTime = given.topology.every(({ windows }) => windows?.type !== 'sliding');
  return (name) => {
    const spec = built.stores.get(name);
    if (spec === undefined || spec.kind === 'versioned' || isJoinBuffer(spec) || named.has(name)) return true;
    return spec.kind !== 'keyValue' && spec.holdsClosed === true && (spec.kind === 'session' || !onlyTime);
  };
}

/** Is the row not at the very edge of retention, where only the stores by time of Kafka Streams show it? */
function isKept(store: object | undefined, row: Row): boolean {
  if (!(store instanceof StagedWindowStore || store instanceof StagedSessionStore)) return true;
  const { start, end } = row.key as { readonly start: number; readonly end: number };
  return (store.kind === 'window' ? start : end) !== store.observedTime - store.retentionMs;
}

/** Also of a step that failed: records that it had brought to their end, as far as the next repartition topic, were committed one by one. */
function checkInternalRecords(given: Case, built: Topology, driver: Driver, found: Differences, likenesses: Likenesses): void {
  const { internalTopics, internalTopicsUnordered = {} } = given.expect;
  if (internalTopics === undefined && given.expect.internalTopicsUnordered === undefined) return;
  const written = (name: string) => driver.written(name).map(bytesRow);
  /** A time of null was the wall clock when it was recorded. */
  const untimed = (rows: readonly Row[], like: readonly Row[]): readonly Row[] => (like.length > 0 && like.every(({ ts }) => ts === null) ? rows.map((row) => ({ ...row, ts: null as never })) : rows);
  const shown = likenesses.has('namesOffsets') ? withoutSource : ordered;
  const sorted = (rows: readonly Row[]): string[] => rows.map((row) => JSON.stringify(shown(row))).sort();
  const compareSorted = (name: string, rows: readonly Row[]): void => found.compare(`internalTopics ${name}`, sorted(rows), sorted(untimed(written(name), rows)));
  for (const [name, rows] of Object.entries(internalTopicsUnordered)) compareSorted(name, rows);
  // Of a program that failed the changelogs of suppress are listed among the others, in the order of a hash all the same.
  const ofSuppress = new Set([...built.stores.values()].flatMap(({ name, value }) => (value.format.startsWith('buffered(') ? [`parity-${name}-changelog`] : [])));
  for (const [name, rows] of Object.entries(internalTopics ?? {})) {
    if (ofSuppress.has(name)) compareSorted(name, rows);
    else found.compare(`internalTopics ${name}`, rows, untimed(written(name), rows));
  }
  for (const { name } of built.internalTopics) {
    const full = topicName('parity', { name, internal: true });
    if (internalTopics?.[full] === undefined && internalTopicsUnordered[full] === undefined) found.compare(`internalTopics ${full}`, [], written(full));
  }
}

/** One order of members, so that equal rows are equal text. */
const ordered = ({ key, value, ts, headers }: { readonly key?: unknown; readonly value?: unknown; readonly ts?: number; readonly headers?: unknown }): object => ({ key, value, ts, headers });

/** A row of a suppress buffer without the place that its record came from: time 8 | offset 8 | topic 4+n | partition 4 | … */
function withoutSource(row: Row): object {
  if (typeof row.value !== 'string') return ordered(row);
  const bytes = Buffer.from(row.value, 'hex');
  const behind = 16 + 4 + bytes.readInt32BE(16) + 4;
  return ordered({ ...row, value: Buffer.concat([bytes.subarray(0, 8), bytes.subarray(behind)]).toString('hex') });
}

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
