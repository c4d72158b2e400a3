// OffsetFetch 1-9: committed offsets of one group, from version 8 of several.
// Observable: a partition without an offset, and a group nobody knows, is -1 without an error; with require-stable (7+) a partition
// with an offset in an open transaction gets [88]. A member of a consumer group that names itself (9) is refused as a whole when its epoch is old.
// With fsync on the answer waits until the offsets in it are on the device, and with them the markers that made them count: whoever goes on from
// there finds the rest of the transaction visible. [15] when the device refuses.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { InternalLog } from '../internal-log.ts';

type Api = typeof APIS.offsetFetch;
type Response = ResponseInput<Api>;
type Topics = RequestBody<Api>['topics'];

const MANY_GROUPS = 8;

export function offsetFetchHandler(groups: GroupCoordinator, internalLog: Pick<InternalLog, 'durable'>): HandlerEntry {
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
  const answer = (request: RequestBody<Api>, version: number): Response => {
    if (version < MANY_GROUPS) return { topics: fetch(request.groupId, request.topics, request.requireStable) };
    return {
      groups: request.groups.map(({ groupId, memberId, memberEpoch, topics }) => {
        const errorCode = groups.fetchCode(groupId, memberId, memberEpoch);
        return { groupId, errorCode, topics: errorCode === ERROR_CODES.NONE ? fetch(groupId, topics, request.requireStable) : [] };
      }),
    };
  };
  return handlerEntry<RequestBody<Api>, Response>(APIS.offsetFetch.key, (request, { version }) => {
    const response = answer(request, version);
    const durable = internalLog.durable();
    return durable === undefined
      ? response
      : durable.then(
          () => response,
          () => refusal(request),
        );
  });
}

/** The device refused: which offsets will be there after a restart is not known. */
function refusal({ topics, groups }: RequestBody<Api>): Response {
  const errorCode = ERROR_CODES.COORDINATOR_NOT_AVAILABLE;
  const nothing = { committedOffset: -1, metadata: '', errorCode };
  return {
    errorCode,
    topics: (topics ?? []).map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, ...nothing })),
    })),
    groups: groups.map(({ groupId }) => ({ groupId, errorCode, topics: [] })),
  };
}
