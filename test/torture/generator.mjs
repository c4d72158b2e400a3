// Writes numbered input with an ordinary KafkaJS producer and remembers which records were acknowledged.
// One generator is one producer with one source: per key its numbers only grow. What was sent and never acknowledged may be there or not.
// A send names one partition: KafkaJS 2.2.4 takes a batch for several as delivered when, on the second try, a partition's leader has become a broker
// that has answered already for other partitions. (Found here, with three brokers.)
import { partitionForKey } from '@millrace/core';
import { Kafka, logLevel } from 'kafkajs';
import { PARTITIONS } from './parts/expect.mjs';

const BATCH = 20;
const FAILURES_MAX = 20;

export function kafkaAt(addresses) {
  return new Kafka({
    clientId: 'torture',
    brokers: addresses,
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1000,
    requestTimeout: 5000,
    retry: { initialRetryTime: 30, maxRetryTime: 300, retries: 100_000 },
  });
}

const onWire = ({ key, value, timestamp }) => ({ key, value: value === null ? null : JSON.stringify(value), timestamp: String(timestamp) });
function partitionOf(key) {
  const bytes = Buffer.from(key);
  return partitionForKey(bytes, 0, bytes.length, PARTITIONS);
}
const options = { idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false };

export async function writeOnce(kafka, { topic, messages }) {
  const producer = kafka.producer(options);
  await producer.connect();
  await producer.send({ topic, acks: -1, messages: messages.map(onWire) });
  await producer.disconnect();
}

/** Sends until `stop`. `acts` put in with `ask` ride on the next records, for sources whose part heeds them. */
export function startGenerator(kafka, name, source, chance, perSecond) {
  const acknowledged = new Set();
  const sent = new Set();
  const acts = [];
  const failures = [];
  let stopping = false;
  const done = (async () => {
    const producer = kafka.producer(options);
    await producer.connect();
    for (let s = 0; !stopping; ) {
      const batches = Array.from({ length: PARTITIONS }, () => ({ ids: [], messages: [] }));
      for (let at = 0; at < BATCH; at++, s++) {
        const message = source.make(name, s, chance);
        const partition = partitionOf(message.key);
        if (message.value !== null) {
          batches[partition].ids.push(`${name}/${s}`);
          sent.add(`${name}/${s}`);
          if (acts.length > 0) message.value.act = acts.shift();
        }
        batches[partition].messages.push({ ...onWire(message), partition });
      }
      for (const { ids, messages } of batches.filter((one) => one.messages.length > 0)) {
        try {
          await producer.send({ topic: source.topic, acks: -1, messages });
          for (const id of ids) acknowledged.add(id);
        } catch (error) {
          failures.push(error);
          if (failures.length > FAILURES_MAX) throw error;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, (1000 * BATCH) / (perSecond * source.share)));
    }
    await producer.disconnect().catch(() => undefined);
  })();
  done.catch(() => undefined);
  return {
    topic: source.topic,
    acknowledged,
    sent,
    failures,
    ask: (act) => acts.push(act),
    async stop() {
      stopping = true;
      await done;
    },
  };
}
