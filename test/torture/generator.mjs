// Writes numbered input with an ordinary KafkaJS producer and remembers which records were acknowledged.
// One generator is one producer: per key its numbers only grow. What was sent and never acknowledged may be there or not.
import { Kafka, logLevel } from 'kafkajs';

const TOPIC = 'torture-in';
const KEYS = 40;
const BATCH = 20;
const START_MS = Date.UTC(2024, 0, 1);

export function kafkaAt(address) {
  return new Kafka({
    clientId: 'torture',
    brokers: [address],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1000,
    requestTimeout: 5000,
    retry: { initialRetryTime: 30, maxRetryTime: 300, retries: 100_000 },
  });
}

/** Fills the table side of the join; every key has a name before the first input. */
export async function writeNames(kafka) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false });
  await producer.connect();
  const messages = Array.from({ length: KEYS }, (_, at) => ({ key: `key-${at}`, value: JSON.stringify({ name: `name-${at}` }), timestamp: '0' }));
  await producer.send({ topic: 'torture-names', acks: -1, messages });
  await producer.disconnect();
}

export function startGenerator(kafka, name, chance, perSecond) {
  const acknowledged = new Set();
  const sent = new Set();
  let stopping = false;
  const failures = [];
  const done = (async () => {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false });
    await producer.connect();
    for (let s = 0; !stopping; ) {
      const ids = [];
      const messages = [];
      for (let at = 0; at < BATCH; at++, s++) {
        const id = `${name}/${s}`;
        ids.push(id);
        sent.add(id);
        messages.push({
          key: `key-${Math.floor(chance() * KEYS)}`,
          value: JSON.stringify({ g: name, s, amount: 1 + (s % 5), at: START_MS + s * 20 }),
          timestamp: String(START_MS + s * 20),
        });
      }
      try {
        await producer.send({ topic: TOPIC, acks: -1, messages });
        for (const id of ids) acknowledged.add(id);
      } catch (error) {
        failures.push(error);
        if (failures.length > 20) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, (1000 * BATCH) / perSecond));
    }
    await producer.disconnect().catch(() => undefined);
  })();
  done.catch(() => undefined);
  return {
    acknowledged,
    sent,
    failures,
    async stop() {
      stopping = true;
      await done;
    },
  };
}
