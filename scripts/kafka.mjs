// One node of Apache Kafka (KRaft) from Maven's jars, for tests: its own folder, free ports, gone when the caller says so.
// Needs java 17 or newer and mvn. The jars are fetched once into a cache folder (KAFKA_LIBS names another one).
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Refusal, root } from './prepare.mjs';

export const KAFKA_VERSION = '4.3.1';
const START_MS = 120_000;
const POLL_MS = 250;

/** Why Kafka cannot run here; undefined: it can. */
export function whyNoKafka() {
  if (spawnSync('java', ['-version']).status !== 0) return 'Java is missing (install a JDK or JRE 17 or newer)';
  if (findJars() === undefined && spawnSync('mvn', ['-v'], { shell: process.platform === 'win32' }).status !== 0)
    return 'Maven is missing (install mvn, or set KAFKA_LIBS to a folder with the jars)';
  return undefined;
}

/** Starts a node; resolves when it answers ApiVersions. `settings` are added to its properties. */
export async function startKafka(settings = {}) {
  const libs = await jars();
  const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-'));
  const [port, securePort, controllerPort] = await freePorts(3);
  const properties = join(folder, 'server.properties');
  writeFileSync(properties, propertiesText({ port, securePort, controllerPort, folder, settings }));
  const classPath = join(libs, '*');
  const scramUsers = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
    '--add-scram',
    `${mechanism}=[name="${TEST_USER.name}",password="${TEST_USER.password}"]`,
  ]);
  const format = spawnSync('java', ['-cp', classPath, 'kafka.tools.StorageTool', 'format', '-t', 'bWlsbHJhY2UtdGVzdC1pZA', '-c', properties, ...scramUsers], {
    encoding: 'utf8',
  });
  if (format.status !== 0)
    throw new Refusal(
      `Kafka's storage could not be formatted in ${folder}: ${format.stderr.trim().split('\n').at(-1)}. Check that Java is 17 or newer and that there is room on the disk.`,
    );
  const log = openSync(join(folder, 'kafka.log'), 'w');
  const child = spawn('java', [`-Xmx${process.env.KAFKA_HEAP ?? '768m'}`, '-XX:+UseG1GC', '-cp', classPath, 'kafka.Kafka', properties], {
    stdio: ['ignore', log, log],
  });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  let alive = true;
  void exited.then(() => {
    alive = false;
  });
  const stop = async () => {
    if (alive) child.kill('SIGKILL'); // test data: nothing to save, and an orderly stop takes seconds
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + START_MS;
  while (!(await answersApiVersions(port))) {
    if (!alive || Date.now() > deadline) {
      const words = readFileSync(join(folder, 'kafka.log'), 'utf8').slice(-2000);
      await stop();
      throw new Refusal(
        `${words}\nApache Kafka did not start on port ${port}; its last words are above. Check that Java is 17 or newer and that 1 GB of memory is free.`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return { address: `127.0.0.1:${port}`, secureAddress: `127.0.0.1:${securePort}`, pid: child.pid, folder, jars: libs, stop };
}

/** Who may log in at the secure listener, by every mechanism. */
export const TEST_USER = { name: 'ada', password: 'ada-secret' };
/** A login by SCRAM-SHA-512 is good for this long, so that clients must renew it. */
const SHORT_SESSION_MS = 3_000;

/** A second listener: TLS with the certificates of the tests, and a login. */
function secureListener() {
  const pem = (name) =>
    readFileSync(join(root, 'test/fixtures/tls', `${name}.pem`), 'utf8')
      .trim()
      .replaceAll('\n', '\\n');
  const on = 'listener.name.secure';
  const login = (mechanism, module, users = '') => ({
    [`${on}.${mechanism}.sasl.jaas.config`]: `org.apache.kafka.common.security.${module} required${users};`,
  });
  return {
    [`${on}.ssl.keystore.type`]: 'PEM',
    [`${on}.ssl.keystore.key`]: pem('server.key'),
    [`${on}.ssl.keystore.certificate.chain`]: pem('server.cert'),
    [`${on}.sasl.enabled.mechanisms`]: 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    ...login('plain', 'plain.PlainLoginModule', ` user_${TEST_USER.name}="${TEST_USER.password}"`),
    ...login('scram-sha-256', 'scram.ScramLoginModule'),
    ...login('scram-sha-512', 'scram.ScramLoginModule'),
    [`${on}.scram-sha-512.connections.max.reauth.ms`]: SHORT_SESSION_MS,
  };
}

function propertiesText({ port, securePort, controllerPort, folder, settings }) {
  const all = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},SECURE://127.0.0.1:${securePort},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},SECURE://127.0.0.1:${securePort}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT',
    'log.dirs': join(folder, 'data'),
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 5,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 5,
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1000,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'group.consumer.min.assignment.interval.ms': 0,
    'group.consumer.assignment.interval.ms': 0, // at once, so that conversations can be compared
    'auto.create.topics.enable': false,
    'log.message.timestamp.after.max.ms': '9223372036854775807', // tests bring their own event time
    ...secureListener(),
    ...settings,
  };
  return Object.entries(all)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

function cacheFolder() {
  return process.env.KAFKA_LIBS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'millrace', `kafka-${KAFKA_VERSION}`);
}

function findJars() {
  const folder = cacheFolder();
  return existsSync(folder) && readdirSync(folder).some((name) => name === `kafka_2.13-${KAFKA_VERSION}.jar`) ? folder : undefined;
}

/** The folder with Kafka's jars; fetches them with Maven the first time. */
export async function jars() {
  const there = findJars();
  if (there !== undefined) return there;
  process.stderr.write(`Fetching Apache Kafka ${KAFKA_VERSION} with Maven (126 MB, once) …\n`);
  const folder = cacheFolder();
  const fresh = `${folder}.${process.pid}`; // complete or not there: an interrupted download leaves no half folder
  mkdirSync(fresh, { recursive: true });
  const maven = spawnSync('mvn', ['-q', '-f', join(root, 'test/kafka/pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${fresh}`], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (maven.status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw new Refusal(
      `${maven.stdout}\nMaven could not fetch Kafka's jars; its own words are above. Check the network connection and Maven's settings, or set KAFKA_LIBS to a folder that has them.`,
    );
  }
  if (findJars() === undefined) renameSync(fresh, folder);
  else rmSync(fresh, { recursive: true, force: true });
  return folder;
}

/** Ports that were free a moment ago. */
export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** The only sign of readiness that cannot lie: an answer to a request. */
export function answersApiVersions(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (ready) => {
      socket.destroy();
      resolve(ready);
    };
    socket.setTimeout(2000, () => done(false));
    socket.on('error', () => done(false));
    socket.on('end', () => done(false));
    socket.on('data', () => done(true));
    // size, API key 18 (ApiVersions), version 0, correlation id 1, no client id
    socket.on('connect', () => socket.write(Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])));
  });
}
