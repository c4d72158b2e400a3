import type { LogAdmin, MemberSubscription } from '@millrace/client';
import { expect, test } from 'vitest';
import { decodeAssignmentNews, encodeMemberNews, type MemberNews } from './assignment/wire.ts';
import { createGroupLeader } from './group-leader.ts';
import { settingsOf } from './options.ts';
import { countTopology } from './testing/worker-rig.ts';

const program = countTopology();
const settings = settingsOf(program, { applicationId: 'app', module: 'file:///none.js' }, true);
const description = (name: string) => [name, { name, topicId: '', partitions: 2, internal: false }] as const;
const admin = {
  describeTopics: async () => new Map(['in', 'out', 'app-counts-changelog'].map(description)),
  createTopics: async () => {},
} as unknown as LogAdmin;

function subscription(memberId: string, facts: Partial<MemberNews> = {}): MemberSubscription {
  const transactionalIds = [`app-${memberId}-0`];
  const news = { instanceId: memberId, address: undefined, workers: 1, owned: [], stored: [], transactionalIds, known: [], topologyHash: 'ours', ...facts };
  return { memberId, userData: encodeMemberNews({ stop: undefined, ...news }) } as unknown as MemberSubscription;
}

async function newsOf(...members: readonly MemberSubscription[]) {
  const assigned = await createGroupLeader(program, 'ours', settings, admin, 'leader').assign(members);
  return new Map([...assigned].map(([memberId, { userData }]) => [memberId, decodeAssignmentNews(userData)]));
}

test('who runs another topology than the leader is sent away with the reason; the others go on', async () => {
  const news = await newsOf(subscription('first', { owned: ['0_0', '0_1'] }), subscription('changed', { topologyHash: 'theirs' }));
  expect(news.get('first')).toMatchObject({ tasks: ['0_0', '0_1'], refusal: undefined });
  expect(news.get('first')?.instances.map(({ instanceId }) => instanceId)).toEqual(['first']);
  expect(news.get('changed')).toMatchObject({ tasks: [], refusal: { code: 'ERR_TOPOLOGY_MODULE_MISMATCH', message: expect.stringContaining("'first'") } });
});

test('what a member that is sent away still runs is given to nobody until it has gone', async () => {
  const leaving = subscription('old', { topologyHash: 'theirs', owned: ['0_1'], known: ['app-old-0'] });
  const news = await newsOf(subscription('first'), leaving);
  expect(news.get('first')).toMatchObject({ tasks: ['0_0'], vanished: [] });
  const after = await newsOf(subscription('first', { owned: ['0_0'], known: ['app-first-0', 'app-old-0'] }));
  expect(after.get('first')).toMatchObject({ tasks: ['0_0', '0_1'], vanished: ['app-old-0'] });
});

test('one that asks the application to stop stops every member', async () => {
  const news = await newsOf(subscription('first'), subscription('second', { stop: 'enough' }));
  expect([...news.values()].map(({ refusal }) => refusal?.code)).toEqual(['ERR_APPLICATION_STOPPED', 'ERR_APPLICATION_STOPPED']);
});
