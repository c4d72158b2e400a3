// Apache's own command-line tools at the embedded broker's closed door: users, quotas, access rules and records, over TLS with a login.
// Their decoders are strict, so this also holds our answers of those APIs against the original.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, startBroker } from '@millrace/broker';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const jars = process.env.MILLRACE_TEST_KAFKA_JARS;
const fixture = (name: string): string => join(import.meta.dirname, '../fixtures/tls', `${name}.pem`);
const TOOL_MS = 120_000;

let folder: string;
let broker: Broker;

/** Runs a tool's main class as a user; resolves with all that it prints. */
function tool(mainClass: string, user: string, args: readonly string[], input = ''): Promise<string> {
  const java = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', join(jars ?? '', '*'), mainClass];
  const connection = ['--bootstrap-server', broker.address, '--command-config', join(folder, `${user}.properties`)];
  return new Promise((resolve, reject) => {
    const child = spawn('java', [...java, ...connection, ...args], { timeout: TOOL_MS });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => void (said += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => void (said += chunk.toString()));
    child.on('error', reject);
    child.on('close', () => resolve(said));
    child.stdin.end(input);
  });
}
function addUser(name: string, mechanism: string, module: string): void {
  const lines = [
    'security.protocol=SASL_SSL',
    `sasl.mechanism=${mechanism}`,
    `sasl.jaas.config=org.apache.kafka.common.security.${module} required username="${name}" password="${name}-secret";`,
    'ssl.truststore.type=PEM',
    `ssl.truststore.location=${fixture('ca.cert')}`,
  ];
  writeFileSync(join(folder, `${name}.properties`), `${lines.join('\n')}\n`);
}

describe.skipIf(jars === undefined)("Apache's tools at the embedded broker", () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-secure-tools-'));
    const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
    const security = {
      tls: { key: fixture('server.key'), cert: fixture('server.cert') },
      sasl: { mechanisms: ['plain', 'scram-sha-256', 'scram-sha-512'], users: { admin: 'admin-secret', bob: 'bob-secret' } },
      authorization: { superUsers: ['User:admin'] },
    } as const;
    broker = await startBroker({ dataDir: join(folder, 'data'), port: 0, security }, ports);
    addUser('admin', 'SCRAM-SHA-512', 'scram.ScramLoginModule');
    addUser('eve', 'SCRAM-SHA-256', 'scram.ScramLoginModule');
    addUser('bob', 'PLAIN', 'plain.PlainLoginModule');
  });
  afterAll(async () => {
    await broker?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('a user is added with a password and a quota, and shown without the password', async () => {
    const configs = (...args: string[]) => tool('kafka.admin.ConfigCommand', 'admin', args);
    const eve = ['--entity-type', 'users', '--entity-name', 'eve'];
    expect(await configs('--alter', ...eve, '--add-config', 'SCRAM-SHA-256=[iterations=8192,password=eve-secret]')).toContain('Completed updating');
    expect(await configs('--alter', ...eve, '--add-config', 'producer_byte_rate=1048576')).toContain('Completed updating');
    const shown = await configs('--describe', ...eve);
    expect(shown).toContain('SCRAM-SHA-256=iterations=8192');
    expect(shown).toContain('producer_byte_rate=1048576.0');
    expect(shown).not.toContain('eve-secret');
  });

  test('a rule is added and listed; the user it is for writes and reads, another sees nothing', async () => {
    await tool('org.apache.kafka.tools.TopicCommand', 'admin', ['--create', '--topic', 'orders-1', '--partitions', '1']);
    const rule = ['--allow-principal', 'User:eve', '--operation', 'Read', '--operation', 'Write', '--topic', 'orders-', '--resource-pattern-type', 'prefixed'];
    await tool('org.apache.kafka.tools.AclCommand', 'admin', ['--add', ...rule]);
    expect(await tool('org.apache.kafka.tools.AclCommand', 'admin', ['--list'])).toContain(
      '(principal=User:eve, host=*, operation=WRITE, permissionType=ALLOW)',
    );
    await tool('org.apache.kafka.tools.ConsoleProducer', 'eve', ['--topic', 'orders-1'], 'hello\n');
    const reading = ['--topic', 'orders-1', '--partition', '0', '--offset', 'earliest', '--max-messages', '1', '--timeout-ms', '60000'];
    expect(await tool('org.apache.kafka.tools.consumer.ConsoleConsumer', 'eve', reading)).toContain('hello');
    expect(await tool('org.apache.kafka.tools.TopicCommand', 'bob', ['--describe', '--topic', 'orders-1'])).toContain('does not exist as expected');
    expect(await tool('org.apache.kafka.tools.AclCommand', 'bob', ['--list'])).toContain('ClusterAuthorizationException');
    expect(await tool('org.apache.kafka.tools.AclCommand', 'admin', ['--remove', '--force', ...rule])).not.toContain('Exception');
    expect(await tool('org.apache.kafka.tools.TopicCommand', 'eve', ['--describe', '--topic', 'orders-1'])).toContain('does not exist as expected');
  });
});
