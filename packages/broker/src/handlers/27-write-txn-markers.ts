// WriteTxnMarkers 1-2: ends a transaction in partitions, whatever its coordinator knows. What `kafka-transactions abort` sends for a hanging one.
// Observable: a marker whose epoch is older than the producer's in the partition gets [47]. Ignored: the transaction version.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import { type InternalLog, type MarkerFacts, OFFSETS_TOPIC } from '../internal-log.ts';

type Api = typeof APIS.writeTxnMarkers;

/** Whoever keeps offsets that wait for a marker. */
export interface MarkerListener {
  markerWritten(partition: number, producerId: number, commit: boolean): void;
}

export function writeTxnMarkersHandler(internalLog: InternalLog, offsets: MarkerListener): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.writeTxnMarkers.key, async (request) => {
    const markers = request.markers.map(({ producerId, producerEpoch, coordinatorEpoch, transactionResult, topics }) => {
      const marker: MarkerFacts = { producerId, producerEpoch, coordinatorEpoch, commit: transactionResult };
      return {
        producerId,
        topics: topics.map(({ name, partitionIndexes }) => ({
          name,
          partitions: partitionIndexes.map((partitionIndex) => ({
            partitionIndex,
            errorCode: writeOne(internalLog, offsets, name, partitionIndex, marker),
          })),
        })),
      };
    });
    await internalLog.durable();
    return { markers };
  });
}

function writeOne(internalLog: InternalLog, offsets: MarkerListener, topic: string, partition: number, marker: MarkerFacts): number {
  const known = internalLog.producersOf(topic, partition).find(({ producerId }) => producerId === marker.producerId);
  if (known !== undefined && marker.producerEpoch < known.producerEpoch) return ERROR_CODES.INVALID_PRODUCER_EPOCH;
  if (known !== undefined && marker.coordinatorEpoch < known.coordinatorEpoch) return ERROR_CODES.TRANSACTION_COORDINATOR_FENCED;
  try {
    if (internalLog.appendMarker(topic, partition, marker) === undefined) return ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION;
  } catch {
    return ERROR_CODES.KAFKA_STORAGE_ERROR; // the log has said why
  }
  if (topic === OFFSETS_TOPIC) offsets.markerWritten(partition, marker.producerId, marker.commit);
  return ERROR_CODES.NONE;
}
