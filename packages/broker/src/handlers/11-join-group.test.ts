import { APIS, encodeRequest } from '@millrace/protocol';
import { afterEach, expect, test } from 'vitest';
import { type Broker, startBroker } from '../broker.ts';
import { RawClient, testPorts } from '../testing/raw-client.ts';

const started: Broker[] = [];
afterEach(async () => {
  for (const broker of started.splice(0)) await broker.close();
});

test('a group with a name of a megabyte is refused, not kept for a session timeout of half an hour', async () => {
  const ports = testPorts();
  const broker = await startBroker({ dataDir: '/data' }, ports);
  started.push(broker);
  const hostile = await RawClient.connect(ports, broker.port);
  const answer = hostile.answerTo(1);
  const body = {
    groupId: 'g'.repeat(1_000_000),
    sessionTimeoutMs: 1_800_000,
    rebalanceTimeoutMs: 1_800_000,
    memberId: '',
    groupInstanceId: null,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
  };
  hostile.send(encodeRequest(APIS.joinGroup, 7, { correlationId: 1, clientId: 'x' }, body));
  await Promise.race([answer, hostile.closed]);
  const client = await RawClient.connect(ports, broker.port);
  const { groups } = await client.ask(APIS.listGroups, 4, { statesFilter: [] });
  expect(groups.map(({ groupId }) => groupId.length)).toEqual([]);
});
