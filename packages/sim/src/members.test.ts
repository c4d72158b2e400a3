import { seededChance, serde, virtualTime } from '@millrace/core';
import { topic, topology } from '@millrace/dsl';
import { expect, test } from 'vitest';
import { InstanceMember } from './members.ts';
import { SimNetwork } from './sim-network.ts';
import type { World } from './sim-process.ts';
import { Trace } from './trace.ts';

test('an instance that is told to stop while it is down can be stopped when it runs again', async () => {
  const time = virtualTime();
  const world: World = { time, chance: seededChance(1), trace: new Trace(() => time.clock.monotonicMs()) };
  const copied = topology('copied', (t) => void t.stream(topic('in', { value: serde.string() })).to(topic('out', { value: serde.string() })));
  const member = new InstanceMember({ world, network: new SimNetwork(world, seededChance(2)) }, 'app-0', copied, {});
  await member.stop('leave');
  member.start();
  expect([member.alive, member.closing]).toEqual([true, false]);
  await member.stop('leave');
  expect(member.alive).toBe(false);
});
