// Adds a foreign-key join to the plan: two internal topics, the store of who refers to whom between them, the result read as a table
// (semantics 2.4, 2.5, 13). Each name of the user's takes an index all the same, as everywhere.
import type { SinkPartitioner } from '@millrace/topology';
import type { ErasedJoiner, ErasedRowMapper } from '../erased.ts';
import {
  answerAllOperator,
  answerOperator,
  type ForeignKeyJoinKind,
  receiveOperator,
  resolveOperator,
  rowHasher,
  subscribeOperator,
} from '../operators/foreign-key-join.ts';
import { answerSerde, type ForeignAnswer, subscriptionKeySerde, subscriptionSerde } from '../operators/foreign-key-serdes.ts';
import { SharedOpenAnswers } from '../operators/open-answers.ts';
import type { NamePrefix } from '../plan/names.ts';
import type { PlanDraft } from './plan-draft.ts';
import { firstSerde, withNull } from './serde-hints.ts';
import { nameStore } from './store-draft.ts';
import type { TableNode } from './stream-node.ts';
import { SourceRows, type TableSourceOptionsErased } from './table-sources.ts';

export type ForeignKeyOptionsErased = TableSourceOptionsErased & {
  readonly on: ErasedRowMapper;
  readonly partitioner?: SinkPartitioner;
  readonly otherPartitioner?: SinkPartitioner;
};

type Names = ReturnType<typeof nameJoin>;

export function joinByForeignKey(
  left: TableNode,
  right: TableNode,
  joiner: ErasedJoiner,
  kind: ForeignKeyJoinKind,
  options: ForeignKeyOptionsErased,
): TableNode {
  const { draft } = left;
  const names = nameJoin(draft, options.as);
  const result = nameStore(draft, 'KTABLE-FK-JOIN-OUTPUT-', options, 'keyValue');
  left.rows.sendPrior(true);
  right.rows.sendPrior(true);
  const answers = new SharedOpenAnswers(draft.keySerde(left.key), names.primaryTopic);
  const registration = addSubscriptions(left, right, names, kind, { ...options, answers });
  const response = addAnswers(left, right, names, registration, options);
  draft.addCopartitioned([...right.sources, registration]);
  const sources = [...new Set([...left.sources, response])];
  draft.addCopartitioned(sources);
  const leftView = left.rows.view();
  const hashOf = rowHasher(draft.valueSerde(left.value), names.hashTopic);
  const resolver = draft.add({
    kind: 'operator',
    name: names.resolver,
    parents: [response],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({ stores: leftView.stores, create: resolveOperator({ kind, view: leftView, joiner, hashOf, answers }) }),
  });
  const key = firstSerde(result.key, left.key);
  const rows = new SourceRows(draft, result, key, result.value);
  const node = draft.add({
    kind: 'operator',
    name: names.result,
    parents: [resolver],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => rows.resolve(draft.hasChildren(node), options.emit),
  });
  return { draft, node, name: names.result, key, value: result.value, sources, rows };
}

function nameJoin(draft: PlanDraft, as: string | undefined) {
  const name = (suffix: string, prefix: NamePrefix): string => draft.names.suffixed(as, suffix, prefix);
  const registrationTopic = `${name('-subscription-registration', 'KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-')}-topic`;
  return {
    registrationTopic,
    primaryTopic: `${registrationTopic}-pk`,
    foreignTopic: `${registrationTopic}-fk`,
    hashTopic: `${registrationTopic}-vh`,
    subscribe: name('-subscription-registration-processor', 'KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-'),
    registrationSink: name('-subscription-registration-sink', 'KTABLE-SINK-'),
    registrationSource: name('-subscription-registration-source', 'KTABLE-SOURCE-'),
    store: name('-subscription-store', 'KTABLE-FK-JOIN-SUBSCRIPTION-STATE-STORE-'),
    receive: name('-subscription-receive', 'KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR-'),
    answer: name('-subscription-join-foreign', 'KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR-'),
    answerAll: name('-foreign-join-subscription', 'KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR-'),
    responseTopic: `${name('-subscription-response', 'KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-')}-topic`,
    responseSink: name('-subscription-response-sink', 'KTABLE-SINK-'),
    responseSource: name('-subscription-response-source', 'KTABLE-SOURCE-'),
    resolver: name('-subscription-response-resolver', 'KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR-'),
    result: name('-result', 'KTABLE-FK-JOIN-OUTPUT-'),
  };
}

