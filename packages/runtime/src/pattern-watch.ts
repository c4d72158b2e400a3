// Looks now and then whether the patterns of a topology stand for other topics than the group's leader has dealt out, and asks for a rebalance if so.
// Only the instance that leads looks: what it sees decides, and a member that saw other metadata for a moment would ask in vain, again and again.
// Owns: what was seen last.  Never: assigns, throws. A broker that does not answer is asked again at the next look.
import type { LogAdmin } from '@millrace/client';
import { explainError, type Logger, type Timer, type Timers } from '@millrace/core';
import { hasPatterns, type Topology } from '@millrace/topology';
import type { AppSettings } from './options.ts';
import { topicsMatched } from './topics-matched.ts';

export interface PatternWatchParts {
  readonly topology: Topology;
  readonly settings: Pick<AppSettings, 'applicationId' | 'errors' | 'metadataRefreshMs'>;
  readonly admin: Pick<LogAdmin, 'describeTopics'>;
  readonly timers: Timers;
  readonly log: Logger;
  /** Other topics match than were dealt out, or one has another number of partitions; or patterns of two sources match one (nothing is seen then). */
  readonly changed: (seen: readonly string[]) => void;
}

export class PatternWatch {
  readonly #parts: PatternWatchParts;
  #timer: Timer | undefined;
  #looking = false;
  /** What this instance has dealt out as the leader; undefined: another one leads. */
  #dealt: string | undefined;

  constructor(parts: PatternWatchParts) {
    this.#parts = parts;
  }

  start(): void {
    const { topology, timers, settings } = this.#parts;
    if (hasPatterns(topology)) this.#timer = timers.every(settings.metadataRefreshMs, () => void this.#look());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** An assignment: what patterns stand for in it, and whether this instance has made it. */
  dealt(matched: Readonly<Record<string, number>>, byUs: boolean): void {
    this.#dealt = byUs ? textOf(Object.entries(matched)) : undefined;
  }

  async #look(): Promise<void> {
    const before = this.#dealt;
    if (before === undefined || this.#looking) return;
    this.#looking = true;
    const { topology, settings, admin, log, changed } = this.#parts;
    try {
      const existing = await admin.describeTopics(undefined);
      const now = look(topology, settings, existing);
      const text = typeof now === 'string' ? now : textOf(now);
      if (this.#timer === undefined || this.#dealt !== before || text === before) return;
      log.debug({ now: text, before }, 'other topics match the patterns of the topology');
      changed(typeof now === 'string' ? [] : [...now.keys()]);
    } catch (error) {
      log.debug({ error: explainError(error) }, 'could not look for topics that match; the next look is due soon');
    } finally {
      this.#looking = false;
    }
  }
}

/** A mistake in what matches is a change too, told as text: the leader finds it again, and tells everybody. */
function look(...[topology, settings, existing]: Parameters<typeof topicsMatched>): ReturnType<typeof topicsMatched> | string {
  try {
    return topicsMatched(topology, settings, existing);
  } catch (error) {
    return explainError(error);
  }
}

function textOf(matched: Iterable<readonly [string, number]>): string {
  return JSON.stringify([...matched].sort(([a], [b]) => (a < b ? -1 : 1)));
}
