// ConsumerGroupDescribe 0-1: groups of the consumer group protocol. Any other group, known or not, is [69]: clients then ask DescribeGroups.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import { everyOperation } from '../security/access/rule.ts';

type Api = typeof APIS.consumerGroupDescribe;

const ALL_OPERATIONS = everyOperation('group');
const NOT_ASKED = -0x8000_0000;
/** What a member speaks: 0 the classic protocol, 1 this one. */
const CONSUMER_MEMBER = 1;

export function consumerGroupDescribeHandler(groups: GroupCoordinator): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.consumerGroupDescribe.key, (request) => ({
    groups: request.groupIds.map((groupId) => {
      const group = groups.describeConsumer(groupId);
      if (group === undefined)
        return {
          errorCode: groupId === '' ? ERROR_CODES.INVALID_GROUP_ID : ERROR_CODES.GROUP_ID_NOT_FOUND,
          errorMessage: `Group ${groupId} is not a consumer group.`,
          groupId,
          members: [],
        };
      return {
        errorCode: ERROR_CODES.NONE,
        groupId,
        groupState: group.phase,
        groupEpoch: group.epoch,
        assignmentEpoch: group.assignmentEpoch,
        assignorName: group.assignorName,
        members: group.members.map(({ subscribedNames, subscribedPattern, assigned, target, ...member }) => ({
          ...member,
          subscribedTopicNames: subscribedNames,
          subscribedTopicRegex: subscribedPattern ?? '',
          assignment: { topicPartitions: assigned },
          targetAssignment: { topicPartitions: target },
          memberType: CONSUMER_MEMBER,
        })),
        authorizedOperations: request.includeAuthorizedOperations ? ALL_OPERATIONS : NOT_ASKED,
      };
    }),
  }));
}
