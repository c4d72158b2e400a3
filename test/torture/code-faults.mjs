// What user code does wrong in a worker: it throws, forgets a rejection, throws where nobody can catch it, takes all memory, ends the thread,
// blocks it.
// A record asks for it (acts.mjs); the instance must stay and go on, and every output must be as if nothing had been.
import { setTimeout as wait } from 'node:timers/promises';

async function ask(run, kind, ms = 0) {
  const token = `act-${run.nextAct++}`;
  const generator = run.generators.find((one) => one.topic === 'torture-in');
  generator.ask({ kind, token, ms });
  await wait(Math.max(500, ms));
}

export const codeFaults = {
  codeThrows: { weight: 3, run: (run) => ask(run, 'throw') },
  codeRejects: { weight: 3, run: (run) => ask(run, 'reject') },
  codeThrowsLater: { weight: 3, run: (run) => ask(run, 'throwLater') },
  codeEatsMemory: { weight: 3, run: (run) => ask(run, 'eat', 2000) },
  workerEnds: { weight: 4, run: (run) => ask(run, 'exit') },
  /** Shorter than a session, longer than one, longer than a transaction may be open. */
  codeBlocks: { weight: 4, run: (run) => ask(run, 'block', Math.floor([0.5, 2, 4.5][Math.floor(run.chance() * 3)] * 1500)) },
};
