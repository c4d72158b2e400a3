// One or three nodes of Apache Kafka (KRaft, broker and controller in one), whose processes can be killed and come back on the same folder and ports.
// Small heaps and quick failure detection: this is for faults, not for speed.  Owns: folders and properties of the nodes.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { answersApiVersions, freePorts, jars } from '../../scripts/kafka.mjs';
import { startProgram } from './processes.mjs';

const CLUSTER_ID = 'bWlsbHJhY2UtdG9ydHVyZQ';
const READY_MS = 180_000;
const JVM = ['-Xmx320m', '-Xss512k', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** Formats `count` nodes under `folder` and starts them. Each node: `{ id, address, process, start(), stop via process.end }`. */
export async function startKafkaNodes({ count, folder, onExit }) {
  const libs = await jars();
  const ports = await freePorts(count * 2);
  const voters = Array.from({ length: count }, (_, at) => `${at + 1}@127.0.0.1:${ports[count + at]}`).join(',');
  const nodes = Array.from({ length: count }, (_, at) => {
    const home = join(folder, `kafka-${at + 1}`);
    mkdirSync(home, { recursive: true });
    const properties = join(home, 'server.properties');
    writeFileSync(properties, propertiesText({ id: at + 1, count, voters, port: ports[at], controllerPort: ports[count + at], data: join(home, 'data') }));
    format(libs, properties);
    const node = { id: at + 1, port: ports[at], address: `127.0.0.1:${ports[at]}`, process: undefined };
    const begin = () => {
      const state = { ready: false };
      const heard = (one, code, signal) => {
        if (state.ready || one.wanted !== undefined) onExit(one, code, signal);
      };
      state.process = startProgram(node.address, 'java', [...JVM, '-cp', join(libs, '*'), 'kafka.Kafka', properties], join(home, 'kafka.log'), heard);
      node.process = state.process;
      return state;
    };
    node.start = async () => {
      const deadline = Date.now() + READY_MS;
      for (let attempt = begin(); ; await wait(100)) {
        if (await answersApiVersions(node.port)) {
          attempt.ready = true;
          return;
        }
        if (Date.now() > deadline) throw new Error(`Apache Kafka did not start; see ${join(home, 'kafka.log')}`);
        if (attempt.process.over) attempt = begin(); // a connection of somebody else may have been given its port while it was down
      }
    };
    return node;
  });
  await Promise.all(nodes.map((node) => node.start()));
  return nodes;
}

function format(libs, properties) {
  const made = spawnSync('java', [...JVM, '-cp', join(libs, '*'), 'kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', properties], {
    encoding: 'utf8',
  });
  if (made.status !== 0) throw new Error(`Kafka's storage could not be formatted: ${made.stderr.trim().split('\n').at(-1)}`);
}

function propertiesText({ id, count, voters, port, controllerPort, data }) {
  const inSync = count === 1 ? 1 : 2;
  const all = {
    'process.roles': 'broker,controller',
    'node.id': id,
    'controller.quorum.voters': voters,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': data,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'num.recovery.threads.per.data.dir': 2,
    'default.replication.factor': count,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': count,
    'offsets.topic.num.partitions': 3,
    'transaction.state.log.replication.factor': count,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': 3,
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1000,
    'log.cleaner.dedupe.buffer.size': 16 * 1024 * 1024,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'broker.heartbeat.interval.ms': 500,
    'broker.session.timeout.ms': 4000,
    'replica.lag.time.max.ms': 5000,
    'auto.create.topics.enable': false,
    'log.message.timestamp.after.max.ms': '9223372036854775807', // the load brings its own event time
    'log.message.timestamp.before.max.ms': '9223372036854775807',
  };
  return Object.entries(all)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
