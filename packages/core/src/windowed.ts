// A key in a window: the key of every windowed table.

/** Time windows: [start, end). Sliding and session windows: both bounds inclusive. Ms since the epoch. */
export interface Window {
  readonly start: number;
  readonly end: number;
}
/** The key of a windowed table, and of the topic it is written to. */
export interface Windowed<out K> {
  readonly key: K;
  readonly window: Window;
}
