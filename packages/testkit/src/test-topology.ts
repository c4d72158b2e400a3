// The test driver as users see it: a topology at work in this thread, without a broker, without waiting, with time that stands still
// until the test moves it. Needs no test runner and knows none.
// Owns: read positions.  Never: more than handing on to the driver.
import { type Duration, durationMs, MillraceError } from '@millrace/core';
import type { Failure, StoreAccess, StoreHandle, TopicSink, TopicSource, Topology } from '@millrace/dsl';
import type { ErrorPolicies } from '@millrace/runtime';
import { storeUnion } from './store-union.ts';
import { type InputOptions, type TestInput, TopicInput } from './test-input.ts';
import { type OutputPosition, type TestOutput, TopicOutput } from './test-output.ts';
import { TopologyDriver } from './topology-driver.ts';

export interface TestOptions {
  /** Wall clock at the start, ms since the epoch; 0 by default, so that a test says the same every day. */
  readonly startAt?: number;
  /** Stands in front of the names of internal topics; the topology's name by default. */
  readonly applicationId?: string;
  /** Partitions of every topic, or by topic name; 1 by default, whatever the topics were declared with. A task for each, as in a cluster. */
  readonly partitions?: number | Readonly<Record<string, number>>;
  /** What the app's `errors` would be: `fail` by default, which throws out of `send`. */
  readonly errors?: Pick<ErrorPolicies, 'decode' | 'process' | 'produce'>;
}

/** Why a record was dropped. `expired`: refused by a store's retention. */
export type DropReason = 'late' | 'decode' | 'nullKey' | 'skipped' | 'expired';

export interface TestDriver extends StoreAccess, Disposable {
  /** Writes to a topic that the topology reads, internal ones included. Throws ERR_TOPOLOGY for another. */
  input<K, V>(topic: TopicSink<K, V>, options?: InputOptions): TestInput<K, V>;
  /** Reads a topic that the topology writes, internal ones included (`<applicationId>-<name>`). Throws ERR_TOPOLOGY for another. */
  output<K, V>(topic: TopicSource<K, V>): TestOutput<K, V>;
  /** The stores of one partition; `store(handle)` reads all partitions as one. */
  partition(partition: number): StoreAccess;
  /** Moves the wall clock. A wall-clock timer that is due fires once, however often it was due. Stream time moves with records only. */
  advance(by: Duration): void;
  /**
   * Resolves when no asynchronous operator has anything pending. Real calls are waited for; pauses between attempts are skipped by moving the wall
   * clock. Rejects with what a policy let fail.
   */
  settled(): Promise<void>;
  /** The wall clock, ms since the epoch. */
  readonly now: number;
  /** Names of the topics that were read or written so far. */
  readonly topics: readonly string[];
  /** Every failure that a policy was asked about, also those it skipped. */
  readonly failures: readonly Failure[];
  /** Records dropped so far, of one reason or of all. */
  dropped(reason?: DropReason): number;
  close(): void;
}

/**
 * Runs a topology in this thread: the operators, stores and tasks of the runtime over topics in memory. Every record is processed to its end
 * and committed before `send` returns.
 *
 * @example
 * ```ts
 * const wordCount = topology('word-count', (t) => {
 *   t.stream(lines).flatMapValues((line) => line.split(' ')).groupBy((word) => word).count({ store: counts }).toStream().to(wordCounts);
 * });
 * using t = testTopology(wordCount);
 * t.input(lines).send('a', 'to be or not to be');
 * t.output(wordCounts).pairs(); // [['to', 1], ['be', 1], ['or', 1], ['not', 1], ['to', 2], ['be', 2]]
 * t.store(counts).get('be'); // 2
 * ```
 */
export function testTopology(topology: Topology, options: TestOptions = {}): TestDriver {
  const { partitions = 1 } = options;
  const byName = typeof partitions === 'number' ? {} : partitions;
  for (const [name, count] of [...Object.entries(byName), ['every topic', typeof partitions === 'number' ? partitions : 1] as const])
    if (!(Number.isInteger(count) && count >= 1))
      throw new MillraceError('ERR_OPTION', `partitions of ${name} is ${String(count)}; it must be a whole number from 1.`, { option: 'partitions' });
  return new Bench(
    new TopologyDriver({
      topology,
      applicationId: options.applicationId ?? topology.name,
      startAtMs: options.startAt ?? 0,
      partitions: new Map(Object.entries(byName)),
      defaultPartitions: typeof partitions === 'number' ? partitions : 1,
      errors: options.errors ?? {},
      oneTask: false,
    }),
  );
}

class Bench implements TestDriver {
  readonly #driver: TopologyDriver;
  readonly #positions = new Map<string, OutputPosition>();

  constructor(driver: TopologyDriver) {
    this.#driver = driver;
  }

  input<K, V>(topic: TopicSink<K, V>, options: InputOptions = {}): TestInput<K, V> {
    return new TopicInput(this.#driver, topic, options);
  }

  output<K, V>(topic: TopicSource<K, V>): TestOutput<K, V> {
    const position = this.#positions.get(topic.name) ?? { next: 0 };
    this.#positions.set(topic.name, position);
    return new TopicOutput(this.#driver, topic, position);
  }

  readonly store = ((handle: StoreHandle) => this.#storeOf(handle, undefined)) as StoreAccess['store'];

  partition(partition: number): StoreAccess {
    return { store: ((handle: StoreHandle) => this.#storeOf(handle, partition)) as StoreAccess['store'] };
  }

  advance(by: Duration): void {
    this.#driver.advance(durationMs(by, 'advance'));
  }
  settled(): Promise<void> {
    return this.#driver.settled();
  }
  get now(): number {
    return this.#driver.turnMs;
  }
  get topics(): readonly string[] {
    return this.#driver.topics;
  }
  get failures(): readonly Failure[] {
    return this.#driver.failures;
  }

  dropped(reason?: DropReason): number {
    return this.#driver.drops.filter((drop) => reason === undefined || drop.reason === reason).reduce((sum, { count }) => sum + count, 0);
  }

  close(): void {
    this.#driver.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  #storeOf({ name }: StoreHandle, partition: number | undefined): unknown {
    const { topology } = this.#driver;
    const spec = topology.stores.get(name);
    if (spec === undefined)
      throw new MillraceError(
        'ERR_STORE_NOT_CONNECTED',
        `Topology "${topology.name}" has no store "${name}"; it has ${[...topology.stores.keys()].join(', ') || 'none'}.`,
        { store: name },
      );
    const found = this.#driver.storesNamed(name);
    if (partition === undefined)
      return found.length === 1
        ? found[0]?.store
        : storeUnion(
            name,
            spec.key,
            found.map(({ store }) => store),
          );
    const one = found.find((each) => each.partition === partition);
    if (one !== undefined) return one.store;
    throw new MillraceError('ERR_OPTION', `Store "${name}" has no partition ${partition}; it has ${found.length}, from 0.`, {
      store: name,
      option: 'partition',
    });
  }
}
