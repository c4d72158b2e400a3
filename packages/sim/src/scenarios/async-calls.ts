// Calls to the outside world: slow, overtaking each other, failing now and then. Whatever crashes, each record has one outcome, those of a key
// come in its order, and a call is made again only with the key of the first.
import { serde } from '@millrace/core';
import { topic, topology } from '@millrace/dsl';
import type { Simulation } from '../simulate.ts';
import { checkSame, pick, type Scenario } from './scenario.ts';

const KEYS = ['k', 'l', 'm', 'n', 'o'];
const text = { key: serde.string(), value: serde.string() };
const questions = topic('questions', text);
const answers = topic('answers', text);
const FAILS_IN = 12;
const CALL_MS_MAX = 150;

export function asyncCalls(): Scenario {
  const sent: { readonly key: string; readonly value: string }[] = [];
  const keys = new Map<string, Set<string>>();
  let world: Simulation | undefined;
  const ask = async (question: string, idempotencyKey: string): Promise<string> => {
    keys.set(question, (keys.get(question) ?? new Set()).add(idempotencyKey));
    await world?.sleep(Math.floor(world.random() * CALL_MS_MAX));
    if (world !== undefined && world.random() < 1 / FAILS_IN) throw new Error('nobody answers');
    return `answer to ${question}`;
  };
  return {
    topology: topology('asking', (t) => {
      t.stream(questions)
        .mapValuesAsync((question, _key, { idempotencyKey }) => ask(question, idempotencyKey), {
          as: 'ask',
          concurrency: 8,
          retry: { attempts: 20, backoff: '5ms', backoffMax: '50ms' },
        })
        .to(answers);
    }),
    async workload(sim) {
      world = sim;
      for (let n = 0; n < 100; n++) {
        const one = { key: pick(sim, KEYS), value: `q${n}` };
        sent.push(one);
        sim.input(questions).send(one.key, one.value);
        await sim.sleep(40);
      }
    },
    verify(sim, exactly) {
      const found = sim.output(answers).readAll();
      const wanted = sent.map(({ key, value }) => `${key}=answer to ${value}`);
      checkSame(
        'answers (K2)',
        found.map(({ key, value }) => `${key}=${value}`),
        wanted,
        exactly,
      );
      for (const [question, used] of keys) if (used.size > 1) throw new Error(`${question} was asked under ${used.size} keys: ${[...used].join(', ')} (K2)`);
      if (!exactly) return;
      for (const key of KEYS) {
        const mine = found.filter((one) => one.key === key).map(({ value }) => value);
        const inOrder = sent.filter((one) => one.key === key).map(({ value }) => `answer to ${value}`);
        if (mine.join() !== inOrder.join()) throw new Error(`answers of ${key} came out of order (K2): ${mine.join()}`);
      }
    },
  };
}
