// Which foreign client runs which scenario, and the command that does it.
// Owns: the list.  Never: knows what a scenario does (the drivers do, each in its client's own language).
import { fileURLToPath } from 'node:url';

/** Where scripts/interop-clients.mjs found a client, or why not. */
export type Found = { readonly path: string; readonly reason?: undefined } | { readonly path?: undefined; readonly reason: string };

export interface Run {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface ForeignClient {
  readonly name: string;
  /** Key into what was found. */
  readonly runtime: string;
  readonly scenarios: readonly string[];
  /** Scenario → why this client leaves it out. */
  readonly without?: Readonly<Record<string, string>>;
  run(path: string, address: string, scenario: string, name: string): Run;
}

const driver = (file: string): string => fileURLToPath(new URL(`./drivers/${file}`, import.meta.url));
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const EVERYONE = ['topics', ...CODECS, 'groups', 'transactions', 'offsets'];
const hasZstd = process.getBuiltinModule('node:zlib').zstdCompressSync !== undefined;
const NO_ZSTD = 'this Node has no zstd (22.15 has)';

/** `Java -cp … Class address scenario name`. The heap is small: several run in one suite. */
export function javaRun(classPath: string, main: string, args: readonly string[]): Run {
  const quiet = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-Dorg.slf4j.simpleLogger.logFile=System.err'];
  return { program: 'java', args: ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', ...quiet, '-cp', classPath, main, ...args] };
}

export const FOREIGN_CLIENTS: readonly ForeignClient[] = [
  {
    name: 'KafkaJS 2.2.4',
    runtime: 'kafkajs 2.2.4',
    scenarios: EVERYONE,
    without: { zstd: 'KafkaJS brings no zstd' },
    run: (path, ...rest) => ({ program: path, args: [driver('kafkajs.mjs'), ...rest] }),
  },
  {
    name: '@platformatic/kafka 1.35.0',
    runtime: '@platformatic/kafka 1.35.0',
    scenarios: [...EVERYONE, 'consumer protocol'],
    ...(hasZstd ? {} : { without: { zstd: NO_ZSTD } }),
    run: (path, ...rest) => ({ program: process.execPath, args: [driver('platformatic.mjs'), ...rest], env: { PLATFORMATIC_KAFKA: path } }),
  },
  {
    name: 'librdkafka 2.16 (Python)',
    runtime: 'librdkafka 2.16.1 (Python)',
    scenarios: [...EVERYONE, 'cooperative', 'static members', 'consumer protocol'],
    run: (path, ...rest) => ({ program: path, args: [driver('librdkafka.py'), ...rest] }),
  },
  {
    name: 'librdkafka 2.3 (Python)',
    runtime: 'librdkafka 2.3.0 (Python)',
    scenarios: [...EVERYONE, 'cooperative', 'static members'],
    run: (path, ...rest) => ({ program: path, args: [driver('librdkafka.py'), ...rest] }),
  },
  {
    name: 'kcat',
    runtime: 'kcat',
    scenarios: EVERYONE,
    without: { topics: 'kcat only lists topics (its other abilities: test/end-to-end/kcat.test.ts)' },
    run: (path, ...rest) => ({ program: process.execPath, args: [driver('kcat.mjs'), ...rest], env: { KCAT: path } }),
  },
  {
    name: 'Java 4.3.1',
    runtime: 'Java 4.3.1',
    scenarios: [
      ...EVERYONE,
      'cooperative',
      'static members',
      'consumer protocol',
      'static members of the consumer protocol',
      'range assignor of the broker',
      'pattern subscription of the broker',
      'protocol change',
      'killed broker, classic',
      'killed broker, consumer',
    ],
    run: (path, ...rest) => javaRun(path, 'Clients', rest),
  },
  {
    name: 'Java Kafka Streams 4.3.1',
    runtime: 'Java 4.3.1',
    scenarios: ['exactly_once_v2 over a restart with an empty disk'],
    run: (path, ...rest) => javaRun(path, 'StreamsApp', rest),
  },
];
