// When a span closes, when what is committed goes to disk, and when the worker takes no input. Pure: facts in, answer out.

export interface CloseFacts {
  /** A span is closing: never close another. */
  readonly closing: boolean;
  /** Some task took part, or something was written. */
  readonly dirty: boolean;
  /** `commit()`, a revocation, a stop. */
  readonly requested: boolean;
  readonly sinceCloseMs: number;
  readonly commitIntervalMs: number;
  /** Staging, emit buffers and unsent output of both spans. */
  readonly stagedBytes: number;
  readonly stagedBytesMax: number;
}

export function closeIsDue(facts: CloseFacts): boolean {
  if (facts.closing || !facts.dirty) return false;
  return facts.requested || facts.sinceCloseMs >= facts.commitIntervalMs || facts.stagedBytes * 2 >= facts.stagedBytesMax;
}

export interface IntakeFacts {
  readonly stagedBytes: number;
  readonly stagedBytesMax: number;
  /** Output unsent and in flight is at its bound. */
  readonly outboxFull: boolean;
  /** A transaction timed out not long ago: one span at a time. */
  readonly cautious: boolean;
  readonly closing: boolean;
  /** A record failed, or the disk refused a settle: nothing more until that is dealt with. */
  readonly halted: boolean;
}

export function takesInput(facts: IntakeFacts): boolean {
  return !facts.halted && !facts.outboxFull && facts.stagedBytes < facts.stagedBytesMax && !(facts.cautious && facts.closing);
}

export interface SettleFacts {
  readonly unsettled: boolean;
  /** A query, a revocation or a stop waits for it. */
  readonly requested: boolean;
  /** Nothing to write, but a checkpoint has become old. */
  readonly stale: boolean;
  readonly sinceSettleMs: number;
  readonly settleIntervalMs: number;
  readonly stagedBytes: number;
  readonly stagedBytesMax: number;
}

export function settleIsDue(facts: SettleFacts): boolean {
  if (facts.stale && facts.sinceSettleMs >= facts.settleIntervalMs) return true;
  return facts.unsettled && (facts.requested || facts.sinceSettleMs >= facts.settleIntervalMs || facts.stagedBytes * 4 >= facts.stagedBytesMax);
}
