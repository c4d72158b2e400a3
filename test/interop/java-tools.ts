// Apache's command-line tools, as an administrator uses them: what each is asked and what it has to print.
// Owns: the list of tools.  Never: starts Java itself (broker-process.ts does).
import { expect } from 'vitest';

export interface ToolRunner {
  readonly address: string;
  /** Standard output of the tool; throws when it fails. */
  (tool: keyof typeof MAINS, args: readonly string[], input?: string): Promise<string>;
}

export interface Tool {
  readonly name: string;
  run(tool: ToolRunner): Promise<void>;
}

const MAINS = {
  'kafka-acls': 'org.apache.kafka.tools.AclCommand',
  'kafka-broker-api-versions': 'org.apache.kafka.tools.BrokerApiVersionsCommand',
  'kafka-cluster': 'org.apache.kafka.tools.ClusterTool',
  'kafka-configs': 'kafka.admin.ConfigCommand',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'kafka-features': 'org.apache.kafka.tools.FeatureCommand',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-groups': 'org.apache.kafka.tools.GroupsCommand',
  'kafka-log-dirs': 'org.apache.kafka.tools.LogDirsCommand',
  'kafka-producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-transactions': 'org.apache.kafka.tools.TransactionsCommand',
} as const;

/** Binds the tools to a broker and a way to run Java; `connection` is a properties file with what a secured broker asks for. */
export function toolRunner(address: string, java: (main: string, args: readonly string[], input?: string) => Promise<string>, connection?: string): ToolRunner {
  return Object.assign(
    (tool: keyof typeof MAINS, args: readonly string[], input?: string) => {
      // This one has subcommands, which come first, and a name of its own for the file.
      const cluster = tool === 'kafka-cluster';
      const secured = connection === undefined ? [] : [cluster ? '--config' : '--command-config', connection];
      const reach = ['--bootstrap-server', address, ...secured];
      return java(MAINS[tool], cluster ? [...args, ...reach] : [...reach, ...args], input);
    },
    { address },
  );
}

const create = (tool: ToolRunner, topic: string, partitions = 1): Promise<string> =>
  tool('kafka-topics', ['--create', '--topic', topic, '--partitions', String(partitions)]);
const produce = (tool: ToolRunner, topic: string, values: readonly string[], args: readonly string[] = []): Promise<string> =>
  tool('kafka-console-producer', ['--topic', topic, ...args], values.map((value) => `${value}\n`).join(''));
const consume = (tool: ToolRunner, topic: string, count: number, args: readonly string[] = []): Promise<string> =>
  tool('kafka-console-consumer', ['--topic', topic, '--from-beginning', '--max-messages', String(count), '--timeout-ms', '30000', ...args]);

