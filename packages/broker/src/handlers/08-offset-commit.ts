// OffsetCommit 2-9: a member, or an admin of an empty group, stores how far it has read.
// Observable: unknown partitions get [3] and the rest is stored; below version 9 an unknown group is an illegal generation, and a
// member of a consumer group that comes with a wrong epoch is told that it needs version 9.
// Ignored: the leader epoch is stored, never checked.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { InternalLog } from '../internal-log.ts';
import { byTopic } from './by-topic.ts';
import { offsetsAsked } from './offsets-asked.ts';

type Api = typeof APIS.offsetCommit;

const KNOWS_CONSUMER_GROUPS = 9;
/** Codes that came with consumer groups, and what they were before. */
const BEFORE: ReadonlyMap<number, number> = new Map([
  [ERROR_CODES.GROUP_ID_NOT_FOUND, ERROR_CODES.ILLEGAL_GENERATION],
  [ERROR_CODES.STALE_MEMBER_EPOCH, ERROR_CODES.UNSUPPORTED_VERSION],
]);

export function offsetCommitHandler(groups: GroupCoordinator, internalLog: Pick<InternalLog, 'partitionExists'>): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.offsetCommit.key, async (request, { version }) => {
    const reply = await groups.ask({
      kind: 'commit',
      groupId: request.groupId,
      generation: request.generationIdOrMemberEpoch,
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      byGeneration: version < KNOWS_CONSUMER_GROUPS,
      retentionMs: request.retentionTimeMs < 0 ? undefined : request.retentionTimeMs,
      transaction: undefined,
      offsets: offsetsAsked(request.topics, internalLog),
    });
    const code = (errorCode: number): number => (version < KNOWS_CONSUMER_GROUPS ? (BEFORE.get(errorCode) ?? errorCode) : errorCode);
    return { topics: byTopic(reply.partitions, ({ partition, errorCode }) => ({ partitionIndex: partition, errorCode: code(errorCode) })) };
  });
}
