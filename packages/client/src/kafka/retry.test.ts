import { expect, test } from 'vitest';
import { ScriptedBroker, type Step } from '../testing/scripted-broker.ts';
import { createAdmin } from './open.ts';

const INPUT = [{ topic: 't', partition: 0 }];

test.each([
  [51, 'an id to fence', 'initProducerId'],
  [88, 'committed offsets', 'offsetFetch'],
] as const)('[%i] where markers are late, of %s, is asked again soon after they are there, however long they took', async (errorCode, _what, api) => {
  const broker = await new ScriptedBroker().listen();
  const admin = createAdmin({ ...broker.connection, requestTimeoutMs: 10_000 }, {}, broker.ports);
  const markersAtMs = broker.time.clock.monotonicMs() + 2_000;
  const refused: Step = ({ body }) => {
    if (broker.time.clock.monotonicMs() >= markersAtMs) return 'default';
    const partitions = [{ partitionIndex: 0, committedOffset: -1, errorCode }];
    return api === 'initProducerId' ? { errorCode } : { groups: [{ groupId: body.groups[0].groupId, errorCode: 0, topics: [{ name: 't', partitions }] }] };
  };
  broker.script(api, ...Array.from({ length: 100 }, () => refused));
  await broker.run(Promise.resolve(api === 'initProducerId' ? admin.fenceTransactionalId('id') : admin.committedOffsets('g', INPUT)));
  expect(broker.time.clock.monotonicMs() - markersAtMs).toBeLessThan(260); // the longest back-off, a fifth longer by chance, and the way
  expect(broker.seen(api).length).toBeLessThan(30);
  await admin.close();
});
