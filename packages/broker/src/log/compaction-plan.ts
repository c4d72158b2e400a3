// Whether a partition is worth compacting, and which of its segments: pure choices.
// Owns: the rules of protocol.md section 9, "Compaction".  Never: reads data.
import type { TopicConfig } from '../topics/topic-config.ts';

export interface CompactableSegment {
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly sizeBytes: number;
  /** -1: no record. */
  readonly maxTimestampMs: number;
}

export interface CompactionFacts {
  /** Oldest first, the last one active. */
  readonly segments: readonly CompactableSegment[];
  readonly lastStableOffset: number;
  /** What earlier rounds have covered. */
  readonly compactedUpTo: number;
  readonly nowMs: number;
}

type Settings = Pick<TopicConfig, 'minCompactionLagMs' | 'maxCompactionLagMs' | 'minCleanableDirtyRatio'>;

/** How many segments from the oldest on a round takes; 0: not worth it. `force` skips the ratio. */
export function planCompaction(facts: CompactionFacts, config: Settings, force: boolean): number {
  const { segments, lastStableOffset, compactedUpTo, nowMs } = facts;
  let count = 0;
  let cleanBytes = 0;
  let dirtyBytes = 0;
  let oldestDirtyMs = Number.POSITIVE_INFINITY;
  for (const segment of segments.slice(0, -1)) {
    const tooYoung = segment.maxTimestampMs >= 0 && segment.maxTimestampMs > nowMs - config.minCompactionLagMs;
    if (segment.nextOffset > lastStableOffset || tooYoung) break;
    count += 1;
    if (segment.nextOffset <= compactedUpTo) cleanBytes += segment.sizeBytes;
    else {
      dirtyBytes += segment.sizeBytes;
      if (segment.maxTimestampMs >= 0) oldestDirtyMs = Math.min(oldestDirtyMs, segment.maxTimestampMs);
    }
  }
  if (dirtyBytes === 0) return 0;
  const due = dirtyBytes / (dirtyBytes + cleanBytes) > config.minCleanableDirtyRatio || nowMs - oldestDirtyMs > config.maxCompactionLagMs;
  return due || force ? count : 0;
}

/** Neighbouring segments that fit into one again, as [from, to) pairs over `segments`. */
export function groupSegments(
  segments: readonly Pick<CompactableSegment, 'baseOffset' | 'nextOffset' | 'sizeBytes'>[],
  segmentBytesMax: number,
): [from: number, to: number][] {
  const groups: [number, number][] = [];
  let from = 0;
  let bytes = 0;
  for (let at = 0; at < segments.length; at++) {
    const segment = segments[at] as (typeof segments)[number];
    const first = segments[from] as (typeof segments)[number];
    if (at > from && (bytes + segment.sizeBytes > segmentBytesMax || segment.nextOffset - first.baseOffset > 0x7fff_ffff)) {
      groups.push([from, at]);
      from = at;
      bytes = 0;
    }
    bytes += segment.sizeBytes;
  }
  if (segments.length > 0) groups.push([from, segments.length]);
  return groups;
}
