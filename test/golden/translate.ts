// A recorded program, step by step, written in our DSL.
// Types are erased here: the programs are data, and what they do is checked against what was recorded.
import { MillraceError } from '@millrace/core';
import { type Emit, type GlobalTable, type KGroupedStream, type KGroupedTable, type KStream, type KTable, type SessionWindowedKStream, store, type TimeWindowedKStream, type Topic, type TopicOptions, type TopologyBuilder, topic, topicPattern, type WindowEmit, windows } from '@millrace/dsl';
import type { Case, Materialized, SerdeName, Step, StoreCase, Windows } from './case-format.ts';
import * as functions from './functions.ts';
import { NotExpressible } from './functions.ts';
import { AS_OURS, type Likenesses } from './likeness.ts';
import { type CaseStore, caseStore, fixedKeyProcessor, processor, transformer } from './processors.ts';
import { serdeNamed } from './serdes.ts';

type Stream = KStream<unknown, unknown>;
type Table = KTable<unknown, unknown, unknown>;
type Group = KGroupedStream<unknown, unknown>;
type TableGroup = KGroupedTable<unknown, unknown>;
type Windowed = TimeWindowedKStream<unknown, unknown>;
type Sessions = SessionWindowedKStream<unknown, unknown>;
/** Our cogroup takes the initial value first, so it is built once the whole chain is known. */
interface Cogroup {
  readonly inputs: readonly { readonly group: Group; readonly aggregator: string }[];
  readonly windows?: Windows;
}
type Made = { readonly kind: 'global'; readonly it: GlobalTable<unknown, unknown> } | { readonly kind: 'cogroup'; readonly it: Cogroup } | { readonly kind: 'stream'; readonly it: Stream } | { readonly kind: 'table'; readonly it: Table } | { readonly kind: 'group'; readonly it: Group } | { readonly kind: 'tableGroup'; readonly it: TableGroup } | { readonly kind: 'windowed'; readonly it: Windowed; readonly emit?: WindowEmit } | { readonly kind: 'sessions'; readonly it: Sessions; readonly emit?: WindowEmit };

type Options = Record<string, unknown>;
/** Tables of every type are one here. */
const asTable = (table: object): Table => table as Table;
/** Leaves out what is undefined: our options are exact. */
const options = (all: Options): object => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
const serdeOr = (name: SerdeName | undefined): unknown => (name === undefined ? undefined : serdeNamed(name));

export function translate(given: Case, t: TopologyBuilder, likenesses: Likenesses): void {
  new Translation(given, t, likenesses).run();
}

class Translation {
  readonly #case: Case;
  readonly #t: TopologyBuilder;
  readonly #made = new Map<string, Made>();
  readonly #stores = new Map<string, CaseStore>();
  readonly #topics = new Map<string, Topic<unknown, unknown>>();
  readonly #emit: Emit;
  readonly #likenesses: Likenesses;

  constructor(given: Case, t: TopologyBuilder, likenesses: Likenesses) {
    this.#case = given;
    this.#likenesses = likenesses;
    this.#t = t;
    this.#emit = given.config['statestore.cache.max.bytes'] === '0' ? 'onUpdate' : 'onCommit';
  }

  run(): void {
    for (const step of this.#case.topology) {
      const made = this.#step(step);
      if (step.id !== undefined && made !== undefined) this.#made.set(step.id, made);
    }
  }

