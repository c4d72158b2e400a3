// The rows of the router's table that the two coordinators serve.
// Owns: the list.  Never: decides anything.
import type { Chance, Clock } from '@millrace/core';
import type { GroupCoordinator } from '../group/coordinator.ts';
import type { BrokerFacts, HandlerEntry } from '../handler.ts';
import type { InternalLog } from '../internal-log.ts';
import type { TransactionCoordinator } from '../transaction/coordinator.ts';
import { offsetCommitHandler } from './08-offset-commit.ts';
import { offsetFetchHandler } from './09-offset-fetch.ts';
import { findCoordinatorHandler } from './10-find-coordinator.ts';
import { joinGroupHandler } from './11-join-group.ts';
import { heartbeatHandler } from './12-heartbeat.ts';
import { leaveGroupHandler } from './13-leave-group.ts';
import { syncGroupHandler } from './14-sync-group.ts';
import { describeGroupsHandler } from './15-describe-groups.ts';
import { listGroupsHandler } from './16-list-groups.ts';
import { initProducerIdHandler } from './22-init-producer-id.ts';
import { addPartitionsToTxnHandler } from './24-add-partitions-to-txn.ts';
import { addOffsetsToTxnHandler } from './25-add-offsets-to-txn.ts';
import { endTxnHandler } from './26-end-txn.ts';
import { txnOffsetCommitHandler } from './28-txn-offset-commit.ts';
import { deleteGroupsHandler } from './42-delete-groups.ts';
import { offsetDeleteHandler } from './47-offset-delete.ts';
import { describeProducersHandler } from './61-describe-producers.ts';
import { describeTransactionsHandler } from './65-describe-transactions.ts';
import { listTransactionsHandler } from './66-list-transactions.ts';
import { consumerGroupHeartbeatHandler } from './68-consumer-group-heartbeat.ts';
import { consumerGroupDescribeHandler } from './69-consumer-group-describe.ts';

export interface CoordinatorParts {
  readonly groups: GroupCoordinator;
  readonly transactions: TransactionCoordinator;
  readonly internalLog: InternalLog;
  readonly broker: BrokerFacts;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly chance: Pick<Chance, 'uuid'>;
}

export function coordinatorHandlers({ groups, transactions, internalLog, broker, clock, chance }: CoordinatorParts): HandlerEntry[] {
  return [
    offsetCommitHandler(groups, internalLog),
    offsetFetchHandler(groups, internalLog),
    findCoordinatorHandler(broker),
    joinGroupHandler(groups, () => chance.uuid()),
    heartbeatHandler(groups),
    leaveGroupHandler(groups),
    syncGroupHandler(groups),
    describeGroupsHandler(groups),
    listGroupsHandler(groups),
    initProducerIdHandler(transactions),
    addPartitionsToTxnHandler(transactions, internalLog),
    addOffsetsToTxnHandler(transactions),
    endTxnHandler(transactions),
    txnOffsetCommitHandler(groups, transactions, internalLog),
    deleteGroupsHandler(groups),
    offsetDeleteHandler(groups, internalLog),
    describeProducersHandler(internalLog),
    describeTransactionsHandler(transactions),
    listTransactionsHandler(transactions, clock),
    consumerGroupHeartbeatHandler(groups, () => chance.uuid()),
    consumerGroupDescribeHandler(groups),
  ];
}
