// End-to-end latency at a steady, open-loop rate: a record is due at its own instant whatever the broker does, carries that instant in its
// value, and is timed when it has come back through a waiting fetch. Kafka-style batches of what is due when the clock ticks (1 ms).
import { noHeaders } from '@millrace/core';
import { APIS, BatchPool, decodeResponse, encodeRequestPieces, RecordReader, readBatches } from '@millrace/protocol';
import { fetchFrame } from './load.mjs';
import { Wire } from './wire.mjs';

const VALUE_BYTES = 100;
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;

/** Latencies in ms, sorted, of what was due after the warm-up. Throws when a record is lost, doubled or out of order. */
export async function latencies(address, { topic, perSecond, seconds, warmUpSeconds }) {
  const total = perSecond * seconds;
  const found = [];
  const reader = readAll(address, topic, total, (due, seen, index) => {
    if (index >= perSecond * warmUpSeconds) found.push(seen - due);
  });
  await writeOnTime(address, topic, total, perSecond);
  await reader;
  return found.sort((left, right) => left - right);
}

async function writeOnTime(address, topic, total, perSecond) {
  const wire = await Wire.open(address);
  const pool = new BatchPool();
  const value = Buffer.alloc(VALUE_BYTES, 0x2e);
  const began = nowMs();
  const answers = [];
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((nowMs() - began) / 1000) * perSecond));
    if (due > sent) {
      const builder = pool.take();
      for (; sent < due; sent++) {
        value.writeDoubleBE(began + (sent * 1000) / perSecond, 0);
        value.writeUInt32BE(sent, 8);
        builder.append(Date.now(), null, 0, 0, value, 0, VALUE_BYTES, noHeaders);
      }
      const batch = Buffer.from(builder.seal({ producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false }));
      builder.release();
      const body = { acks: -1, timeoutMs: 30_000, topicData: [{ name: topic, partitionData: [{ index: 0, records: batch }] }] };
      answers.push(wire.send(...encodeRequestPieces(APIS.produce, 11, { correlationId: 0, clientId: 'bench' }, body)));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  for (const answer of answers) {
    const { errorCode } = decodeResponse(APIS.produce, 11, await answer).body.responses[0].partitionResponses[0];
    if (errorCode !== 0) throw new Error(`produce: error ${errorCode}`);
  }
  wire.close();
}

async function readAll(address, topic, total, onRecord) {
  const wire = await Wire.open(address);
  const reader = new RecordReader();
  let offset = 0;
  while (offset < total) {
    const { body } = decodeResponse(APIS.fetch, 12, await wire.send(fetchFrame(topic, new Map([[0, offset]]), 500)));
    const seen = nowMs();
    const { errorCode, records } = body.responses[0].partitions[0];
    if (errorCode !== 0) throw new Error(`fetch: error ${errorCode}`);
    for (const batch of readBatches(records, 0, records.length, { checkCrc: true })) {
      reader.reset(batch);
      while (reader.next()) {
        const index = reader.buffer.readUInt32BE(reader.valueStart + 8);
        if (index !== offset || reader.offset !== offset) throw new Error(`record ${index} at offset ${reader.offset}; ${offset} was due`);
        onRecord(reader.buffer.readDoubleBE(reader.valueStart), seen, index);
        offset += 1;
      }
    }
  }
  wire.close();
}

export const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
