// What the APIs of the consumer group protocol (KIP-848) need.
import { APIS, ERROR_CODES } from '@millrace/protocol';
import { PASS, type Row, row, split } from './guard.ts';

const GROUP_DENIED = ERROR_CODES.GROUP_AUTHORIZATION_FAILED;
const TOPIC_DENIED = ERROR_CODES.TOPIC_AUTHORIZATION_FAILED;

const consumerGroupHeartbeat = row(
  APIS.consumerGroupHeartbeat,
  'read on the group and describe on each topic it names; on every topic with a pattern',
  (request, ask) => {
    if (!ask.may('read', 'group', request.groupId)) return { kind: 'answer', response: { errorCode: GROUP_DENIED, assignment: null } };
    // A pattern is resolved without knowing who asked, so it needs the right to every topic.
    const named = (request.subscribedTopicRegex ?? '') === '' ? (request.subscribedTopicNames ?? []) : ask.topics.names();
    const mayTopics = named.every((topic) => ask.may('describe', 'topic', topic));
    return mayTopics ? PASS : { kind: 'answer', response: { errorCode: TOPIC_DENIED, assignment: null } };
  },
);

const consumerGroupDescribe = row(APIS.consumerGroupDescribe, 'describe on each group and on every topic its members have', (request, ask) => {
  const [allowed, refused] = split(request.groupIds, (groupId) => ask.may('describe', 'group', groupId));
  const nothing = { groupState: '', members: [] };
  return {
    kind: 'part',
    request: { ...request, groupIds: allowed },
    complete: (response) => ({
      ...response,
      groups: [
        ...response.groups.map((group) => {
          const topics = group.members.flatMap(({ assignment, targetAssignment }) =>
            [...(assignment?.topicPartitions ?? []), ...(targetAssignment?.topicPartitions ?? [])].map(({ topicName }) => topicName),
          );
          if (!topics.every((topic) => ask.may('describe', 'topic', topic)))
            return {
              ...nothing,
              groupId: group.groupId,
              errorCode: TOPIC_DENIED,
              errorMessage: 'The group has described topic(s) that the client is not authorized to describe.',
            };
          return request.includeAuthorizedOperations ? { ...group, authorizedOperations: ask.operations('group', group.groupId) } : group;
        }),
        ...refused.map((groupId) => ({ ...nothing, groupId, errorCode: GROUP_DENIED })),
      ],
    }),
  };
});

export const CONSUMER_GROUP_ROWS: readonly Row[] = [consumerGroupHeartbeat, consumerGroupDescribe];
