// The rows of the router's table that are about a cluster of one: what tools ask of brokers that could be many.
// Owns: the list.  Never: decides anything.
import type { Clock } from '@millrace/core';
import type { BrokerFacts, HandlerEntry } from '../handler.ts';
import type { InternalLog } from '../internal-log.ts';
import type { Topics } from '../topics/topics.ts';
import { type MarkerListener, writeTxnMarkersHandler } from './27-write-txn-markers.ts';
import { alterReplicaLogDirsHandler } from './34-alter-replica-log-dirs.ts';
import { describeLogDirsHandler } from './35-describe-log-dirs.ts';
import { electLeadersHandler } from './43-elect-leaders.ts';
import { alterPartitionReassignmentsHandler } from './45-alter-partition-reassignments.ts';
import { listPartitionReassignmentsHandler } from './46-list-partition-reassignments.ts';
import { describeQuorumHandler } from './55-describe-quorum.ts';
import { updateFeaturesHandler } from './57-update-features.ts';
import { listConfigResourcesHandler } from './74-list-config-resources.ts';
import { describeTopicPartitionsHandler } from './75-describe-topic-partitions.ts';

export interface ClusterParts {
  readonly topics: Topics;
  readonly facts: BrokerFacts;
  readonly internalLog: InternalLog;
  readonly offsets: MarkerListener;
  /** As the operator named it. */
  readonly dataDir: string;
  readonly clock: Pick<Clock, 'nowMs'>;
}

export function clusterHandlers({ topics, facts, internalLog, offsets, dataDir, clock }: ClusterParts): HandlerEntry[] {
  return [
    writeTxnMarkersHandler(internalLog, offsets),
    alterReplicaLogDirsHandler(topics, dataDir),
    describeLogDirsHandler(topics, dataDir),
    electLeadersHandler(topics),
    alterPartitionReassignmentsHandler(topics, facts),
    listPartitionReassignmentsHandler(),
    describeQuorumHandler(topics, facts, clock),
    updateFeaturesHandler(),
    listConfigResourcesHandler(topics, facts),
    describeTopicPartitionsHandler(topics, facts),
  ];
}
