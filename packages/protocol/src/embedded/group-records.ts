// Records of __consumer_offsets: committed offsets and group metadata, in Kafka's own bytes, so that Kafka's tools can read them.
// The version in a key says what the record is: 0 and 1 a committed offset, 2 the metadata of a group. A null value deletes.
import { array, bytes, int32, int64, string, uuid } from '../schema.ts';
import { defineEmbedded } from './embedded.ts';

export const offsetCommitKey = defineEmbedded({
  name: 'OffsetCommitKey',
  versions: [0, 1],
  flexible: undefined,
  fields: { group: string(), topic: string(), partition: int32() },
});

export const offsetCommitValue = defineEmbedded({
  name: 'OffsetCommitValue',
  versions: [0, 4],
  flexible: 4,
  fields: {
    offset: int64(),
    leaderEpoch: int32({ since: 3, default: -1 }),
    metadata: string(),
    commitTimestamp: int64(),
    expireTimestamp: int64({ since: 1, until: 1, default: -1 }),
    /** Kafka 4.x remembers which incarnation of the topic the offset belongs to. */
    topicId: uuid({ since: 4, tag: 0 }),
  },
});

export const groupMetadataKey = defineEmbedded({ name: 'GroupMetadataKey', versions: [2, 2], flexible: undefined, fields: { group: string() } });

export const groupMetadataValue = defineEmbedded({
  name: 'GroupMetadataValue',
  versions: [0, 4],
  flexible: 4,
  fields: {
    protocolType: string(),
    generation: int32(),
    protocol: string({ nullable: 0 }),
    leader: string({ nullable: 0 }),
    currentStateTimestamp: int64({ since: 2, default: -1 }),
    members: array({
      memberId: string(),
      groupInstanceId: string({ since: 3, nullable: 3, default: null }),
      clientId: string(),
      clientHost: string(),
      rebalanceTimeout: int32({ since: 1, default: -1 }),
      sessionTimeout: int32(),
      subscription: bytes(),
      assignment: bytes(),
    }),
  },
});
