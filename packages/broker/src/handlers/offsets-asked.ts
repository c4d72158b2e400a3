// The offsets of an OffsetCommit or TxnOffsetCommit request, as the group coordinator takes them.
import type { APIS, RequestBody } from '@millrace/protocol';
import type { CommitRequest } from '../group/requests.ts';
import type { InternalLog } from '../internal-log.ts';

type Asked = RequestBody<typeof APIS.offsetCommit>['topics'] | RequestBody<typeof APIS.txnOffsetCommit>['topics'];

export function offsetsAsked(topics: Asked, internalLog: Pick<InternalLog, 'partitionExists'>): CommitRequest['offsets'] {
  return topics.flatMap(({ name, partitions }) =>
    partitions.map((asked) => ({
      topic: name,
      partition: asked.partitionIndex,
      offset: asked.committedOffset,
      leaderEpoch: asked.committedLeaderEpoch,
      metadata: asked.committedMetadata ?? '',
      partitionExists: internalLog.partitionExists(name, asked.partitionIndex),
    })),
  );
}
