// The bytes of group records: a round trip, Kafka's own layout, and what is skipped.
import { expect, test } from 'vitest';
import { decodeGroupRecord, encodeGroupRecord, type GroupRecord } from './records.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

test('every kind of record comes back as it was', () => {
  const records: GroupRecord[] = [
    { kind: 'group', groupId: 'g', value: null },
    { kind: 'group', groupId: 'grüße', value: { protocolType: 'consumer', generation: 4, protocolName: null, leaderId: null, sinceMs: 12, members: [] } },
    {
      kind: 'group',
      groupId: 'g',
      value: {
        protocolType: 'consumer',
        generation: 2,
        protocolName: 'range',
        leaderId: 'm1',
        sinceMs: 12,
        members: [
          {
            memberId: 'm1',
            instanceId: 'i',
            clientId: 'c',
            clientHost: '/1.2.3.4',
            rebalanceTimeoutMs: 60_000,
            sessionTimeoutMs: 10_000,
            subscription: bytes('s'),
            assignment: bytes('a'),
          },
        ],
      },
    },
    { kind: 'offset', groupId: 'g', topic: 't', partition: 3, value: null },
    {
      kind: 'offset',
      groupId: 'g',
      topic: 't',
      partition: 3,
      value: { offset: 2 ** 40, leaderEpoch: 7, metadata: 'm', committedAtMs: 5, expiresAtMs: undefined },
    },
    { kind: 'offset', groupId: 'g', topic: 't', partition: 3, value: { offset: 1, leaderEpoch: -1, metadata: '', committedAtMs: 5, expiresAtMs: 99 } },
  ];
  for (const record of records) expect(decodeGroupRecord(encodeGroupRecord(record))).toEqual(record);
});

test('an offset has the bytes that Kafka writes', () => {
  const { key, value } = encodeGroupRecord({
    kind: 'offset',
    groupId: 'g',
    topic: 't',
    partition: 3,
    value: { offset: 42, leaderEpoch: -1, metadata: 'm', committedAtMs: 1, expiresAtMs: undefined },
  });
  expect(key.toString('hex')).toBe('0001' + '000167' + '000174' + '00000003');
  expect(value?.toString('hex')).toBe('0003' + '000000000000002a' + 'ffffffff' + '00016d' + '0000000000000001');
});

test('keys of formats that are not ours are skipped, damaged ones are errors', () => {
  expect(decodeGroupRecord({ key: Buffer.from([0, 99, 0, 0]), value: null })).toBeUndefined();
  expect(decodeGroupRecord({ key: Buffer.alloc(0), value: null })).toBeUndefined();
  expect(() => decodeGroupRecord({ key: Buffer.from([0, 1, 0]), value: null })).toThrow();
});
