// DescribeGroups 0-6: who is in a group and what each member has. A group nobody knows is Dead, from version 6 on with [69].
// Observable: metadata shows only while the group is stable, assignments are the last ones handed out.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import { everyOperation } from '../security/access/rule.ts';

type Api = typeof APIS.describeGroups;

const ALL_OPERATIONS = everyOperation('group');
const NOT_ASKED = -0x8000_0000;
const NAMES_UNKNOWN_GROUP = 6;

export function describeGroupsHandler(groups: GroupCoordinator): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.describeGroups.key, (request, { version }) => ({
    groups: request.groups.map((groupId) => {
      const group = groups.describe(groupId);
      const missing = version >= NAMES_UNKNOWN_GROUP && group.phase === 'Dead';
      return {
        errorCode: missing ? ERROR_CODES.GROUP_ID_NOT_FOUND : ERROR_CODES.NONE,
        errorMessage: missing ? `Group ${groupId} not found.` : null,
        groupId,
        groupState: group.phase,
        protocolType: group.protocolType,
        protocolData: group.protocolName,
        members: group.members.map(({ memberId, instanceId, clientId, clientHost, metadata, assignment }) => ({
          memberId,
          groupInstanceId: instanceId,
          clientId,
          clientHost,
          memberMetadata: metadata,
          memberAssignment: assignment,
        })),
        authorizedOperations: request.includeAuthorizedOperations && !missing ? ALL_OPERATIONS : NOT_ASKED,
      };
    }),
  }));
}
