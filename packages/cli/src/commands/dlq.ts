// millrace dlq: dead letters listed, shown, and sent back to where they came from.
// D1 a replay is one transaction with the position of a group of its own: what was replayed once is not replayed again, whatever crashes.
// D2 nothing is written without --execute.
import { createAdmin, createConsumer, createProducer, type LogAdmin, type LogProducer, type OffsetToCommit } from '@millrace/client';
import { MillraceError, murmur2, type Offset, partitionKey } from '@millrace/core';
import { BatchPool, RecordReader } from '@millrace/protocol';
import { type CliDeps, type Command, DONE, FAILED, readInteger, readOptions, UsageError } from '../command.ts';
import { type DeadLetter, deadLetterOf, showDeadLetter } from '../dead-letters.ts';

const ACTIONS = ['list', 'show', 'replay'] as const;
const LIMIT_DEFAULT = 1000;
const LIMIT_MAX = 100_000;
const POLL_MS = 200;
const IN_FLIGHT_BYTES_MAX = 4 * 1024 * 1024;

export const dlqCommand: Command = {
  name: 'dlq',
  summary: 'list, show and replay dead letters',
  help: `Example: millrace dlq replay --brokers 127.0.0.1:9092 --topic readings-dlq --execute

  list      how many dead letters there are, by what failed and where they came from
  show      each as one line of JSON
  replay    writes each back to its input topic, partition and key as they were, without the headers of the failure;
            those that were replayed before are left out

  --brokers HOST:PORT,…  where the brokers are (required)
  --topic TOPIC          the dead-letter topic (required)
  --limit N              at most so many (default ${LIMIT_DEFAULT})
  --to TOPIC             replay: another topic than the one they came from
  --execute              replay: without it, it only says what it would do`,
  async run(args, deps) {
    const execute = args.includes('--execute');
    const [action, ...rest] = args.filter((arg) => arg !== '--execute');
    if (!ACTIONS.some((one) => one === action)) throw new UsageError(`Say what to do: millrace dlq ${ACTIONS.join('|')}.`);
    const flags = readOptions(rest, ['brokers', 'topic', 'limit', 'to']);
    if (flags.brokers === undefined || flags.topic === undefined) throw new UsageError('--brokers and --topic are needed.');
    const limit = flags.limit === undefined ? LIMIT_DEFAULT : readInteger('limit', flags.limit, 1, LIMIT_MAX);
    const desk = openDesk(flags.brokers.split(','), flags.topic, deps);
    try {
      if (action === 'replay') return await replay(desk, { to: flags.to, limit, execute }, deps);
      const letters = await readLetters(desk, undefined, limit);
      for (const line of action === 'show' ? letters.map(showDeadLetter) : summary(letters)) deps.printLine(line);
      return DONE;
    } finally {
      await desk.admin.close();
    }
  },
};

interface Desk {
  readonly topic: string;
  readonly connection: Parameters<typeof createAdmin>[0];
  readonly ports: CliDeps['ports'];
  readonly admin: LogAdmin;
}

function openDesk(brokers: readonly string[], topic: string, { ports }: CliDeps): Desk {
  const connection = { brokers, clientId: 'millrace-dlq', connectionTimeoutMs: 5_000, requestTimeoutMs: 30_000 };
  return { topic, connection, ports, admin: createAdmin(connection, {}, ports) };
}

/** Committed letters from `from` on (by partition; the log start unless given), partition after partition. */
async function readLetters({ topic, connection, ports, admin }: Desk, from: ReadonlyMap<string, number> | undefined, limit: number): Promise<DeadLetter[]> {
  const partitions = await partitionsOf(admin, topic);
  const places = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
  const starts = await admin.listOffsets(places, 'earliest');
  const ends = await admin.listOffsets(places, 'latestStable');
  const consumer = createConsumer(connection, { isolation: 'read_committed' }, ports);
  const letters: DeadLetter[] = [];
  const reader = new RecordReader();
  try {
    for (const place of places) {
      const key = partitionKey(topic, place.partition);
      const start = Math.max(starts.get(key) ?? 0, from?.get(key) ?? 0);
      consumer.assign([{ ...place, offset: start as Offset }]);
      while (letters.length < limit && (consumer.position(place) ?? 0) < (ends.get(key) ?? 0)) {
        for (const event of await consumer.poll(POLL_MS)) {
          if (event.kind === 'failed') throw event.error;
          if (event.kind !== 'data') continue;
          for (const view of event.data.batches) {
            reader.reset(view);
            while (letters.length < limit && reader.next()) if (reader.offset >= start) letters.push(deadLetterOf(reader, place.partition));
          }
          event.data.release();
        }
      }
    }
  } finally {
    await consumer.close();
  }
  return letters;
}

