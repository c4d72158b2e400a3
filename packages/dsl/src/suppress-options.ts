// The options of suppress: until when changes are held back, and how much may wait.
import type { Duration } from '@millrace/core';
import type { OperatorOptions } from './operator-options.ts';

/** Unbounded unless a Max is set. */
export interface SuppressBufferOptions extends OperatorOptions {
  /** Keys that may wait. */
  readonly recordsMax?: number;
  /** Bytes that may wait: keys, values, headers, and a little for each. Counting costs encoding each value once more. */
  readonly bytesMax?: number;
  /** True (default): what waits is logged. False: it is lost with its disk. */
  readonly changelog?: boolean;
}
export interface SuppressUntilWindowClose extends SuppressBufferOptions {
  readonly until: 'windowClose';
  /** A final result cannot go early: a full buffer stops the instance with ERR_BUFFER_FULL. */
  readonly onFull?: 'fail';
}
export interface SuppressUntilTime extends SuppressBufferOptions {
  /** Stream time from the first change of a key on. */
  readonly until: Duration;
  /** `emit` (default): the oldest go on early. `fail`: the instance stops with ERR_BUFFER_FULL. */
  readonly onFull?: 'emit' | 'fail';
}
