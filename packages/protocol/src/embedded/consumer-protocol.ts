// What members of a consumer group tell the leader, and what it tells them, inside JoinGroup and SyncGroup.
// Newer versions only append fields, so that groups can mix versions. Source: KIP-429 (owned partitions), KIP-792 (generation), KIP-881 (rack).
import { array, bytes, int32, string } from '../schema.ts';
import { defineEmbedded } from './embedded.ts';

export const consumerProtocolSubscription = defineEmbedded({
  name: 'ConsumerProtocolSubscription',
  versions: [0, 3],
  flexible: undefined,
  appendOnly: true,
  fields: {
    topics: array(string()),
    userData: bytes({ nullable: 0, default: null }),
    ownedPartitions: array({ topic: string(), partitions: array(int32()) }, { since: 1 }),
    generationId: int32({ since: 2, default: -1 }),
    rackId: string({ since: 3, nullable: 3, default: null }),
  },
});

export const consumerProtocolAssignment = defineEmbedded({
  name: 'ConsumerProtocolAssignment',
  versions: [0, 3],
  flexible: undefined,
  appendOnly: true,
  fields: {
    assignedPartitions: array({ topic: string(), partitions: array(int32()) }),
    userData: bytes({ nullable: 0, default: null }),
  },
});
