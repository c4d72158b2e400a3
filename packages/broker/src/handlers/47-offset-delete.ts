// OffsetDelete 0: offsets of partitions that no member of the group subscribes to ([86] otherwise).
import { APIS, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { InternalLog } from '../internal-log.ts';
import { byTopic } from './by-topic.ts';

type Api = typeof APIS.offsetDelete;

export function offsetDeleteHandler(groups: GroupCoordinator, internalLog: Pick<InternalLog, 'partitionExists'>): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.offsetDelete.key, async (request) => {
    const reply = await groups.ask({
      kind: 'delete-offsets',
      groupId: request.groupId,
      partitions: request.topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex }) => ({
          topic: name,
          partition: partitionIndex,
          partitionExists: internalLog.partitionExists(name, partitionIndex),
        })),
      ),
    });
    return {
      errorCode: reply.errorCode,
      topics: byTopic(reply.partitions, ({ partition, errorCode }) => ({ partitionIndex: partition, errorCode })),
    };
  });
}