  #step(step: Step): Made | undefined {
    if (step.op === 'stream') return { kind: 'stream', it: this.#stream(step) };
    if (step.op === 'table') return { kind: 'table', it: this.#table(step) };
    if (step.op === 'globalTable') return { kind: 'global', it: this.#globalTable(step) };
    if (step.op === 'addGlobalStore' && step.store !== undefined) {
      this.#addStore(step.store);
      const kept = this.#store(step.store.name);
      this.#t.globalStore(this.#topic(step.topic as string, step), processor(step.fn ?? '', [kept], () => kept) as never, options({ as: step.named }));
      return undefined;
    }
    if (step.op === 'addStateStore' && step.store !== undefined) {
      this.#addStore(step.store);
      return undefined;
    }
    if (step.in === undefined) throw new NotExpressible(`operator ${step.op}`);
    const above = this.#made.get(step.in);
    if (above === undefined) throw new NotExpressible(`input ${step.in}`);
    switch (above.kind) {
      case 'stream':
        return this.#onStream(above.it, step);
      case 'table':
        return this.#onTable(above.it, step);
      case 'cogroup':
        return this.#onCogroup(above.it, step);
      case 'group':
        if (step.op === 'cogroup') return { kind: 'cogroup', it: { inputs: [{ group: above.it, aggregator: step.aggregator as string }] } };
        if (step.op === 'windowedBy' && step.windows?.type === 'session')
          return { kind: 'sessions', it: above.it.windowedBy(windows.session({ gap: step.windows.gap as number, grace: step.windows.grace ?? 0 })) };
        if (step.op === 'windowedBy') return { kind: 'windowed', it: above.it.windowedBy(windowsOf(step.windows as Windows)) };
        return { kind: 'table', it: this.#fold(above.it, step, 'keyValue') };
      case 'tableGroup':
        return { kind: 'table', it: this.#foldTable(above.it, step) };
      case 'windowed':
        if (step.op === 'emitStrategy') return { ...above, ...(step.fn === 'onWindowClose' ? { emit: 'onWindowClose' as const } : {}) };
        return { kind: 'table', it: this.#fold(above.it, step, 'window', above.emit) };
      case 'sessions':
        if (step.op === 'emitStrategy') return { ...above, ...(step.fn === 'onWindowClose' ? { emit: 'onWindowClose' as const } : {}) };
        return { kind: 'table', it: this.#foldSessions(above.it, step, above.emit) };
    }
  }

  #stream(step: Step): Stream {
    const topics = step.pattern === undefined ? (step.topics ?? [step.topic as string]).map((name) => this.#topic(name, step)) : [this.#pattern(step.pattern, step)];
    return this.#t.stream(topics, options({ as: step.named, startFrom: step.reset }));
  }

  #table(step: Step): Table {
    const { materialized } = step;
    return asTable(this.#t.table(this.#topic(step.topic as string, step) as Topic<unknown, unknown>, options({ as: step.named, emit: this.#emitOf(materialized), store: this.#handle(materialized, 'keyValue') })));
  }

  #globalTable(step: Step): GlobalTable<unknown, unknown> {
    const { materialized: settings } = step;
    if (settings !== undefined && settings.name === undefined && settings.supplier === undefined) throw new MillraceError('ERR_OPTION', 'our types refuse settings of a store without a name here');
    const handle = this.#handle(step.materialized, 'keyValue');
    return this.#t.globalTable(this.#topic(step.topic as string, step), options({ as: step.named, store: handle }));
  }

  #topic(name: string, step: Step): Topic<unknown, unknown> {
    return this.#declared(name, step, (how) => topic(name, how));
  }

  /** Sound: a pattern is only read, and every declaration is of the same type here. */
  #pattern(source: string, step: Step): Topic<unknown, unknown> {
    return this.#declared(`/${source}/`, step, (how) => topicPattern(new RegExp(source), how) as Topic<unknown, unknown>);
  }

  /** Equal declarations are one value, as they are in a program. */
  #declared(name: string, step: Step, declare: (how: TopicOptions<unknown, unknown, unknown>) => Topic<unknown, unknown>): Topic<unknown, unknown> {
    const { config } = this.#case;
    const key = serdeNamed(step.key ?? (config['default.key.serde'] as string));
    const value = serdeNamed(step.value ?? (config['default.value.serde'] as string));
    const id = JSON.stringify([name, step.key ?? null, step.value ?? null, step.extractor ?? null]);
    const known = this.#topics.get(id);
    if (known !== undefined) return known;
    const made = declare({ key, value, ...timestampOf(step.extractor) });
    this.#topics.set(id, made);
    return made;
  }

  #onStream(stream: Stream, step: Step): Made | undefined {
    const named = options({ as: step.named });
    const keyed = options({ as: step.named, key: serdeOr(step.key), value: serdeOr(step.value), partitions: step.partitions });
    const fn = step.fn ?? '';
    const made = (it: Stream): Made => ({ kind: 'stream', it });
    switch (step.op) {
      case 'filter': {
        const test = functions.predicate(fn);
        return made(stream.filter((v, k) => test(k, v), named));
      }
      case 'filterNot': {
        const test = functions.predicate(fn);
        return made(stream.filterNot((v, k) => test(k, v), named));
      }
      case 'map': {
        const map = functions.mapper(fn);
        return made(stream.map((v, k) => map(k, v) as { key: unknown; value: unknown }, named));
      }
      case 'mapValues': {
        const map = functions.valueMapper(fn);
        return made(stream.mapValues<unknown>((v, k) => map(k, v), named));
      }
      case 'flatMap': {
        const map = functions.flatMapper(fn);
        return made(stream.flatMap((v, k) => map(k, v) as { key: unknown; value: unknown }[], named));
      }
      case 'flatMapValues': {
        const map = functions.flatValueMapper(fn);
        return made(stream.flatMapValues((v, k) => map(k, v) as unknown[], named));
      }
      case 'selectKey': {
        const select = functions.keySelector(fn);
        return made(stream.selectKey<unknown>((v, k) => select(k, v), named));
      }
      case 'peek':
        return made(stream.peek(() => {}, named));
      case 'foreach':
        stream.forEach(() => {}, named);
        return undefined;
      case 'merge':
        return made(stream.merge(this.#other(step, 'stream') as Stream, named));
      case 'split':
        this.#split(stream, step);
        return undefined;
      case 'repartition':
        return made(stream.repartition(keyed));
      case 'toTable':
        return { kind: 'table', it: asTable(stream.toTable(this.#tableOptions(step, 'keyValue'))) };
      case 'groupByKey':
        return { kind: 'group', it: stream.groupByKey(keyed) };
      case 'groupBy': {
        const select = functions.keySelector(fn);
        return { kind: 'group', it: stream.groupBy<unknown>((v, k) => select(k, v), keyed) };
      }
      case 'join':
      case 'leftJoin':
      case 'outerJoin':
        return made(this.#join(stream, step));
      case 'process': {
        const connected = (step.stores ?? []).map((name) => this.#store(name));
        return made(stream.process(processor(fn, connected, (name) => this.#store(name)), named));
      }
      case 'processValues': {
        const connected = (step.stores ?? []).map((name) => this.#store(name));
        return made(stream.processValues(fixedKeyProcessor(fn, connected, (name) => this.#store(name)), named));
      }
      case 'to':
        if (step.topic === undefined) return this.#toChosen(stream, step);
        stream.to(this.#sinkTopic(step.topic, step), named);
        return undefined;
    }
    throw new NotExpressible(`stream.${step.op}`);
  }

  #addStore(given: StoreCase): void {
    if (this.#stores.has(given.name)) throw new NotExpressible('two stores of one name (handles are values)');
    this.#stores.set(given.name, caseStore(given, this.#likenesses));
  }

  #store(name: string): CaseStore {
    // A name that nobody declared is a handle that nobody made.
    return this.#stores.get(name) ?? { handle: { kind: 'keyValue', name }, isTimestamped: false };
  }

  #split(stream: Stream, step: Step): void {
    const branches = step.branches ?? [];
    const rest = step.default;
    const nameOf = (index: number): string => `branch-${index}`;
    const predicates = branches.map((branch, index) => {
      const test = functions.predicate(branch.fn);
      return [nameOf(index), (v: unknown, k: unknown) => test(k, v)] as const;
    });
    // What Java puts behind the split's name: a branch's own name, else its number.
    const suffixes = Object.fromEntries([...branches.map((branch, index) => [nameOf(index), branch.named ?? `${index + 1}`]), ['rest', rest?.named ?? '0']]);
    const made = stream.split(Object.fromEntries(predicates), { suffixes, ...options({ as: step.named }) });
    for (const [index, branch] of branches.entries()) if (branch.id !== undefined) this.#made.set(branch.id, { kind: 'stream', it: made[nameOf(index)] as Stream });
    if (rest !== undefined) this.#made.set(rest.id ?? '', { kind: 'stream', it: made.rest as Stream });
  }

  /** Topics are values here, so those that a case lists as outputs are the choice. */
  #toChosen(stream: Stream, step: Step): undefined {
    const extract = functions.topicExtractor(step.topicExtractor as string);
    const topics = new Map(Object.keys(this.#case.outputs).map((name) => [name, this.#sinkTopic(name, step)]));
    // The name is shown by describe().
    const choose = { OutByPrefix: (v: unknown, k: unknown): Topic<unknown, unknown> => topics.get(extract(k, v)) as Topic<unknown, unknown> }.OutByPrefix;
    stream.to(choose, { topics: [...topics.values()], ...options({ as: step.named }) });
    return undefined;
  }

  #sinkTopic(name: string, step: Step): Topic<unknown, unknown> {
    const { config } = this.#case;
    return topic(name, { key: serdeNamed(step.key ?? (config['default.key.serde'] as string)), value: serdeNamed(step.value ?? (config['default.value.serde'] as string)) });
  }

  #join(stream: Stream, step: Step): Stream {
    const other = this.#made.get(step.other as string);
    if (other?.kind === 'stream') return this.#joinStreams(stream, other.it, step);
    if (other?.kind === 'global') {
      const select = functions.keySelector(step.keySelector as string);
      const combine = functions.joiner(step.joiner as string);
      const how = { on: (v: unknown, k: unknown) => select(k, v), ...options({ as: step.named }) };
      const joined = (l: unknown, r: unknown, k: unknown): unknown => combine(k, l, r);
      return step.op === 'join' ? stream.join<unknown, unknown, unknown>(other.it, joined, how) : stream.leftJoin<unknown, unknown, unknown>(other.it, joined, how);
    }
    if (other?.kind !== 'table') throw new NotExpressible(`a join with a ${other?.kind}`);
    const join = functions.joiner(step.joiner as string);
    const { key, value, named, grace } = step.joined ?? {};
    const given = options({ as: named, grace, key: serdeOr(key), value: serdeOr(value) });
    const joiner = (l: unknown, r: unknown, k: unknown): unknown => join(k, l, r);
    return step.op === 'join' ? stream.join<unknown, unknown, unknown>(other.it, joiner, given) : stream.leftJoin<unknown, unknown, unknown>(other.it, joiner, given);
  }

  #joinStreams(stream: Stream, other: Stream, step: Step): Stream {
    const { key, value, otherValue, named, storeName, logging, thisStore, otherStore } = step.joined ?? {};
    const buffers = options({ thisStore: bufferOf(thisStore), otherStore: bufferOf(otherStore) });
    const { before, after, grace } = step.windows as { before?: number; after?: number; grace?: number };
    const join = functions.joiner(step.joiner as string);
    const joiner = (l: unknown, r: unknown, k: unknown): unknown => join(k, l, r);
    const changelog = logging === false ? false : undefined;
    const given = {
      before: before ?? 0,
      after: after ?? 0,
      grace: grace ?? 0,
      ...buffers,
      ...options({ as: named, storeName, changelog, key: serdeOr(key), value: serdeOr(value), otherValue: serdeOr(otherValue) }),
    };
    if (step.op === 'join') return stream.join<unknown, unknown>(other, joiner, given);
    if (step.op === 'leftJoin') return stream.leftJoin<unknown, unknown>(other, joiner, given);
    return stream.outerJoin<unknown, unknown>(other, joiner, given);
  }

  #joinTables(table: Table, step: Step): Table {
    const other = this.#other(step, 'table') as Table;
    const join = functions.joiner(step.joiner as string);
    // Joins of tables give the recorded joiners no key.
    const joiner = (l: unknown, r: unknown): unknown => join(null, l, r);
    const given = this.#tableOptions(step, 'keyValue');
    const foreignKey = step.foreignKey ?? step.foreignKeyWithKey;
    if (foreignKey !== undefined) {
      const select = functions.keySelector(foreignKey);
      const on = (v: unknown, k: unknown): unknown => select(k, v);
      const byKey = { ...given, ...options({ as: step.tableJoined }), on };
      return asTable(step.op === 'join' ? table.foreignKeyJoin<unknown, unknown, unknown, unknown>(other, joiner, byKey) : table.leftForeignKeyJoin<unknown, unknown, unknown, unknown>(other, joiner, byKey));
    }
    if (step.op === 'join') return asTable(table.join<unknown, unknown, unknown>(other, joiner, given));
    if (step.op === 'leftJoin') return asTable(table.leftJoin<unknown, unknown, unknown>(other, joiner, given));
    return asTable(table.outerJoin<unknown, unknown, unknown>(other, joiner, given));
  }

  #onTable(table: Table, step: Step): Made {
    const fn = step.fn ?? '';
    switch (step.op) {
      case 'filter': {
        const test = functions.predicate(fn);
        return { kind: 'table', it: asTable(table.filter((v, k) => test(k, v), this.#tableOptions(step, 'keyValue'))) };
      }
      case 'filterNot': {
        const test = functions.predicate(fn);
        return { kind: 'table', it: asTable(table.filterNot((v, k) => test(k, v), this.#tableOptions(step, 'keyValue'))) };
      }
      case 'mapValues': {
        const map = functions.valueMapper(fn);
        return { kind: 'table', it: asTable(table.mapValues<unknown>((v, k) => map(k, v), this.#tableOptions(step, 'keyValue'))) };
      }
      case 'transformValues': {
        const connected = (step.stores ?? []).map((name) => this.#store(name));
        const spec = transformer(fn, connected, (name) => this.#store(name));
        return { kind: 'table', it: asTable(table.transformValues(spec, this.#tableOptions(step, 'keyValue'))) };
      }
      case 'groupBy': {
        const map = functions.mapper(fn);
        const given = options({ as: step.named, key: serdeOr(step.key), value: serdeOr(step.value), partitions: step.partitions });
        return { kind: 'tableGroup', it: table.groupBy<unknown, unknown>((v, k) => map(k, v) as { key: unknown; value: unknown }, given) };
      }
      case 'join':
      case 'leftJoin':
      case 'outerJoin':
        return { kind: 'table', it: this.#joinTables(table, step) };
      case 'suppress':
        return { kind: 'table', it: this.#sourceless(asTable(this.#suppress(table, step))) };
      case 'toStream': {
        const stream = table.toStream(options({ as: step.named })) as Stream;
        if (step.fn === undefined) return { kind: 'stream', it: stream };
        const select = functions.keySelector(step.fn);
        return { kind: 'stream', it: stream.selectKey<unknown>((v, k) => select(k, v)) };
      }
    }
    throw new NotExpressible(`table.${step.op}`);
  }

  #onCogroup(given: Cogroup, step: Step): Made {
    if (step.op === 'windowedBy') return { kind: 'cogroup', it: { ...given, windows: step.windows as Windows } };
    if (step.op === 'cogroup') return { kind: 'cogroup', it: { inputs: [...given.inputs, { group: this.#other(step, 'group') as Group, aggregator: step.aggregator as string }] } };
    const initial = functions.initializer(step.init as string);
    const [first, ...more] = given.inputs.map(({ group, aggregator }) => ({ group, add: adder(aggregator) }));
    if (first === undefined) throw new NotExpressible('an empty cogroup');
    const all = more.reduce((cogrouped, { group, add }) => cogrouped.cogroup(group, add), first.group.cogroup<unknown>({ initial: () => initial(), add: first.add }));
    const { windows: windowed } = given;
    if (windowed === undefined) return { kind: 'table', it: asTable(all.aggregate(this.#tableOptions(step, 'keyValue'))) };
    if (windowed.type !== 'session') return { kind: 'table', it: asTable(all.windowedBy(windowsOf(windowed)).aggregate(this.#tableOptions(step, 'window'))) };
    const merge = functions.sessionMerger(step.merger as string);
    const sessions = all.windowedBy(windows.session({ gap: windowed.gap as number, grace: windowed.grace ?? 0 }));
    return { kind: 'table', it: asTable(sessions.aggregate({ merge: (a, b, k) => merge(k, a, b), ...this.#tableOptions(step, 'session') })) };
  }

  #suppress(table: Table, step: Step): object {
    const { named: as, ms, maxRecords: recordsMax, maxBytes: bytesMax, full, logging, until } = step as Step & { until: string; ms?: number; maxRecords?: number; maxBytes?: number; full?: string; logging?: false };
    const common = options({ as, recordsMax, bytesMax, changelog: logging, onFull: full === undefined ? undefined : full === 'emitEarly' ? 'emit' : 'fail' });
    if (until === 'timeLimit') return table.suppress({ until: ms ?? 0, ...common });
    return (table as KTable<never, unknown, unknown>).suppress({ until: 'windowClose', ...common });
  }

  /** As Kafka Streams has a table behind suppress: it comes from nowhere. */
  #sourceless(table: Table): Table {
    if (!this.#likenesses.has('losesSources')) return table;
    const inside = table as unknown as { node: object };
    inside.node = { ...inside.node, sources: [] };
    return table;
  }

  #foldTable(group: TableGroup, step: Step): Table {
    const given = this.#tableOptions(step, 'keyValue');
    switch (step.op) {
      case 'count':
        return asTable(group.count(given));
      case 'reduce': {
        const add = functions.reducer(step.reducer as string);
        const subtract = functions.reducer(step.subtractor as string);
        return asTable(group.reduce({ add: (a, b) => add(a, b) as object, subtract: (a, b) => subtract(a, b) as object, ...given }));
      }
      case 'aggregate': {
        const fold = functions.aggregator(step.aggregator as string);
        const unfold = functions.aggregator(step.subtractor as string);
        const initial = functions.initializer(step.init as string);
        return asTable(group.aggregate<unknown>({ initial: () => initial(), add: (a, v, k) => fold(k, v, a), subtract: (a, v, k) => unfold(k, v, a), ...given }));
      }
    }
    throw new NotExpressible(`grouped table.${step.op}`);
  }

  #fold(group: Group | Windowed, step: Step, kind: 'keyValue' | 'window', emit?: WindowEmit): Table {
    const given = { ...this.#tableOptions(step, kind), ...options({ emit: emit ?? this.#emitOf(step.materialized) }) };
    switch (step.op) {
      case 'count':
        return asTable(group.count(given));
      case 'reduce': {
        const reduce = functions.reducer(step.reducer as string);
        return asTable((group as Group).reduce((a, b) => reduce(a, b) as object, given));
      }
      case 'aggregate': {
        const fold = functions.aggregator(step.aggregator as string);
        const initial = functions.initializer(step.init as string);
        return asTable((group as Group).aggregate<unknown>({ initial: () => initial(), add: (a, v, k) => fold(k, v, a), ...given }));
      }
    }
    throw new NotExpressible(`${kind === 'window' ? 'windowed' : 'grouped'}.${step.op}`);
  }

  #foldSessions(sessions: Sessions, step: Step, emit?: WindowEmit): Table {
    const given = { ...this.#tableOptions(step, 'session'), ...options({ emit: emit ?? this.#emitOf(step.materialized) }) };
    switch (step.op) {
      case 'count':
        return asTable(sessions.count(given));
      case 'reduce': {
        const reduce = functions.reducer(step.reducer as string);
        return asTable(sessions.reduce((a, b) => reduce(a, b), given));
      }
      case 'aggregate': {
        const fold = functions.aggregator(step.aggregator as string);
        const merge = functions.sessionMerger(step.merger as string);
        const initial = functions.initializer(step.init as string);
        return asTable(sessions.aggregate<unknown>({ initial: () => initial(), add: (a, v, k) => fold(k, v, a), merge: (a, b, k) => merge(k, a, b), ...given }));
      }
    }
    throw new NotExpressible(`sessions.${step.op}`);
  }

  #tableOptions(step: Step, kind: 'keyValue' | 'window' | 'session'): object {
    const { materialized, named: as } = step;
    const emit = this.#emitOf(materialized);
    if (materialized === undefined) return options({ as, emit });
    if (materialized.name !== undefined || materialized.supplier !== undefined) return options({ as, emit, store: this.#handle(materialized, kind) });
    const key = serdeOr(materialized.key);
    // An empty Materialized says something too: where names are counted, it counts.
    const kept = { retention: kind === 'keyValue' ? undefined : materialized.retention, changelog: materialized.logging ?? true };
    return options({ as, emit, key, value: serdeOr(materialized.value), ...kept });
  }

  #handle(materialized: Materialized | undefined, kind: 'keyValue' | 'window' | 'session'): unknown {
    if (materialized === undefined) return undefined;
    if (materialized.supplier !== undefined) return this.#supplied(materialized, materialized.supplier);
    if (materialized.name === undefined) return undefined;
    const { name, retention, logging, topicConfig } = materialized;
    // Serdes that a case leaves out are inherited: the handle is made without them.
    const given = options({ key: serdeOr(materialized.key), value: serdeOr(materialized.value), retention, changelog: logging === false ? false : topicConfig === undefined ? undefined : { config: topicConfig } });
    const handle = store[kind](name, given as never);
    if (kind === 'keyValue') this.#stores.set(name, { handle: handle as CaseStore['handle'], isTimestamped: true });
    return handle;
  }

  #supplied(materialized: Materialized, supplier: StoreCase): unknown {
    const { name, type } = supplier;
    // What Java's adapter over a plain persistent store forgets, ours keeps: the times of rows.
    if ((type === 'kv' || type === 'window') && supplier.memory !== true) throw new NotExpressible(`a table over a plain persistent store (${type}), which forgets times`);
    const { topicConfig, logging } = materialized;
    const changelog = logging === false ? false : topicConfig === undefined ? undefined : { config: topicConfig };
    const common = options({ key: serdeOr(materialized.key), value: serdeOr(materialized.value), changelog }) as never;
    const { retention, windowSize, historyRetention: history = 0, capacity: entriesMax } = supplier;
    switch (type) {
      case 'versioned':
        return store.versioned(name, { ...(common as object), history } as never);
      case 'window':
      case 'timestampedWindow':
        return store.window(name, { ...(common as object), ...options({ retention, windowSize }) } as never);
      case 'session':
        return store.session(name, { ...(common as object), ...options({ retention }) } as never);
    }
    const handle = store.keyValue(name, { ...(common as object), ...options({ entriesMax }) } as never);
    this.#stores.set(name, { handle: handle as CaseStore['handle'], isTimestamped: true });
    return handle;
  }

  #emitOf(materialized: Materialized | undefined): Emit {
    return materialized?.caching === false ? 'onUpdate' : this.#emit;
  }

  #other(step: Step, kind: Made['kind']): unknown {
    const other = this.#made.get(step.other as string);
    if (other?.kind !== kind) throw new NotExpressible(`${step.op} with a ${other?.kind}`);
    return other.it;
  }
}

function bufferOf(given: StoreCase | undefined): unknown {
  return given === undefined ? undefined : caseStore({ ...given, key: given.key ?? 'string', value: given.value ?? 'string' }, AS_OURS).handle;
}

function adder(name: string): (aggregate: unknown, value: unknown, key: unknown) => unknown {
  const fold = functions.aggregator(name);
  return (aggregate, value, key) => fold(key, value, aggregate);
}

function windowsOf(given: Windows) {
  const grace = given.grace ?? 0;
  switch (given.type) {
    case 'time': {
      const size = given.size as number;
      return given.advance === undefined ? windows.tumbling({ size, grace }) : windows.hopping({ size, advance: given.advance, grace });
    }
    case 'sliding':
      return windows.sliding({ difference: given.difference as number, grace });
    case 'unlimited':
      return windows.unlimited({ start: given.start ?? 0 });
  }
  throw new NotExpressible(`${given.type} windows`);
}

export function timestampOf(name: string | undefined): object {
  switch (name) {
    case undefined:
    case 'record':
      return {};
    case 'logAndSkip':
      return { onInvalidTimestamp: 'skip' };
    case 'usePartitionTime':
      return { onInvalidTimestamp: 'partitionTime' };
  }
  return { timestamp: functions.extractor(name), onInvalidTimestamp: 'skip' };
}
