import { expect, test } from 'vitest';
import { type AssignmentNews, decodeAssignmentNews, decodeMemberNews, encodeAssignmentNews, encodeMemberNews, type MemberNews } from './wire.ts';

const news: MemberNews = {
  instanceId: 'i-1',
  address: '127.0.0.1:7070',
  workers: 2,
  owned: ['0_1'],
  stored: ['1_0'],
  transactionalIds: ['a-0'],
  known: ['b-0'],
  topologyHash: 'x',
};

test('what a member says comes back as it was', () => {
  expect(decodeMemberNews(encodeMemberNews(news), 'm')).toEqual(news);
});

test('what the leader says comes back as it was', () => {
  const said: AssignmentNews = {
    tasks: ['0_0'],
    vanished: ['z'],
    known: ['z'],
    instances: [{ instanceId: 'i', address: undefined, tasks: ['0_0'] }],
    matched: { 'logs-a': 3 },
    leader: 'i',
    refusal: { code: 'ERR_TOPIC_MISSING', message: 'no' },
  };
  expect(decodeAssignmentNews(encodeAssignmentNews(said))).toEqual(said);
});

test('what patterns stand for is topics with counts, and nothing else', () => {
  const said = { version: 1, tasks: [], vanished: [], known: [], instances: [] };
  const decode = (matched: unknown) => () => decodeAssignmentNews(Buffer.from(JSON.stringify({ ...said, matched })));
  expect(decode(undefined)().matched).toBeUndefined();
  for (const matched of [null, 'logs-a', { 'logs-a': -1 }, { 'logs-a': '1' }, { '../x': 1 }]) expect(decode(matched)).toThrow(/not Millrace's/);
});

test('metadata of another application is refused with the reason', () => {
  expect(() => decodeMemberNews(Buffer.from([0, 11, 1, 2]), 'consumer-7')).toThrow(/consumer-7.*not Millrace's/);
  expect(() => decodeMemberNews(Buffer.alloc(0), 'm')).toThrow(/not Millrace's/);
  expect(() => decodeMemberNews(Buffer.from('{"version":1,"instanceId":"../x"}'), 'm')).toThrow(/not Millrace's/);
});

test('another version is refused with both numbers', () => {
  expect(() => decodeMemberNews(Buffer.from(JSON.stringify({ ...news, version: 9 })), 'm')).toThrow(/version 9.*version 1/);
});
