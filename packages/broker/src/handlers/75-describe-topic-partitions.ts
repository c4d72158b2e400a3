// DescribeTopicPartitions 0: topics and partitions in pages, by name. Command-line tools ask this before they fall back to Metadata.
// Observable: no names = every topic; a page ends after `responsePartitionLimit` partitions (2000 at most) and says where the next one begins.
import { isLegalName } from '@millrace/core';
import { APIS, ERROR_CODES, NO_UUID, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type BrokerFacts, type HandlerEntry, handlerEntry } from '../handler.ts';
import { everyOperation } from '../security/access/rule.ts';
import type { Topics } from '../topics/topics.ts';

type Api = typeof APIS.describeTopicPartitions;
type Response = ResponseInput<Api>;
type TopicAnswer = Response['topics'][number];

const PARTITIONS_MAX = 2_000;

export function describeTopicPartitionsHandler(topics: Topics, facts: BrokerFacts): HandlerEntry {
  return handlerEntry<RequestBody<Api>, Response>(APIS.describeTopicPartitions.key, (request) => {
    const asked = request.topics.length > 0 ? request.topics.map(({ name }) => name) : [...topics.all()].map(({ name }) => name);
    const { cursor } = request;
    const from = cursor?.topicName ?? '';
    const names = [...new Set(asked)].sort(byText).filter((name) => byText(name, from) >= 0);
    let left = Math.max(1, Math.min(request.responsePartitionLimit, PARTITIONS_MAX));
    const answers: TopicAnswer[] = [];
    for (const name of names) {
      const first = name === from ? Math.max(0, cursor?.partitionIndex ?? 0) : 0;
      const count = topics.get(name)?.logs.length ?? 0;
      if (left === 0) return { topics: answers, nextCursor: { topicName: name, partitionIndex: first } };
      const end = Math.min(count, first + left);
      answers.push(describe(topics, facts, name, first, end));
      left -= Math.max(0, end - first);
      if (end < count) return { topics: answers, nextCursor: { topicName: name, partitionIndex: end } };
    }
    return { topics: answers, nextCursor: null };
  });
}

/** UTF-16 order, as Java compares names. */
function byText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function describe(topics: Topics, { nodeId }: BrokerFacts, name: string, first: number, end: number): TopicAnswer {
  const topic = topics.get(name);
  const missing = isLegalName(name) ? ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION : ERROR_CODES.INVALID_TOPIC_EXCEPTION;
  if (topic === undefined) return { errorCode: missing, name, topicId: NO_UUID, partitions: [], topicAuthorizedOperations: everyOperation('topic') };
  const partitions = Array.from({ length: Math.max(0, end - first) }, (_, index) => ({
    errorCode: ERROR_CODES.NONE,
    partitionIndex: first + index,
    leaderId: nodeId,
    leaderEpoch: topics.leaderEpoch,
    replicaNodes: [nodeId],
    isrNodes: [nodeId],
    eligibleLeaderReplicas: [],
    lastKnownElr: [],
    offlineReplicas: [],
  }));
  return { errorCode: ERROR_CODES.NONE, name, topicId: topic.id, isInternal: topic.internal, partitions, topicAuthorizedOperations: everyOperation('topic') };
}
