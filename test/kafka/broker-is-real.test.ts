// The ground of the other suites here: the address given is Apache Kafka of the version claimed, and a plain client can use it.
import { Kafka, logLevel } from 'kafkajs';
import { expect, test } from 'vitest';

const address = process.env.MILLRACE_TEST_KAFKA as string;

test('a plain client creates a topic, writes a record and reads it back', async () => {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry: { retries: 10 } });
  const topic = `ground-${process.pid}`;
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1 }] });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages: [{ key: 'k', value: 'v' }] });
  const consumer = kafka.consumer({ groupId: `ground-${process.pid}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const value = await new Promise<string | undefined>((resolve, reject) => {
    consumer.run({ eachMessage: async ({ message }) => resolve(message.value?.toString()) }).catch(reject);
  });
  expect(value).toBe('v');
  await consumer.disconnect();
  await producer.disconnect();
  await admin.disconnect();
});
