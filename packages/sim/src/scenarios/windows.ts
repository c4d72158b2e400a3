// K3 for sessions: whatever order records come in, the sessions that remain are those of all times together.
import { serde } from '@millrace/core';
import { store, topic, topology, windows } from '@millrace/dsl';
import { checkTable, EVENT_TIME_MS, pick, type Scenario } from './scenario.ts';

const GAP_MS = 200;
const visits = topic('visits', { key: serde.string(), value: serde.string() });
const perSession = store.session('per-session', { key: serde.string(), value: serde.safeInt() });
const counted = topic('counted-sessions', { key: serde.sessionWindowed(serde.string()), value: serde.nullable(serde.safeInt()) });

const program = topology('visiting', (t) => {
  t.stream(visits)
    .groupByKey()
    .windowedBy(windows.session({ gap: GAP_MS, grace: '10 days' }))
    .count({ store: perSession })
    .toStream()
    .to(counted);
});

export function sessions(): Scenario {
  const times = new Map<string, number[]>();
  return {
    topology: program,
    async workload(sim) {
      for (let n = 0; n < 120; n++) {
        const key = pick(sim, ['a', 'b', 'c', 'd', 'e']);
        const at = EVENT_TIME_MS + Math.floor(sim.random() * 10_000);
        times.set(key, [...(times.get(key) ?? []), at]);
        sim.input(visits).send(key, `v${n}`, { at });
        await sim.sleep(30);
      }
    },
    verify(sim, exactly) {
      if (!exactly) return;
      const wanted = new Map<string, number>();
      for (const [key, all] of times) {
        let open: { start: number; end: number; n: number } | undefined;
        const end = (): void => void (open !== undefined && wanted.set(`${key}@${open.start}-${open.end}`, open.n));
        for (const at of [...all].sort((one, other) => one - other)) {
          if (open !== undefined && at - open.end <= GAP_MS) open = { start: open.start, end: at, n: open.n + 1 };
          else {
            end();
            open = { start: at, end: at, n: 1 };
          }
        }
        end();
      }
      const named = (
        rows: readonly { readonly key: { readonly key: string; readonly window: { readonly start: number; readonly end: number } }; readonly value: number }[],
      ) => new Map(rows.map(({ key, value }) => [`${key.key}@${key.window.start}-${key.window.end}`, value]));
      checkTable('sessions (K3)', named(sim.output(counted).latest()), wanted);
      checkTable('the session store (K3)', named(sim.store(perSession).entries()), wanted);
    },
  };
}
