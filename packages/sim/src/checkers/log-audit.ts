// K4, K6: the log itself. What a read_committed reader sees has no gap it cannot explain, no record twice, and no writer that comes back.
import type { RawTopic } from '../log-reader.ts';

/** Throws with the first thing that is wrong. */
export function auditLogs(topics: ReadonlyMap<string, RawTopic>, exactlyOnce: boolean): void {
  for (const topic of topics.values()) {
    topic.ends.forEach(({ logStart, logEnd, lastStable }, partition) => {
      if (lastStable !== logEnd) throw new Error(`${topic.name}-${partition}: a transaction hangs, last stable offset ${lastStable} of ${logEnd} (K4)`);
      if (logStart > logEnd) throw new Error(`${topic.name}-${partition}: starts at ${logStart}, ends at ${logEnd} (K4)`);
    });
    const last = new Map<number, number>();
    const epochs = new Map<string, number>();
    for (const { partition, offset, producerId, producerEpoch } of topic.records) {
      const before = last.get(partition) ?? -1;
      if (offset <= before) throw new Error(`${topic.name}-${partition}: offset ${offset} was read after ${before} (K4)`);
      if (offset >= (topic.ends[partition]?.lastStable ?? 0)) throw new Error(`${topic.name}-${partition}: offset ${offset} lies past the end (K4)`);
      last.set(partition, offset);
      const writer = `${partition}/${producerId}`;
      if (exactlyOnce && producerEpoch < (epochs.get(writer) ?? producerEpoch))
        throw new Error(`${topic.name}-${partition}@${offset}: producer ${producerId} writes with epoch ${producerEpoch} after ${epochs.get(writer)} (K6)`);
      epochs.set(writer, producerEpoch);
    }
  }
}
