// What a broker does by itself, at its own pace: retention, compaction, forgetting idle producers.
// Owns: the timers and the order (one partition after another, never two at once).  Never: runs inside a request.
import { explainError, type Ports, type Timer } from '@millrace/core';
import { compactPartition } from './log/compaction.ts';
import type { LogHost, PartitionLog } from './log/partition-log.ts';
import { planRetention } from './log/retention.ts';
import type { Topics } from './topics/topics.ts';

export interface UpkeepOptions {
  /** log.retention.check.interval.ms */
  readonly retentionCheckMs: number;
  /** log.cleaner.backoff.ms */
  readonly compactionCheckMs: number;
  /** producer.id.expiration.ms */
  readonly producerExpirationMs: number;
}

export class Upkeep {
  readonly #host: LogHost;
  readonly #topics: Topics;
  readonly #ports: Pick<Ports, 'clock' | 'timers' | 'log'>;
  readonly #options: UpkeepOptions;
  #timers: Timer[] = [];
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(host: LogHost, topics: Topics, ports: Pick<Ports, 'clock' | 'timers' | 'log'>, options: UpkeepOptions) {
    this.#host = host;
    this.#topics = topics;
    this.#ports = ports;
    this.#options = options;
  }

  start(): void {
    const { timers } = this.#ports;
    this.#timers = [
      timers.every(this.#options.retentionCheckMs, () => this.retain()),
      timers.every(this.#options.compactionCheckMs, () => void this.compact()),
    ];
  }

  /** Deletes what has lived long enough, everywhere. */
  retain(): void {
    const nowMs = this.#ports.clock.nowMs();
    this.#eachLog((log) => {
      retainPartition(log, nowMs);
      log.expireProducers(nowMs - this.#options.producerExpirationMs);
    });
  }

  /** One round of compaction over every partition that needs it; calls while one runs wait for it. */
  compact(): Promise<void> {
    this.#running = this.#running.then(() => this.#compactAll());
    return this.#running;
  }

  async #compactAll(): Promise<void> {
    const logs: PartitionLog[] = [];
    for (const topic of this.#topics.all()) if (topic.config.compact) logs.push(...topic.logs);
    for (const log of logs) {
      if (this.#stopped) return;
      if (log.closed) continue;
      const where = { topic: log.topic, partition: log.partition };
      try {
        const outcome = await compactPartition(this.#host, log, this.#ports.timers, this.#ports.clock.nowMs());
        if (outcome !== undefined) this.#ports.log.info({ ...where, ...outcome }, 'compacted');
      } catch (error) {
        this.#ports.log.error({ ...where, error: explainError(error) }, 'compaction failed; the log is as it was');
      }
    }
  }

  /** Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    await this.#running;
  }

  #eachLog(run: (log: PartitionLog) => void): void {
    for (const topic of this.#topics.all())
      for (const log of topic.logs) {
        try {
          run(log);
        } catch (error) {
          this.#ports.log.error({ topic: log.topic, partition: log.partition, error: explainError(error) }, 'retention failed');
        }
      }
  }
}

/** Applies the retention plan of one partition. */
export function retainPartition(log: PartitionLog, nowMs: number): void {
  const plan = planRetention(log.segments, log.config, log.logStart, nowMs);
  if (plan.drop === 0) return;
  // An open transaction's data stays: the segment that holds its first offset, and what follows, waits.
  const stable = log.lastStableOffset;
  const doomed = log.segments.slice(0, plan.drop).filter((segment) => segment.nextOffset <= stable);
  if (plan.rollActive && doomed.length === plan.drop) log.roll();
  const active = log.segments.at(-1);
  log.dropSegments(doomed.filter((segment) => segment !== active));
}
