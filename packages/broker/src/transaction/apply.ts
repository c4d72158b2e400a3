// The only place where the durable state of transactions changes. The live path and the replay at start are this same code.
import type { TransactionRecord } from './records.ts';
import type { TransactionsState } from './state.ts';

export function applyTransactionRecord(state: TransactionsState, record: TransactionRecord): void {
  if (record.kind === 'producer-ids') {
    state.producerIdEnd = Math.max(state.producerIdEnd, record.end);
    return;
  }
  if (record.value === null) state.byId.delete(record.transactionalId);
  else state.byId.set(record.transactionalId, record.value);
}
