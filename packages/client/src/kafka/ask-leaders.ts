// A round of requests, one per leader, until every partition has its answer.
// Owns: who still has to be asked.  Never: knows what is asked.
import { partitionKey, type TopicPartition } from '@millrace/core';
import type { KafkaCluster } from './cluster.ts';
import type { BrokerConnection } from './connection.ts';
import { withRetries } from './retry.ts';

/**
 * `ask` sends one request about partitions that one node leads; it calls `answered` for each that has its answer and returns the first
 * failure of the others, which are asked again as the table of errors says.
 */
export async function askLeaders<P extends TopicPartition>(
  cluster: KafkaCluster,
  what: string,
  partitions: readonly P[],
  ask: (connection: BrokerConnection, led: readonly P[], answered: (topic: string, partition: number) => void) => Promise<Error | undefined>,
): Promise<void> {
  if (partitions.length === 0) return;
  const left = new Map(partitions.map((each) => [partitionKey(each.topic, each.partition), each]));
  await withRetries(cluster, { what }, async () => {
    const byLeader = new Map<number, P[]>();
    for (const each of left.values()) {
      const { nodeId } = await cluster.leader(each.topic, each.partition);
      const led = byLeader.get(nodeId);
      if (led === undefined) byLeader.set(nodeId, [each]);
      else led.push(each);
    }
    let failure: Error | undefined;
    for (const [nodeId, led] of byLeader) {
      const failed = await ask(await cluster.connectionTo(nodeId, 'admin'), led, (topic, partition) => void left.delete(partitionKey(topic, partition)));
      failure ??= failed;
    }
    if (failure !== undefined) throw failure;
  });
}
