// What a store needs before its task may run. Pure: facts about log and checkpoint in, plan out.
// A checkpoint is trusted only inside [log start, log end], of the same topic, of a leader epoch the broker confirms, and young
// enough that no tombstone can have been removed behind it (I3 of reliability.md).
import type { Checkpoint } from '@millrace/state';

export interface RestoreFacts {
  readonly log: { readonly start: number; readonly end: number; readonly topicId: string };
  /** 'corrupt': there is one, and it cannot be read. */
  readonly checkpoint: Checkpoint | 'corrupt' | undefined;
  /** False: the store has no rows. */
  readonly hasRows: boolean;
  readonly nowMs: number;
  readonly deleteRetentionMs: number;
  /** End of the checkpoint's leader epoch as the broker knows it, -1 where it knows of no such epoch; undefined where nobody can say. */
  readonly epochEnd: number | undefined;
}

export type QuarantineReason = 'no checkpoint' | 'unreadable checkpoint' | 'another topic' | 'before log start' | 'beyond log end' | 'lost tail' | 'too old';

export type RestorePlan =
  | { readonly kind: 'up-to-date'; readonly from: number }
  | { readonly kind: 'replay'; readonly from: number; readonly to: number }
  | { readonly kind: 'quarantine-and-replay'; readonly from: number; readonly to: number; readonly reason: QuarantineReason };

export function planRestore(facts: RestoreFacts): RestorePlan {
  const { checkpoint, log } = facts;
  if (checkpoint === undefined && !facts.hasRows)
    return log.start >= log.end ? { kind: 'up-to-date', from: log.end } : { kind: 'replay', from: log.start, to: log.end };
  const reason = distrust(facts);
  if (reason !== undefined) return { kind: 'quarantine-and-replay', from: log.start, to: log.end, reason };
  const from = (checkpoint as Checkpoint).changelogOffset;
  return from === log.end ? { kind: 'up-to-date', from } : { kind: 'replay', from, to: log.end };
}

function distrust(facts: RestoreFacts): QuarantineReason | undefined {
  const { checkpoint, log } = facts;
  if (checkpoint === undefined) return 'no checkpoint';
  if (checkpoint === 'corrupt') return 'unreadable checkpoint';
  if (checkpoint.topicId !== log.topicId) return 'another topic';
  if (checkpoint.changelogOffset < log.start) return 'before log start';
  if (checkpoint.changelogOffset > log.end) return 'beyond log end';
  if (facts.epochEnd !== undefined && checkpoint.changelogOffset > facts.epochEnd) return 'lost tail';
  if (checkpoint.changelogOffset < log.end && facts.nowMs - checkpoint.levelAtMs > facts.deleteRetentionMs) return 'too old';
  return undefined;
}
