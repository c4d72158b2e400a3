// The settings of the transaction coordinator, with Kafka's names beside ours, filled in once at the door.
export interface TransactionOptions {
  /** transaction.max.timeout.ms */
  readonly timeoutMaxMs: number;
  /** transaction.abort.timed.out.transaction.cleanup.interval.ms */
  readonly sweepIntervalMs: number;
  /** transactional.id.expiration.ms */
  readonly idExpirationMs: number;
  /** transaction.remove.expired.transaction.cleanup.interval.ms */
  readonly expirationIntervalMs: number;
  /** Producer ids taken from the log at a time; what is left of a block at a restart is never used. */
  readonly producerIdBlock: number;
  /** Transactional ids held at the same time; a new one past it is refused with COORDINATOR_NOT_AVAILABLE. */
  readonly transactionalIdsMax: number;
  /** For tests: EndTxn is answered this long before its markers are written, as a cluster does, so that clients meet CONCURRENT_TRANSACTIONS. */
  readonly markerDelayMs: number;
}

export const DEFAULT_TRANSACTION_OPTIONS: TransactionOptions = {
  timeoutMaxMs: 900_000,
  sweepIntervalMs: 10_000,
  idExpirationMs: 604_800_000,
  expirationIntervalMs: 3_600_000,
  producerIdBlock: 1_000,
  transactionalIdsMax: 100_000,
  markerDelayMs: 0,
};
