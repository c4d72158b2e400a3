// Puts the file into the topics, exactly once: how far it has got is committed in the transaction that writes the records,
// so a loader that is killed goes on where its last transaction ended. An ordinary KafkaJS producer, as yours might be.
import { setTimeout as wait } from 'node:timers/promises';
import { Kafka, logLevel, type Message, type Producer } from 'kafkajs';
import { type AirportRow, type FlightRow, readAirports, readFlights } from './dataset.ts';
import { departure } from './topology.ts';

/** Keeps the progress: the offset it commits for a topic is the number of rows that are in. */
const PROGRESS_GROUP = 'flight-delays-loader';
const TRANSACTIONAL_ID = 'flight-delays-loader';
const ROWS_PER_TRANSACTION = 1000;
/** Another instance that loads is taken over from after this long without progress. */
const STALLED_AFTER_MS = 3000;

export interface LoadProgress {
  readonly topic: string;
  readonly done: number;
  readonly total: number;
}

/** Resolves when both topics hold every row of their file. Several processes may call it: one loads, the others wait and take over. */
export async function load(brokers: readonly string[], report: (progress: LoadProgress) => void, signal: AbortSignal): Promise<void> {
  const kafka = new Kafka({ clientId: 'flight-delays-loader', brokers: [...brokers], logLevel: logLevel.NOTHING, retry: { retries: 20, maxRetryTime: 1000 } });
  // Airports are all acknowledged before the first flight is sent, so that every flight finds its airport.
  const steps = [
    { topic: 'airports', rows: readAirports().map(airportMessage) },
    { topic: 'flights', rows: readFlights().map(flightMessage) },
  ];
  while (!signal.aborted) {
    const producer = kafka.producer({ transactionalId: TRANSACTIONAL_ID, idempotent: true, maxInFlightRequests: 1 });
    try {
      await producer.connect();
      await settleFormerTransaction(producer);
      for (const step of steps) await loadTopic(kafka, producer, step.topic, step.rows, report, signal);
      return;
    } catch (error) {
      // Fenced: another instance of this program has begun to load. Or the broker moved with the instance that hosted it.
      if (await completedByOthers(kafka, steps, report, signal)) return;
      if (!isTransient(error)) throw error;
    } finally {
      await producer.disconnect().catch(() => undefined);
    }
  }
}

/** Opening a transaction under our id ends whatever a killed loader left open; only then is the progress final. */
async function settleFormerTransaction(producer: Producer): Promise<void> {
  const transaction = await producer.transaction();
  await transaction.abort();
}

async function loadTopic(
  kafka: Kafka,
  producer: Producer,
  topic: string,
  rows: readonly Message[],
  report: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  let done = await rowsLoaded(kafka, topic);
  report({ topic, done, total: rows.length });
  while (done < rows.length && !signal.aborted) {
    const next = Math.min(done + ROWS_PER_TRANSACTION, rows.length);
    const transaction = await producer.transaction();
    try {
      await transaction.send({ topic, acks: -1, messages: rows.slice(done, next) });
      await transaction.sendOffsets({ consumerGroupId: PROGRESS_GROUP, topics: [{ topic, partitions: [{ partition: 0, offset: String(next) }] }] });
      await transaction.commit();
    } catch (error) {
      await transaction.abort().catch(() => undefined);
      throw error;
    }
    done = next;
    report({ topic, done, total: rows.length });
  }
}

async function rowsLoaded(kafka: Kafka, topic: string): Promise<number> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const [found] = await admin.fetchOffsets({ groupId: PROGRESS_GROUP, topics: [topic] });
    return Math.max(0, Number(found?.partitions.find((one) => one.partition === 0)?.offset ?? 0));
  } finally {
    await admin.disconnect();
  }
}

/** True once somebody else has loaded everything; false when nobody makes progress any more. */
async function completedByOthers(
  kafka: Kafka,
  steps: readonly { readonly topic: string; readonly rows: readonly Message[] }[],
  report: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<boolean> {
  let last = -1;
  let quietMs = 0;
  while (!signal.aborted && quietMs < STALLED_AFTER_MS) {
    let sum = 0;
    let complete = true;
    for (const step of steps) {
      const done = await rowsLoaded(kafka, step.topic).catch(() => -1);
      if (done > 0) report({ topic: step.topic, done, total: step.rows.length });
      complete &&= done === step.rows.length;
      sum += done;
    }
    if (complete) return true;
    quietMs = sum === last ? quietMs + 500 : 0;
    last = sum;
    await wait(500, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

function isTransient(error: unknown): boolean {
  const name = error instanceof Error ? error.name : '';
  return name.startsWith('KafkaJS') && name !== 'KafkaJSNonRetriableError' ? true : /fenced|epoch|transaction/i.test(String(error));
}

function airportMessage(row: AirportRow): Message {
  return { key: row.iata, value: JSON.stringify({ name: row.name, city: row.city, state: row.state }), timestamp: '0' };
}

function flightMessage(row: FlightRow): Message {
  return { key: row.origin, value: JSON.stringify(row), timestamp: String(departure(row.date)) };
}