/** The way out of the left table. Returns the topic's node. */
function addSubscriptions(
  left: TableNode,
  right: TableNode,
  names: Names,
  kind: ForeignKeyJoinKind,
  options: ForeignKeyOptionsErased & { readonly answers: SharedOpenAnswers },
): number {
  const { draft } = left;
  const foreignKey = draft.keySerde(right.key);
  const create = subscribeOperator({
    kind,
    on: options.on,
    hashOf: rowHasher(draft.valueSerde(left.value), names.hashTopic),
    foreignKey,
    pseudoTopic: names.foreignTopic,
    answers: options.answers,
  });
  const subscribe = draft.add({
    kind: 'operator',
    name: names.subscribe,
    parents: [left.node],
    effect: 'keepsAll',
    takesNullKeys: false,
    onError: options.onError,
    resolve: () => ({ stores: [], create }),
  });
  return draft.add({
    kind: 'repartition',
    topic: names.registrationTopic,
    filterName: undefined,
    sinkName: names.registrationSink,
    name: names.registrationSource,
    parents: [subscribe],
    key: withNull(foreignKey),
    value: subscriptionSerde(draft.keySerde(left.key), names.primaryTopic),
    carriesChanges: false,
    partitions: undefined,
    partitioner: options.otherPartitioner,
    mergeable: false,
    keepsNullKeys: true,
  });
}

/** The right side: subscriptions and changes of rows both lead to answers. Returns the node of the topic that carries them back. */
function addAnswers(left: TableNode, right: TableNode, names: Names, registration: number, options: ForeignKeyOptionsErased): number {
  const { draft } = left;
  const { store } = names;
  const primary = draft.keySerde(left.key);
  draft.addStore(store, () => ({
    kind: 'keyValue',
    name: store,
    key: subscriptionKeySerde(draft.keySerde(right.key), primary, { foreign: names.foreignTopic, primary: names.primaryTopic }),
    value: subscriptionSerde(primary, names.primaryTopic),
    changelog: { config: {} },
    queryable: false,
    logsHeaders: true,
  }));
  const view = right.rows.view();
  const common = { kind: 'operator', effect: 'keepsAll', takesNullKeys: false, onError: options.onError } as const;
  const receive = draft.add({ ...common, name: names.receive, parents: [registration], resolve: () => ({ stores: [store], create: receiveOperator(store) }) });
  const answer = draft.add({ ...common, name: names.answer, parents: [receive], resolve: () => ({ stores: view.stores, create: answerOperator(view) }) });
  const answerAll = draft.add({
    ...common,
    name: names.answerAll,
    parents: [right.node],
    resolve: () => ({ stores: [store], create: answerAllOperator(store) }),
  });
  return draft.add({
    kind: 'repartition',
    topic: names.responseTopic,
    filterName: undefined,
    sinkName: names.responseSink,
    name: names.responseSource,
    parents: [answer, answerAll],
    key: left.key,
    value: answerSerde(draft.valueSerde(right.value)),
    carriesChanges: false,
    partitions: undefined,
    partitioner: answerPartitioner(options.partitioner),
    mergeable: false,
    keepsNullKeys: true,
  });
}

/** An answer goes to where its row is: the partition that the subscription came from, unless the user says how rows are placed. */
function answerPartitioner(given: SinkPartitioner | undefined): SinkPartitioner {
  return (key, answer, partitions) => (given === undefined ? (answer as ForeignAnswer).partition : given(key, undefined, partitions));
}
