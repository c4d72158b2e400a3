// Clients that others wrote, against the embedded broker: what works with Apache Kafka works here.
// Each scenario is a process of the client's own; a client that cannot be had on this machine is skipped with the reason.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BrokerProcess, runForeign, startBrokerProcess } from './broker-process.ts';
import { FOREIGN_CLIENTS, type Found, javaRun } from './clients.ts';
import { TOOLS, toolRunner } from './java-tools.ts';
import { javaConnection, PREFIX, SECURED_BROKER, SECURED_CLIENTS } from './secured.ts';

const found = JSON.parse(process.env.MILLRACE_TEST_INTEROP ?? '{}') as Readonly<Record<string, Found>>;
const place = (runtime: string): Found => found[runtime] ?? { reason: 'run by npm run test:interop' };

const nameOf = (client: string, scenario: string): string => `${client}-${scenario}`.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');

let broker: BrokerProcess;
let secured: BrokerProcess;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-interop-connection-'));
  broker = await startBrokerProcess();
  secured = await startBrokerProcess(SECURED_BROKER);
});
afterAll(async () => {
  await broker?.stop();
  await secured?.stop();
  rmSync(folder, { recursive: true, force: true });
});

for (const client of FOREIGN_CLIENTS)
  describe(client.name, () => {
    const { path, reason } = place(client.runtime);
    for (const scenario of client.scenarios)
      test(scenario, async (context) => {
        const left = reason ?? client.without?.[scenario];
        if (left !== undefined) return context.skip(left);
        const name = nameOf(client.name, scenario);
        const complaints = broker.words();
        const run = client.run(path as string, broker.address, scenario, name);
        if (scenario.startsWith('killed broker')) {
          await runForeign(run, '', () => broker.killAndStart());
          return;
        }
        await runForeign(run);
        expect(broker.words(), 'the broker complained').toBe(complaints);
      });
  });

describe("Apache's command-line tools 4.3.1", () => {
  const { path, reason } = place('Java 4.3.1');
  for (const tool of TOOLS)
    test(tool.name, async (context) => {
      if (reason !== undefined) return context.skip(reason);
      await tool.run(toolRunner(broker.address, (main, args, input) => runForeign(javaRun(path as string, main, args), input)));
    });
});

for (const { client, scenarios, connection } of SECURED_CLIENTS)
  describe(`${client.name}, TLS, login, rules`, () => {
    const { path, reason } = place(client.runtime);
    for (const scenario of scenarios)
      test(scenario, async (context) => {
        if (reason !== undefined) return context.skip(reason);
        const run = client.run(path as string, secured.address, scenario, `${PREFIX}${nameOf(client.name, scenario)}`);
        await runForeign({ ...run, env: { ...run.env, KAFKA_CONNECTION: connection(folder) } });
      });
  });

describe("Apache's command-line tools 4.3.1, TLS, login, rules", () => {
  const { path, reason } = place('Java 4.3.1');
  for (const tool of TOOLS)
    test(tool.name, async (context) => {
      if (reason !== undefined) return context.skip(reason);
      const java = (main: string, args: readonly string[], input?: string): Promise<string> => runForeign(javaRun(path as string, main, args), input);
      await tool.run(toolRunner(secured.address, java, javaConnection(folder, 'admin')));
    });
});
