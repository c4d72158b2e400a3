// A process of a campaign: runs the seeds that it is told, one at a time, and says what came of each.
// Never: outlives its campaign, or a seed in which something was thrown outside of it (the campaign sees it end, and knows the seed).
import { planOf, runScenario } from '../../packages/sim/dist/index.js';

// A failure is told by its message, and its stack by `--seed`: thousands of errors of every history are never looked at.
Error.stackTraceLimit = 0;

process.on('disconnect', () => process.exit());
process.on('message', async ({ seed, scenario }) => {
  const options = scenario === undefined ? {} : { scenario };
  const began = process.cpuUsage();
  const plan = planOf(seed, options);
  const result = await runScenario(seed, options).then(
    ({ digest, virtualMs, faults }) => ({ ok: true, digest, virtualMs, faults }),
    (error) => ({ ok: false, message: String(error?.message ?? error), digest: error?.report?.digest, faults: error?.report?.faults ?? {}, virtualMs: 0 }),
  );
  const { user, system } = process.cpuUsage(began);
  process.send({ seed, scenario: plan.scenario, guarantee: plan.guarantee, ...result, cpuMs: Math.round((user + system) / 1000) });
});
