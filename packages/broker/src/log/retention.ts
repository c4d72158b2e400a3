// Which finished segments have lived long enough: a pure choice, so that its cases can be tested as a table.
// Owns: the rules of protocol.md section 9, "Retention".  Never: deletes.
import type { TopicConfig } from '../topics/topic-config.ts';

/** What a choice needs of a segment. */
export interface SegmentFacts {
  readonly nextOffset: number;
  readonly sizeBytes: number;
  /** -1 when it holds no record with a time: such a segment does not expire. */
  readonly maxTimestampMs: number;
}

export interface RetentionPlan {
  /** The active segment has expired as well: roll it first, then all `drop` go. */
  readonly rollActive: boolean;
  /** How many segments go, from the oldest on; counted with the active one when it is rolled. */
  readonly drop: number;
}

/** `segments` oldest first, the last one active. */
export function planRetention(
  segments: readonly SegmentFacts[],
  config: Pick<TopicConfig, 'delete' | 'retentionMs' | 'retentionBytes'>,
  logStart: number,
  nowMs: number,
): RetentionPlan {
  const last = segments.length - 1;
  let drop = 0;
  // Wholly below the log start: gone whatever the policy.
  while (drop < last && (segments[drop] as SegmentFacts).nextOffset <= logStart) drop += 1;
  if (!config.delete) return { rollActive: false, drop };
  if (config.retentionMs >= 0) {
    const expired = (segment: SegmentFacts): boolean =>
      segment.sizeBytes > 0 && segment.maxTimestampMs >= 0 && nowMs - segment.maxTimestampMs > config.retentionMs;
    while (drop <= last && expired(segments[drop] as SegmentFacts)) drop += 1;
  }
  if (config.retentionBytes >= 0) {
    let remaining = 0;
    for (const segment of segments.slice(drop)) remaining += segment.sizeBytes;
    while (drop < last && remaining - (segments[drop] as SegmentFacts).sizeBytes >= config.retentionBytes) {
      remaining -= (segments[drop] as SegmentFacts).sizeBytes;
      drop += 1;
    }
  }
  return { rollActive: drop > last, drop };
}
