// OffsetFetch 1-9: committed offsets of one group, from version 8 of several.
// Observable: a partition without an offset, and a group nobody knows, is -1 without an error; with require-stable (7+) a partition
// with an offset in an open transaction gets [88]. A member of a consumer group that names itself (9) is refused as a whole when its epoch is old.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';

type Api = typeof APIS.offsetFetch;
type Topics = RequestBody<Api>['topics'];

const MANY_GROUPS = 8;

export function offsetFetchHandler(groups: GroupCoordinator): HandlerEntry {
  const fetch = (groupId: string, topics: Topics, requireStable: boolean) => {
    const asked = topics?.map(({ name, partitionIndexes }) => ({ topic: name, partitions: partitionIndexes })) ?? null;
    return groups.fetchOffsets(groupId, asked, requireStable).map(({ topic, partitions }) => ({
      name: topic,
      partitions: partitions.map(({ partition, offset, leaderEpoch, metadata, errorCode }) => ({
        partitionIndex: partition,
        committedOffset: offset,
        committedLeaderEpoch: leaderEpoch,
        metadata,
        errorCode,
      })),
    }));
  };
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.offsetFetch.key, (request, { version }) => {
    if (version < MANY_GROUPS) return { topics: fetch(request.groupId, request.topics, request.requireStable) };
    return {
      groups: request.groups.map(({ groupId, memberId, memberEpoch, topics }) => {
        const errorCode = groups.fetchCode(groupId, memberId, memberEpoch);
        return { groupId, errorCode, topics: errorCode === ERROR_CODES.NONE ? fetch(groupId, topics, request.requireStable) : [] };
      }),
    };
  });
}
