// What happens to processes: instances and brokers are killed, frozen, stopped, started together, and lose their folders.
// Every fault is one that may happen to a pod.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { within } from './chance.mjs';

const START_MS = 30_000;

async function refill(run) {
  await wait(run.chance() * run.options.sessionMs);
  await run.launch(run.options.instances);
}

export const processFaults = {
  killOne: {
    weight: 30,
    async run(run) {
      await run.any()?.end('SIGKILL');
      await refill(run);
    },
  },
  killTwiceAtOnce: {
    weight: 8,
    async run(run) {
      await Promise.all([run.any()?.end('SIGKILL'), run.any()?.end('SIGKILL')]);
      await refill(run);
    },
  },
  killAll: {
    weight: 5,
    async run(run) {
      await Promise.all([...run.instances.values()].map((one) => one.end('SIGKILL')));
      await refill(run);
    },
  },
  /** Longer than its session: the others take over, and what it held must not come back. */
  freeze: {
    weight: 14,
    async run(run) {
      const one = run.any();
      if (one === undefined) return;
      one.child.kill('SIGSTOP');
      await wait(run.options.sessionMs * (1.2 + 1.8 * run.chance()));
      if (!one.over) one.child.kill('SIGCONT');
    },
  },
  stopOne: {
    weight: 10,
    async run(run) {
      const one = run.any();
      if (one !== undefined) await run.terminate(one);
      await refill(run);
    },
  },
  scale: {
    weight: 8,
    async run(run) {
      const others = [...run.instances.values()].slice(1);
      await Promise.all(others.map((one) => run.terminate(one)));
      await wait(run.chance() * 1500);
      await run.launch(run.options.instances);
    },
  },
  /** A state folder goes with its instance; whoever gets the tasks has to restore, and is killed while it does. */
  killWhileRestoring: {
    weight: 10,
    async run(run) {
      await Promise.all([...run.instances.values()].map((one) => within(one.printed('running'), START_MS))); // nobody is choosing a folder now
      const one = run.any();
      await one?.end('SIGKILL');
      const id = run.instanceIdOf(one);
      if (id !== undefined && readdirSync(run.folders).includes(id)) rmSync(join(run.folders, id), { recursive: true, force: true });
      await run.launch(run.options.instances);
      await wait(300 + run.chance() * 700);
      await run.any()?.end('SIGKILL');
      await refill(run);
    },
  },
  killAtStart: {
    weight: 7,
    async run(run) {
      await run.any()?.end('SIGKILL');
      await run.launch(run.options.instances);
      const youngest = [...run.instances.values()].at(-1);
      await wait(50 + run.chance() * 1000);
      await youngest?.end('SIGKILL');
      await refill(run);
    },
  },
};

const someBroker = (run) => run.brokers[Math.floor(run.chance() * run.brokers.length)];

/** Faults of brokers that are processes of their own. With several, the next one falls only when all replicas are in sync again. */
export const brokerFaults = {
  killBroker: {
    weight: 8,
    async run(run) {
      await run.brokersHealed();
      const broker = someBroker(run);
      await broker.process.end('SIGKILL');
      run.broughtBack = wait(run.chance() * (run.brokers.length > 1 ? 6000 : 1000)).then(() => broker.start());
      if (run.brokers.length === 1)
        await run.broughtBack; // of several the others do the work meanwhile, and other faults go on
      else run.broughtBack.catch((error) => run.find(String(error)));
    },
  },
  freezeBroker: {
    weight: 4,
    async run(run) {
      await run.brokersHealed();
      const { child } = someBroker(run).process;
      child.kill('SIGSTOP');
      await wait(500 + run.chance() ** 2 * 8000);
      child.kill('SIGCONT');
    },
  },
};

/** The same where a cluster is what is tried: more often. */
export const brokersOneAfterAnother = {
  killBroker: { ...brokerFaults.killBroker, weight: 80 },
  freezeBroker: { ...brokerFaults.freezeBroker, weight: 20 },
};
