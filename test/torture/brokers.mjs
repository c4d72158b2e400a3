// The brokers under torture, whatever they are: one embedded broker in its own process, one node of Apache Kafka, or three.
// Each can be killed, frozen and started again at the same address.  Never: decides when.
import { startKafkaNodes } from './kafka-nodes.mjs';
import { startBrokerProcess } from './processes.mjs';

/** A list of nodes `{ id, address, process, start() }`; `onExit(process, code, signal)` hears of each end. */
export async function startBrokers({ kafka, brokers, folder, brokerDir, onExit }) {
  if (kafka) return startKafkaNodes({ count: brokers, folder, onExit });
  const node = { id: 1, address: undefined, process: undefined };
  node.start = async () => {
    const port = node.address === undefined ? 0 : Number(node.address.split(':')[1]);
    const started = await startBrokerProcess(brokerDir, port, folder, onExit);
    node.process = started.process;
    node.address = `127.0.0.1:${started.port}`;
  };
  await node.start();
  return [node];
}

/** True when every partition has all its replicas in sync, so that the next broker may fall. */
export async function allInSync(kafka, count) {
  const admin = kafka.admin();
  try {
    await admin.connect();
    const { topics } = await admin.fetchTopicMetadata();
    return topics.every((topic) => topic.partitions.every((one) => one.isr.length >= Math.min(count, one.replicas.length) && one.leader >= 0));
  } catch {
    return false;
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}
