// What a random program gave beside what it must give.
import type { Running } from './facts.ts';

export interface Verdict {
  /** The program in words. */
  readonly about: string;
  readonly expected: readonly string[];
  readonly actual: readonly string[];
  readonly running: Running;
}
