// Work that a node has under way between records: calls whose answers come later. What the node tells its host, and what it may ask of it.
// Everything happens on the task's own thread, in turns; nothing here waits.
import type { Chance, RecordHeaders, Timers } from '@millrace/core';
import type { SourcePosition } from './processor.ts';

/** A node's work as its host sees it. */
export interface OutsideWork {
  /** Its name, for metrics. */
  readonly node: string;
  /** Records taken in whose outcome has not been applied yet. */
  readonly pending: number;
  /** Calls under way just now; the other pending records wait for room, for their turn, or for a pause to end. */
  readonly calling: number;
  /** Calls that were given up and go on all the same; they count against `callsMax`. */
  readonly straying: number;
  readonly callsMax: number;
  readonly pendingMax: number;
  /** True: the task takes no further record for now; timers and commits go on. */
  readonly full: boolean;
  /** Applies the outcomes that have come and begins what may begin; called between records, after `wake`. Returns how many were applied. */
  turn(): number;
}

/** A record of some time ago: what the cursor shows while its outcome is applied, and what a policy is told. */
export interface EarlierRecord {
  readonly timestamp: number;
  readonly headers: RecordHeaders;
  readonly source: SourcePosition | undefined;
  /** As the task read it, for a dead letter; null below a timer. */
  readonly rawKey: Uint8Array | null;
  readonly rawValue: Uint8Array | null;
}

/** What a node that works outside its turn is given by its host. */
export interface OutsideHost {
  readonly timers: Timers;
  readonly chance: Chance;
  /** Asks for a `turn` soon. At any time. */
  wake(): void;
  /** The record in hand, bytes copied. Only while one is processed. */
  earlier(): EarlierRecord;
  /** Runs `run` with the cursor on `record`. What the node itself throws goes to its policy, stage `async`: returns unless that says fail. */
  onBehalf(record: EarlierRecord, run: () => void): void;
}
