// AlterReplicaLogDirs 1-2: there is one directory, and everything is in it already.
// Observable: to that directory nothing moves and all is well; to any other [57]; a partition that does not exist [3].
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { Topics } from '../topics/topics.ts';

type Api = typeof APIS.alterReplicaLogDirs;

export function alterReplicaLogDirsHandler(topics: Topics, dataDir: string): HandlerEntry {
  const codeOf = (path: string, topic: string, partition: number): number => {
    if (path !== dataDir) return ERROR_CODES.LOG_DIR_NOT_FOUND;
    return topics.log(topic, partition) === undefined ? ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION : ERROR_CODES.NONE;
  };
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.alterReplicaLogDirs.key, (request) => ({
    results: request.dirs.flatMap(({ path, topics: asked }) =>
      asked.map(({ name, partitions }) => ({
        topicName: name,
        partitions: partitions.map((partitionIndex) => ({ partitionIndex, errorCode: codeOf(path, name, partitionIndex) })),
      })),
    ),
  }));
}
