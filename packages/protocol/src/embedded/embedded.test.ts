import { describe, expect, test } from 'vitest';
import { consumerProtocolAssignment, consumerProtocolSubscription } from './consumer-protocol.ts';
import { decodeEmbedded, type EmbeddedSchema, embeddedVersion, encodeEmbedded } from './embedded.ts';
import { groupMetadataKey, groupMetadataValue, offsetCommitKey, offsetCommitValue } from './group-records.ts';
import { TRANSACTION_STATUS, transactionLogKey, transactionLogValue } from './transaction-records.ts';

const member = { memberId: 'm', clientId: 'c', clientHost: '/127.0.0.1', sessionTimeout: 45_000, subscription: Buffer.from('s'), assignment: Buffer.from('a') };
const newMember = { ...member, groupInstanceId: 'i', rebalanceTimeout: 60_000 };

/** Per schema, what its newest version can say. */
const SAMPLES: readonly (readonly [EmbeddedSchema, Record<string, unknown>])[] = [
  [
    consumerProtocolSubscription,
    { topics: ['t', 'u'], userData: Buffer.from('data'), ownedPartitions: [{ topic: 't', partitions: [0, 2] }], generationId: 4, rackId: 'r' },
  ],
  [consumerProtocolAssignment, { assignedPartitions: [{ topic: 't', partitions: [1] }], userData: null }],
  [offsetCommitKey, { group: 'g', topic: 't', partition: 3 }],
  [
    offsetCommitValue,
    { offset: 2 ** 40, leaderEpoch: 5, metadata: 'm', commitTimestamp: 1_700_000_000_000, expireTimestamp: -1, topicId: 'EBAbmRi4cjhFKaE1q61j_A' },
  ],
  [groupMetadataKey, { group: 'g' }],
  [
    groupMetadataValue,
    {
      protocolType: 'consumer',
      generation: 2,
      protocol: 'stream',
      leader: null,
      currentStateTimestamp: 9,
      members: [newMember, { ...newMember, groupInstanceId: null }],
    },
  ],
  [transactionLogKey, { transactionalId: 'tx' }],
  [
    transactionLogValue,
    {
      producerId: 5,
      previousProducerId: 4,
      nextProducerId: 6,
      producerEpoch: 2,
      transactionTimeoutMs: 10_000,
      transactionStatus: TRANSACTION_STATUS.Ongoing,
      transactionPartitions: [{ topic: 't', partitionIds: [0, 1] }],
      transactionLastUpdateTimestampMs: 7,
      transactionStartTimestampMs: 6,
      clientTransactionVersion: 2,
      previousProducerEpoch: 1,
    },
  ],
];

test.each(SAMPLES.map(([schema, value]) => [schema.name, schema, value] as const))(
  '%s: its newest version comes back, older ones read back what they can say',
  (_name, schema, value) => {
    for (let version = schema.versions.min; version <= schema.versions.max; version++) {
      const bytes = encodeEmbedded(schema, version, value);
      expect(embeddedVersion(bytes)).toBe(version);
      const decoded = decodeEmbedded(schema, bytes);
      expect(decoded.version).toBe(version);
      if (version === schema.versions.max) expect(decoded.value).toEqual(value);
      expect(encodeEmbedded(schema, version, decoded.value)).toEqual(bytes);
    }
  },
);

describe('golden bytes', () => {
  const hex = (bytes: Buffer): string => bytes.toString('hex');

  test('an offset of group g, as Kafka’s own tools read it', () => {
    expect(hex(encodeEmbedded(offsetCommitKey, 1, { group: 'g', topic: 't', partition: 1 }))).toBe('0001' + '000167' + '000174' + '00000001');
    expect(hex(encodeEmbedded(offsetCommitValue, 3, { offset: 5, leaderEpoch: -1, metadata: '', commitTimestamp: 2 }))).toBe(
      '0003' + '0000000000000005' + 'ffffffff' + '0000' + '0000000000000002',
    );
  });

  test('an offset as Apache Kafka 4.3.1 wrote it, with the id of its topic in a tag', () => {
    const bytes = Buffer.from('00040000000000000002ffffffff036d32000001a1fdded1c60100101b9918b872384529a135abad63fcbf0c', 'hex');
    const { value } = decodeEmbedded(offsetCommitValue, bytes);
    expect(value).toMatchObject({ offset: 2, leaderEpoch: -1, metadata: 'm2', topicId: 'G5kYuHI4RSmhNautY_y_DA' });
    expect(encodeEmbedded(offsetCommitValue, 4, value)).toEqual(bytes);
  });

  test('a subscription without user data', () => {
    expect(hex(encodeEmbedded(consumerProtocolSubscription, 0, { topics: ['t'] }))).toBe('0000' + '00000001' + '000174' + 'ffffffff');
  });

  test('a transaction record of version 1: no tag is sent for a default', () => {
    const bytes = encodeEmbedded(transactionLogValue, 1, {
      producerId: 1,
      producerEpoch: 0,
      transactionTimeoutMs: 1000,
      transactionStatus: 0,
      transactionPartitions: null,
      transactionLastUpdateTimestampMs: 3,
      transactionStartTimestampMs: -1,
    });
    expect(hex(bytes)).toBe('0001' + '0000000000000001' + '0000' + '000003e8' + '00' + '00' + '0000000000000003' + 'ffffffffffffffff' + '00');
  });
});

test('a subscription of a version to come is read as far as it is known', () => {
  const known = encodeEmbedded(consumerProtocolSubscription, 3, { topics: ['t'], rackId: null });
  const newer = Buffer.concat([known, Buffer.from('more')]);
  newer.writeInt16BE(9, 0);
  expect(decodeEmbedded(consumerProtocolSubscription, newer)).toMatchObject({ version: 9, value: { topics: ['t'] } });
});

test('a log record of an unknown version, or with bytes left over, is refused', () => {
  const bytes = encodeEmbedded(offsetCommitKey, 1, { group: 'g', topic: 't', partition: 1 });
  expect(() => decodeEmbedded(offsetCommitKey, Buffer.concat([bytes, Buffer.from([0])]))).toThrow(/left over/);
  bytes.writeInt16BE(7, 0);
  expect(() => decodeEmbedded(offsetCommitKey, bytes)).toThrow(/version 7/);
});

test('the version says which key a record of the offsets topic has', () => {
  expect(embeddedVersion(encodeEmbedded(groupMetadataKey, 2, { group: 'g' }))).toBe(2);
  expect(embeddedVersion(Buffer.from([0xff, 0xff]))).toBe(-1);
  expect(embeddedVersion(Buffer.alloc(1))).toBe(-1);
});
