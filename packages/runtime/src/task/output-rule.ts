// What an output topic does not take, as far as its broker has said so: a sink asks its policy about such a record before anything is sent.
// Never: learns (learned-outputs.ts does); knows of sizes (the sink does).
import { MillraceError } from '@millrace/core';

/** Plain data: it travels to the workers. */
export interface OutputRule {
  /** What the broker said when it refused a record. */
  readonly said: string;
  /** The topic is not there any more. */
  readonly gone: boolean;
  /** Every record must have a key. */
  readonly keyed: boolean;
  /** How far behind and ahead of the clock a record may be dated, ms; Infinity where that is not known to be bounded. */
  readonly behindMaxMs: number;
  readonly aheadMaxMs: number;
  /** Marks of single records (see `recordMark`) that were refused for something that cannot be seen beforehand. */
  readonly marks: readonly string[];
}

export interface OutgoingRecord {
  readonly topic: string;
  readonly hasKey: boolean;
  readonly timestamp: number;
  readonly nowMs: number;
  mark(): string;
}

/** Why the topic will not take the record; undefined: nothing speaks against it. */
export function refusalOf(rule: OutputRule, record: OutgoingRecord): MillraceError | undefined {
  const { topic, timestamp, nowMs } = record;
  const rejected = (why: string): MillraceError => new MillraceError('ERR_RECORD_REJECTED', `${why} (the broker said: ${rule.said})`, { topic });
  if (rule.gone) return rejected(`topic ${topic} is not there any more, or never was. Make it again, then start the instance anew`);
  if (rule.keyed && !record.hasKey) return rejected(`topic ${topic} takes no record without a key: it is compacted`);
  if (nowMs - timestamp > rule.behindMaxMs || timestamp - nowMs > rule.aheadMaxMs)
    return new MillraceError(
      'ERR_INVALID_TIMESTAMP',
      `topic ${topic} takes no record dated ${new Date(timestamp).toISOString()}: look at its message.timestamp.before.max.ms and message.timestamp.after.max.ms (the broker said: ${rule.said})`,
      { topic },
    );
  return rule.marks.length > 0 && rule.marks.includes(record.mark()) ? rejected(`topic ${topic} has refused this record`) : undefined;
}