async function partitionsOf(admin: LogAdmin, topic: string): Promise<number> {
  const found = (await admin.describeTopics([topic])).get(topic);
  if (found === undefined) throw new MillraceError('ERR_TOPIC_MISSING', `There is no topic ${topic}. Check its name, and the brokers.`, { topic });
  return found.partitions;
}

function summary(letters: readonly DeadLetter[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { exception, source } of letters) {
    const line = `${exception} from ${source?.topic ?? 'a timer'}`;
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  const lines = [...counts].sort(([, left], [, right]) => right - left).map(([line, count]) => `${count} ${line}`);
  return [...lines, `${letters.length} dead letters`];
}

interface ReplayOptions {
  readonly to: string | undefined;
  readonly limit: number;
  readonly execute: boolean;
}

async function replay(desk: Desk, { to, limit, execute }: ReplayOptions, deps: CliDeps): Promise<number> {
  const { topic, admin, connection, ports } = desk;
  const groupId = `${topic}-replay`;
  const places = Array.from({ length: await partitionsOf(admin, topic) }, (_, partition) => ({ topic, partition }));
  const committed = await admin.committedOffsets(groupId, places);
  const letters = await readLetters(desk, new Map([...committed].map(([key, { offset }]) => [key, offset])), limit);
  const homeless = letters.filter(({ source }) => to === undefined && source === undefined);
  if (homeless.length > 0) {
    deps.printError(`${homeless.length} dead letters came from a timer and have no topic to go back to. Name one with --to.`);
    return FAILED;
  }
  const targets = new Map<string, number>();
  for (const { source } of letters) targets.set(to ?? (source?.topic as string), 0);
  for (const name of targets.keys()) targets.set(name, await partitionsOf(admin, name));
  if (execute && letters.length > 0) {
    const producer = createProducer(connection, { transactionalId: groupId, transactionTimeoutMs: 60_000 }, ports);
    try {
      await sendBack(producer, letters, { to, targets, groupId, topic });
    } finally {
      await producer.close();
    }
  }
  deps.printLine(
    `${letters.length} dead letters ${execute ? 'replayed' : 'would be replayed (--execute does it)'}${letters.length === 0 ? '' : ` to ${[...targets.keys()].join(', ')}`}`,
  );
  return DONE;
}

interface Way {
  readonly to: string | undefined;
  readonly targets: ReadonlyMap<string, number>;
  readonly groupId: string;
  readonly topic: string;
}

async function sendBack(producer: LogProducer, letters: readonly DeadLetter[], { to, targets, groupId, topic }: Way): Promise<void> {
  const pool = new BatchPool({ initialBytes: 4 * 1024 });
  const positions = new Map<number, number>();
  await producer.initialise();
  producer.begin();
  for (const letter of letters) {
    const { key, value, source } = letter;
    const target = to ?? (source?.topic as string);
    const batch = pool.take();
    batch.append(letter.timestamp, key, 0, key?.length ?? 0, value, 0, value?.length ?? 0, letter.headers);
    void producer.send(target, partitionFor(letter, to, targets.get(target) ?? 1), batch);
    if (producer.inFlight.bytes > IN_FLIGHT_BYTES_MAX) await producer.flush();
    positions.set(letter.partition, letter.offset + 1);
  }
  const offsets = [...positions].map(([partition, offset]): OffsetToCommit => ({ topic, partition, offset: offset as Offset, leaderEpoch: -1, metadata: '' }));
  await producer.sendOffsets({ groupId, memberId: '', generation: -1, instanceId: undefined }, offsets);
  await producer.end(true);
}

/** Where it came from; in another topic, where its key belongs. */
function partitionFor({ key, source, offset }: DeadLetter, to: string | undefined, partitions: number): number {
  if (source !== undefined && (to === undefined || to === source.topic) && source.partition < partitions) return source.partition;
  return key === null ? offset % partitions : (murmur2(key, 0, key.length) & 0x7fffffff) % partitions;
}
