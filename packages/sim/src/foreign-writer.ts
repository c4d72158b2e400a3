// Somebody else's transactional producer: writes copies of real inputs that must never count, since no transaction of theirs is committed.
// Some are aborted and leave a marker as the last thing in the log; some hang until the broker ends them.
// Owns: its producers, until the end of the simulation.  Never: commits.
import { type ConnectionOptions, createProducer, type LogProducer } from '@millrace/client';
import type { Chance, Ports } from '@millrace/core';
import type { Inputs } from './sim-input.ts';

const RECORDS_MAX = 5;
/** A transaction that hangs is ended by the broker after this, and its sweep. */
const TIMEOUT_MS = 2000;

export class ForeignWriter {
  readonly #inputs: Inputs;
  readonly #connection: ConnectionOptions;
  readonly #ports: Ports;
  readonly #producers = new Set<LogProducer>();
  readonly #writes = new Set<Promise<void>>();
  #made = 0;

  constructor(inputs: Inputs, connection: ConnectionOptions, ports: Ports) {
    this.#inputs = inputs;
    this.#connection = connection;
    this.#ports = ports;
  }

  /** Begins one; says what it will do. */
  strike(chance: Chance): string {
    const hangs = chance.integer(2) === 0;
    const copies = Array.from({ length: 1 + chance.integer(RECORDS_MAX) }, () => this.#inputs.copyOfOne(chance));
    const transactionalId = `foreign-${this.#made++}`;
    const producer = createProducer(this.#connection, { transactionalId, transactionTimeoutMs: TIMEOUT_MS, deliveryTimeoutMs: TIMEOUT_MS }, this.#ports);
    this.#producers.add(producer);
    // Whatever the broker says: it is not there to be right.
    const write = this.#write(producer, copies, hangs)
      .catch(() => undefined)
      .finally(() => this.#writes.delete(write));
    this.#writes.add(write);
    return `${transactionalId} ${hangs ? 'hangs' : 'aborts'}`;
  }

  /** Nothing more comes from what was begun: a transaction is in the log, and ended unless it hangs, or was given up. */
  async settled(): Promise<void> {
    await Promise.all(this.#writes);
  }
  async close(): Promise<void> {
    for (const producer of this.#producers) await producer.close().catch(() => undefined);
  }

  async #write(producer: LogProducer, copies: readonly ReturnType<Inputs['copyOfOne']>[], hangs: boolean): Promise<void> {
    await producer.initialise();
    producer.begin();
    await Promise.all(copies.flatMap((copy) => (copy === undefined ? [] : [producer.send(copy.topic, copy.partition, copy.batch)])));
    if (!hangs) await producer.end(false);
  }
}
