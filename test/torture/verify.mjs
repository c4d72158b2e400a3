// What must be true of the topics afterwards, read under read_committed with nothing of the application in between.
// V1 each acknowledged input is in each output once (at-least-once: at least once); nothing is there that was never sent.
// V2 per key the counts are 1, 2, 3 … without gap or repeat, their sums too, and the windows add up to what the inputs say.
// V3 the changelog folded equals the last output of each key.  V4 committed offsets stand at the ends of all input partitions.
import { createAdmin, createConsumer } from '@millrace/client';
import { nodeDisk, nodeNetwork, partitionKey, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { RecordReader } from '@millrace/protocol';

const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
const PARTITIONS = 4;
const APPLICATION = 'torture';
const INPUTS = ['torture-in', 'torture-names', 'torture-by-bucket-repartition'];
const SHOWN = 5;

export function openReader(address) {
  const connection = { brokers: [address], clientId: 'torture-audit', connectionTimeoutMs: 1000, requestTimeoutMs: 10_000 };
  const admin = createAdmin(connection, {}, ports);
  const partitionsOf = (topic) => Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }));
  return {
    async committed() {
      return admin.committedOffsets(APPLICATION, INPUTS.flatMap(partitionsOf));
    },
    /** Input partitions whose committed offset is not the log end: `topic-partition` → records behind. Missing commits count from the log start. */
    async lag() {
      const wanted = INPUTS.flatMap(partitionsOf);
      const [starts, ends, committed] = await Promise.all([
        admin.listOffsets(wanted, 'earliest'),
        admin.listOffsets(wanted, 'latest'),
        admin.committedOffsets(APPLICATION, wanted),
      ]);
      const behind = new Map();
      for (const one of wanted) {
        const key = partitionKey(one.topic, one.partition);
        const missing = (ends.get(key) ?? 0) - (committed.get(key)?.offset ?? starts.get(key) ?? 0);
        if (missing !== 0) behind.set(key, missing);
      }
      return behind;
    },
    /** Every committed record: key bytes as latin1, key start as text, value as JSON. */
    async read(topic) {
      const consumer = createConsumer(connection, { isolation: 'read_committed' }, ports);
      try {
        const wanted = partitionsOf(topic);
        const [starts, ends] = await Promise.all([admin.listOffsets(wanted, 'earliest'), admin.listOffsets(wanted, 'latestStable')]);
        consumer.assign(wanted.map((one) => ({ ...one, offset: starts.get(partitionKey(topic, one.partition)) ?? 0 })));
        const records = [];
        const reader = new RecordReader();
        while (wanted.some((one) => (consumer.position(one) ?? 0) < (ends.get(partitionKey(topic, one.partition)) ?? 0))) {
          for (const event of await consumer.poll(1000)) {
            if (event.kind !== 'data') throw new Error(`reading ${topic}: ${event.kind}`);
            for (const batch of event.data.batches) {
              reader.reset(batch);
              while (reader.next()) {
                const value = reader.valueLength < 0 ? null : reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength);
                records.push({
                  key: reader.buffer.toString('latin1', reader.keyStart, reader.keyStart + reader.keyLength),
                  value: value === null ? null : JSON.parse(value),
                  at: `${event.data.partition}@${reader.offset} by ${batch.producerId}/${batch.producerEpoch}`,
                });
              }
            }
            event.data.release();
          }
        }
        return records;
      } finally {
        await consumer.close();
      }
    },
    close: () => admin.close(),
  };
}

/** All that is wrong, as sentences; empty when all is right. */
export async function verify(reader, { acknowledged, sent, exactlyOnce }) {
  const findings = [];
  const find = (text, cases) => {
    if (cases.length > 0) findings.push(`${text}: ${cases.length}, such as ${cases.slice(0, SHOWN).join(' | ')}`);
  };
  for (const topic of ['torture-counts', 'torture-windows', 'torture-joined']) {
    const records = await reader.read(topic);
    const places = new Map();
    for (const { key, value, at } of records) {
      const id = `${value.g}/${value.s}`;
      places.set(id, [...(places.get(id) ?? []), `${key.slice(0, 9)} n=${value.n} ${at}`]);
    }
    find(
      `${topic}: acknowledged and not there`,
      [...acknowledged].filter((id) => !places.has(id)),
    );
    find(
      `${topic}: there and never sent`,
      [...places.keys()].filter((id) => !sent.has(id)),
    );
    if (!exactlyOnce) continue;
    find(
      `${topic}: there more than once`,
      [...places].filter(([, found]) => found.length > 1).map(([id, found]) => `${id}: ${found.join(' and ')}`),
    );
    if (topic === 'torture-joined') continue;
    const last = new Map();
    const jumps = [];
    for (const { key, value, at } of records) {
      const before = last.get(key) ?? { n: 0, sum: 0 };
      if (value.n !== before.n + 1 || value.sum !== before.sum + 1 + (value.s % 5)) jumps.push(`${key.slice(0, 9)} ${before.n} → ${value.n} (${at})`);
      last.set(key, value);
    }
    find(`${topic}: counts that do not follow each other`, jumps);
    find(`${topic}: the changelog`, await changelogDifferences(reader, topic, last));
  }
  find(
    'not at the log end',
    [...(await reader.lag())].map(([partition, behind]) => `${partition} by ${behind}`),
  );
  return findings;
}

async function changelogDifferences(reader, topic, last) {
  const store = topic === 'torture-counts' ? 'per-key' : 'per-window';
  const folded = new Map();
  for (const { key, value } of await reader.read(`${APPLICATION}-${store}-changelog`)) folded.set(key, value);
  // Windowed keys: topic and changelog both begin with the key bytes and the window start; the changelog has a sequence number behind.
  const keyOf = (key) => (store === 'per-window' ? key.slice(0, -4) : key);
  const byKey = new Map([...folded].map(([key, value]) => [keyOf(key), value]));
  const differences = [];
  for (const [key, value] of last) {
    const there = byKey.get(key);
    if (there === undefined || JSON.stringify(there) !== JSON.stringify(value))
      differences.push(`${key}: ${JSON.stringify(there)} is not ${JSON.stringify(value)}`);
  }
  if (byKey.size !== last.size) differences.push(`${byKey.size} keys, outputs have ${last.size}`);
  return differences;
}
