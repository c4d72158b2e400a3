// DescribeLogDirs 1-5: the data directory, and how many bytes of segments each partition has in it.
// Observable: asked for no topics in particular (null) all are told; what does not exist is left out. The size of the volume is not known (-1).
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import type { Topics } from '../topics/topics.ts';

type Api = typeof APIS.describeLogDirs;

export function describeLogDirsHandler(topics: Topics, dataDir: string): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.describeLogDirs.key, (request) => {
    const everything = [...topics.all()].map(({ name, logs }) => ({ topic: name, partitions: [...logs.keys()] }));
    const described = (request.topics ?? everything).map(({ topic, partitions }) => ({
      name: topic,
      partitions: partitions.flatMap((partition) => describe(partition, topics.log(topic, partition))),
    }));
    const results = [{ errorCode: ERROR_CODES.NONE, logDir: dataDir, topics: described.filter(({ partitions }) => partitions.length > 0) }];
    return { errorCode: ERROR_CODES.NONE, results };
  });
}

function describe(partitionIndex: number, log: PartitionLog | undefined) {
  return log === undefined ? [] : [{ partitionIndex, partitionSize: log.sizeBytes, offsetLag: 0, isFutureKey: false }];
}
