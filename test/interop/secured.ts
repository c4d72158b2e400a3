// A broker with a closed door: TLS, logins, access rules. Which clients go through it, with which scenarios, and how each is told.
// Owns: the users, their rights, and each client's spelling of them.  Never: starts anything.
// The user of the scenarios may do what it likes with names that begin with `secured-`, and nothing else. Every mechanism is used by some client.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FOREIGN_CLIENTS, type ForeignClient } from './clients.ts';

const fixture = (name: string): string => join(import.meta.dirname, '../fixtures/tls', `${name}.pem`);
const PASSWORDS = { admin: 'admin-secret', app: 'app-secret' } as const;
export type User = keyof typeof PASSWORDS;

/** What the rules let `app` use: names of topics, groups and transactional ids. */
export const PREFIX = 'secured-';

const may = (resourceType: string, name: string, operation: string): object => ({ principal: 'User:app', resourceType, name, operation, pattern: 'prefixed' });

export const SECURED_BROKER = {
  autoCreateTopics: false,
  security: {
    tls: { key: fixture('server.key'), cert: fixture('server.cert') },
    sasl: { mechanisms: ['plain', 'scram-sha-256', 'scram-sha-512'], users: PASSWORDS },
    authorization: {
      superUsers: ['User:admin'],
      rules: ['topic', 'group', 'transactionalId'].map((resourceType) => may(resourceType, PREFIX, 'all')),
    },
  },
};

/** Writes the properties file that Java clients read; returns its path. */
export function javaConnection(folder: string, user: User): string {
  const path = join(folder, `${user}.properties`);
  const module = 'org.apache.kafka.common.security.scram.ScramLoginModule';
  const lines = [
    'security.protocol=SASL_SSL',
    'sasl.mechanism=SCRAM-SHA-512',
    `sasl.jaas.config=${module} required username="${user}" password="${PASSWORDS[user]}";`,
    'ssl.truststore.type=PEM',
    `ssl.truststore.location=${fixture('ca.cert')}`,
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

const ca = readFileSync(fixture('ca.cert'), 'utf8');
const SCENARIOS = ['topics', 'gzip', 'groups', 'transactions', 'offsets'];
const STREAMS = 'Java Kafka Streams 4.3.1';

/** KAFKA_CONNECTION for a client that runs as `app`. */
const SPELLINGS: Readonly<Record<string, (folder: string) => string>> = {
  'KafkaJS 2.2.4': () => JSON.stringify({ ssl: { ca: [ca] }, sasl: { mechanism: 'scram-sha-256', username: 'app', password: PASSWORDS.app } }),
  '@platformatic/kafka 1.35.0': () => JSON.stringify({ tls: { ca }, sasl: { mechanism: 'SCRAM-SHA-512', username: 'app', password: PASSWORDS.app } }),
  'librdkafka 2.16 (Python)': () => librdkafka('SCRAM-SHA-256'),
  // Before 2.6.1 its SCRAM sends its nonce twice, which Apache Kafka 4 refuses as this broker does (librdkafka 4895).
  'librdkafka 2.3 (Python)': () => librdkafka('PLAIN'),
  'Java 4.3.1': (folder) => javaConnection(folder, 'app'),
  [STREAMS]: (folder) => javaConnection(folder, 'app'),
};

function librdkafka(mechanism: string): string {
  const login = { 'sasl.mechanism': mechanism, 'sasl.username': 'app', 'sasl.password': PASSWORDS.app };
  return JSON.stringify({ 'security.protocol': 'SASL_SSL', 'ssl.ca.location': fixture('ca.cert'), ...login });
}

export interface SecuredClient {
  readonly client: ForeignClient;
  readonly scenarios: readonly string[];
  connection(folder: string): string;
}

export const SECURED_CLIENTS: readonly SecuredClient[] = FOREIGN_CLIENTS.flatMap((client) => {
  const connection = SPELLINGS[client.name];
  if (connection === undefined) return [];
  const more = client.scenarios.includes('consumer protocol') && client.name !== '@platformatic/kafka 1.35.0' ? ['consumer protocol'] : [];
  return [{ client, scenarios: client.name === STREAMS ? client.scenarios : [...SCENARIOS, ...more], connection }];
});