export const TOOLS: readonly Tool[] = [
  {
    name: 'kafka-topics',
    async run(tool) {
      await tool('kafka-topics', ['--create', '--topic', 'tools-topic', '--partitions', '3', '--config', 'retention.ms=3600000']);
      const text = await tool('kafka-topics', ['--describe', '--topic', 'tools-topic']);
      expect(text).toContain('PartitionCount: 3');
      expect(text).toContain('retention.ms=3600000');
      await tool('kafka-topics', ['--alter', '--topic', 'tools-topic', '--partitions', '5']);
      expect(await tool('kafka-topics', ['--describe', '--topic', 'tools-topic'])).toContain('PartitionCount: 5');
      expect(await tool('kafka-topics', ['--list'])).toMatch(/^tools-topic$/m);
      await tool('kafka-topics', ['--delete', '--topic', 'tools-topic']);
      expect(await tool('kafka-topics', ['--list'])).not.toMatch(/^tools-topic$/m);
    },
  },
  {
    name: 'kafka-configs',
    async run(tool) {
      await create(tool, 'tools-configs');
      const entity = ['--entity-type', 'topics', '--entity-name', 'tools-configs'];
      await tool('kafka-configs', [...entity, '--alter', '--add-config', 'retention.ms=7200000,cleanup.policy=[compact,delete]']);
      const text = await tool('kafka-configs', [...entity, '--describe']);
      expect(text).toContain('retention.ms=7200000');
      expect(text).toContain('cleanup.policy=compact,delete');
      await tool('kafka-configs', [...entity, '--alter', '--delete-config', 'retention.ms']);
      expect(await tool('kafka-configs', [...entity, '--describe'])).not.toContain('retention.ms');
      expect(await tool('kafka-configs', ['--entity-type', 'brokers', '--entity-name', '1', '--describe', '--all'])).toContain('message.max.bytes');
    },
  },
  {
    name: 'kafka-console-producer, kafka-console-consumer',
    async run(tool) {
      await create(tool, 'tools-console');
      await produce(tool, 'tools-console', ['a:one', 'b:two'], ['--reader-property', 'parse.key=true', '--reader-property', 'key.separator=:']);
      const text = await consume(tool, 'tools-console', 2, ['--formatter-property', 'print.key=true', '--formatter-property', 'print.offset=true']);
      expect(text).toBe('Offset:0\ta\tone\nOffset:1\tb\ttwo\n');
      for (const codec of ['gzip', 'zstd']) await produce(tool, 'tools-console', [codec], ['--compression-codec', codec]);
      expect(await consume(tool, 'tools-console', 4, ['--group', 'tools-console-group'])).toBe('one\ntwo\ngzip\nzstd\n');
    },
  },
  {
    name: 'kafka-consumer-groups, kafka-groups',
    async run(tool) {
      await create(tool, 'tools-groups');
      await produce(tool, 'tools-groups', ['1', '2', '3']);
      for (const [group, protocol] of [
        ['tools-classic', 'classic'],
        ['tools-consumer', 'consumer'],
      ] as const) {
        await consume(tool, 'tools-groups', 3, ['--group', group, '--command-property', `group.protocol=${protocol}`]);
        expect(await tool('kafka-consumer-groups', ['--list'])).toMatch(new RegExp(`^${group}$`, 'm'));
        expect(await tool('kafka-consumer-groups', ['--describe', '--group', group])).toMatch(/tools-groups +0 +(3 +3 +0|- +3 +-)/);
        expect(await tool('kafka-consumer-groups', ['--describe', '--group', group, '--state'])).toContain('Empty');
        const asked = ['--reset-offsets', '--group', group, '--topic', 'tools-groups'];
        expect(await tool('kafka-consumer-groups', [...asked, '--to-offset', '1', '--execute'])).toMatch(/tools-groups +0 +1/);
        expect(await consume(tool, 'tools-groups', 2, ['--group', group])).toBe('2\n3\n');
        expect(await tool('kafka-consumer-groups', [...asked, '--to-datetime', '2020-01-01T00:00:00.000', '--execute'])).toMatch(/tools-groups +0 +0/);
        expect(await tool('kafka-consumer-groups', ['--delete-offsets', '--group', group, '--topic', 'tools-groups'])).toContain('Successful');
        expect(await tool('kafka-consumer-groups', ['--delete', '--group', group])).toMatch(/successful|does not exist|GROUP_ID_NOT_FOUND/i);
      }
      expect(await tool('kafka-groups', ['--list'])).toContain('GROUP');
    },
  },
  {
    name: 'kafka-transactions',
    async run(tool) {
      await create(tool, 'tools-transactions');
      const text = await tool('kafka-transactions', ['list']);
      expect(text).toContain('TransactionalId');
      expect(await tool('kafka-transactions', ['describe-producers', '--topic', 'tools-transactions', '--partition', '0'])).toContain('ProducerId');
      expect(await tool('kafka-transactions', ['find-hanging', '--broker-id', '1'])).toContain('Topic');
    },
  },
  {
    name: 'kafka-get-offsets, kafka-delete-records',
    async run(tool) {
      await create(tool, 'tools-offsets');
      await produce(tool, 'tools-offsets', ['1', '2', '3']);
      expect(await tool('kafka-get-offsets', ['--topic', 'tools-offsets'])).toBe('tools-offsets:0:3\n');
      const file = `${process.env.TMPDIR ?? '/tmp'}/millrace-delete-records-${process.pid}.json`;
      const { rmSync, writeFileSync } = await import('node:fs');
      writeFileSync(file, JSON.stringify({ version: 1, partitions: [{ topic: 'tools-offsets', partition: 0, offset: 2 }] }));
      expect(await tool('kafka-delete-records', ['--offset-json-file', file])).toContain('low_watermark: 2');
      rmSync(file);
      expect(await tool('kafka-get-offsets', ['--topic', 'tools-offsets', '--time', 'earliest'])).toBe('tools-offsets:0:2\n');
    },
  },
  {
    name: 'kafka-log-dirs',
    async run(tool) {
      await create(tool, 'tools-log-dirs', 2);
      expect(await tool('kafka-log-dirs', ['--describe', '--topic-list', 'tools-log-dirs'])).toContain('"partition":"tools-log-dirs-1"');
    },
  },
  {
    name: 'kafka-acls',
    async run(tool) {
      // Without an authorizer Kafka refuses this too; what counts is a plain answer.
      const text = await tool('kafka-acls', ['--list']).catch((error: unknown) => String(error));
      expect(text).toMatch(/SecurityDisabledException|Current ACLs|^$/);
    },
  },
  {
    name: 'kafka-features',
    async run(tool) {
      const text = await tool('kafka-features', ['describe']);
      expect(text).toMatch(/group\.version\s.*FinalizedVersionLevel: 1/);
    },
  },
  {
    name: 'kafka-broker-api-versions, kafka-cluster',
    async run(tool) {
      expect(await tool('kafka-broker-api-versions', [])).toContain('ConsumerGroupHeartbeat(68): 0 to 1');
      expect(await tool('kafka-cluster', ['cluster-id'])).toMatch(/Cluster ID: [\w-]{22}/);
      expect(await tool('kafka-cluster', ['list-endpoints'])).toContain('127.0.0.1');
    },
  },
  {
    name: 'kafka-producer-perf-test',
    async run(tool) {
      await create(tool, 'tools-perf');
      const args = ['--topic', 'tools-perf', '--num-records', '20000', '--record-size', '100', '--throughput', '-1', '--transactional-id', 'tools-perf'];
      expect(await tool('kafka-producer-perf-test', args)).toContain('20000 records sent');
    },
  },
];
