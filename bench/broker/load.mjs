// The load: batches made beforehand, sent and read back over bare connections, every byte of every record compared.
// The same generator runs against every broker. It copies nothing per record, so that it is cheaper than what it measures.
import { noHeaders } from '@millrace/core';
import { APIS, BatchPool, batchEndAt, decodeResponse, encodeRequest, encodeRequestPieces } from '@millrace/protocol';
import { Wire } from './wire.mjs';

const PRODUCE_VERSION = 11;
const FETCH_VERSION = 12;
const HEADER_UNDER_BROKER = 16; // base offset, length, leader epoch: what a broker writes (the length it leaves)
const PARTITION_MAX_BYTES = 1024 * 1024;
const START_MS = Date.now();

/** `count` different batches of `records` records with random 100-byte values (or text that compresses, `compression` ≠ 0). */
export function makeBatches({ count, records, valueBytes = 100, compression = 0 }) {
  const pool = new BatchPool();
  let seed = 42;
  const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 24;
  return Array.from({ length: count }, () => {
    const builder = pool.take();
    const value = Buffer.alloc(valueBytes);
    for (let index = 0; index < records; index++) {
      for (let at = 0; at < valueBytes; at++) value[at] = compression === 0 || at < valueBytes / 4 ? random() : 0x61 + (at % 26);
      builder.append(START_MS + index, null, 0, 0, value, 0, valueBytes, noHeaders);
    }
    const batch = Buffer.from(builder.seal({ producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false, compression }));
    builder.release();
    return batch;
  });
}

export async function createTopics(address, topics) {
  const wire = await Wire.open(address);
  try {
    const frame = encodeRequest(APIS.createTopics, 5, identity, {
      topics: topics.map(({ name, partitions, configs = {} }) => ({
        name,
        numPartitions: partitions,
        replicationFactor: 1,
        assignments: [],
        configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
      })),
      timeoutMs: 60_000,
    });
    const { body } = decodeResponse(APIS.createTopics, 5, await wire.send(frame));
    const failed = body.topics.find(({ errorCode }) => errorCode !== 0);
    if (failed !== undefined) throw new Error(`${failed.name}: error ${failed.errorCode} ${failed.errorMessage}`);
    await untilServed(wire, topics.at(-1));
  } finally {
    wire.close();
  }
}

/** A cluster says that a topic exists before it can be read or written: ask until every partition answers. */
async function untilServed(wire, { name, partitions }) {
  const offsets = new Map(Array.from({ length: partitions }, (_, partition) => [partition, 0]));
  for (;;) {
    const { body } = decodeResponse(APIS.fetch, FETCH_VERSION, await wire.send(fetchFrame(name, offsets, 0)));
    if (body.responses.length > 0 && body.responses.every((topic) => topic.partitions.every(({ errorCode }) => errorCode === 0))) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const identity = { correlationId: 0, clientId: 'bench' };

/**
 * Writes `requests` requests of one batch per partition on each of `connections` connections, acks=all, at most `inFlight` unanswered each.
 * Batch k of a connection and partition is `batches[k % batches.length]`. Returns the number of records.
 */
export async function produce(address, { topic, partitions, batches, requests, connections, inFlight }) {
  const frames = batches.map((batch) =>
    encodeRequestPieces(APIS.produce, PRODUCE_VERSION, identity, {
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ name: topic, partitionData: Array.from({ length: partitions }, (_, index) => ({ index, records: batch })) }],
    }),
  );
  const recordsPerBatch = batches[0].readInt32BE(57);
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const wire = await Wire.open(address);
      let sent = 0;
      const lane = async () => {
        while (sent < requests) checkProduced(await wire.send(...frames[sent++ % frames.length].map((piece, at) => (at === 0 ? Buffer.from(piece) : piece))));
      };
      await Promise.all(Array.from({ length: inFlight }, lane));
      wire.close();
    }),
  );
  return requests * connections * partitions * recordsPerBatch;
}

function checkProduced(frame) {
  const { body } = decodeResponse(APIS.produce, PRODUCE_VERSION, frame);
  for (const { partitionResponses } of body.responses)
    for (const { errorCode, errorMessage } of partitionResponses) if (errorCode !== 0) throw new Error(`produce: error ${errorCode} ${errorMessage ?? ''}`);
}

/**
 * Reads the topic from offset 0 to `endOffset` per partition, one connection per `partitionsPerConnection` partitions, and compares each
 * batch with those that were sent: same bytes, dense offsets. `inTurn`: one connection wrote, so the order of batches is known too.
 */
export async function fetchAndVerify(address, { topic, partitions, batches, endOffset, connections, inTurn }) {
  const known = new Map(batches.map((batch) => [batch.readUInt32BE(17), batch])); // by CRC
  let records = 0;
  await Promise.all(
    Array.from({ length: connections }, async (_, at) => {
      const mine = Array.from({ length: partitions }, (_unused, partition) => partition).filter((partition) => partition % connections === at);
      const offsets = new Map(mine.map((partition) => [partition, 0]));
      const wire = await Wire.open(address);
      while (offsets.size > 0) {
        const { body } = decodeResponse(APIS.fetch, FETCH_VERSION, await wire.send(fetchFrame(topic, offsets, 1000)));
        for (const { partitions: answers } of body.responses)
          for (const { partitionIndex, errorCode, records: bytes } of answers) {
            if (errorCode !== 0) throw new Error(`fetch: error ${errorCode}`);
            const from = offsets.get(partitionIndex);
            const next = verifyRun(bytes, from, batches, known, inTurn);
            records += next - from;
            if (next >= endOffset) offsets.delete(partitionIndex);
            else offsets.set(partitionIndex, next);
          }
      }
      wire.close();
    }),
  );
  return records;
}

export function fetchFrame(topic, offsets, maxWaitMs, minBytes = 1) {
  return encodeRequest(APIS.fetch, FETCH_VERSION, identity, {
    maxWaitMs,
    minBytes,
    maxBytes: 50 * 1024 * 1024,
    isolationLevel: 0,
    topics: [{ topic, partitions: [...offsets].map(([partition, fetchOffset]) => ({ partition, fetchOffset, partitionMaxBytes: PARTITION_MAX_BYTES })) }],
    forgottenTopicsData: [],
  });
}

function verifyRun(bytes, from, batches, known, inTurn) {
  let next = from;
  for (let at = 0; at < bytes.length; ) {
    const end = batchEndAt(bytes, at, bytes.length);
    if (end === undefined) break; // a broker may cut the last batch
    const baseOffset = Number(bytes.readBigInt64BE(at));
    if (baseOffset !== next) throw new Error(`offset ${baseOffset} where ${next} should be`);
    const count = bytes.readInt32BE(at + 57);
    const expected = inTurn ? batches[(baseOffset / count) % batches.length] : known.get(bytes.readUInt32BE(at + 17));
    if (expected === undefined || bytes.compare(expected, HEADER_UNDER_BROKER, expected.length, at + HEADER_UNDER_BROKER, end) !== 0)
      throw new Error(`the batch at offset ${baseOffset} is not what was sent`);
    next += count;
    at = end;
  }
  return next;
}
