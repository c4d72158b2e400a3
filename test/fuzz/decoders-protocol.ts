// The decoders of the protocol package: what a peer sends, on either side.
import { noHeaders } from '@millrace/core';
import {
  APIS,
  type Api,
  BatchPool,
  COMPRESSIONS,
  checkBatchForAppend,
  compress,
  consumerProtocolAssignment,
  consumerProtocolSubscription,
  crc32c,
  decodeEmbedded,
  decodeRequest,
  decodeResponse,
  decompress,
  encodeControlBatch,
  encodeEmbedded,
  encodeRequest,
  encodeResponse,
  hasCodec,
  RecordReader,
  readBatches,
  readControlMarker,
} from '@millrace/protocol';
import { FrameReader } from '../../packages/broker/src/server/frame-reader.ts';
import { sampleBodies } from '../../packages/protocol/src/testing/sample-frames.ts';
import { readCorpus } from './corpus.ts';
import { type Decoder, nothing } from './runner.ts';

const AT_CRC = 17;
const AT_ATTRIBUTES = 21;
const HEADER_BYTES = 61;
const UNPACKED_MAX = 4 * 1024 * 1024;
const identity = { correlationId: 7, clientId: 'fuzz' };

const samples = sampleBodies(1);
const requestFrames = (): Buffer[] =>
  samples.filter(({ side }) => side === 'request').map(({ api, version, body }) => Buffer.from(encodeRequest(api, version, identity, body).subarray(4)));

/** Two bytes of our own in front say which API and version the response is of: a client knows that from its request. */
const responseFrames = (): Buffer[] =>
  samples
    .filter(({ side }) => side === 'response')
    .map(({ api, version, body }) => Buffer.concat([Buffer.from([api.key, version]), encodeResponse(api, version, 7, body).subarray(4)]));

const APIS_BY_KEY = new Map((Object.values(APIS) as readonly Api[]).map((known) => [known.key as number, known]));

function runResponse(bytes: Buffer): void {
  const known = APIS_BY_KEY.get(bytes[0] ?? 0);
  const version = bytes[1] ?? 0;
  if (known === undefined || version < known.versions.min || version > known.versions.max) return;
  decodeResponse(known, version, bytes.subarray(2));
}

// ---- record batches -----------------------------------------------------------------------------------------------------

const pool = new BatchPool();

function batch(compression: number, records: number, transactional = false): Buffer {
  const builder = pool.take();
  for (let index = 0; index < records; index++)
    builder.appendText(1_700_000_000_000 + index * 7, Buffer.from(`key-${index}`), 0, 5, `value ${index}`, noHeaders);
  const producer = transactional ? { producerId: 5, producerEpoch: 1, baseSequence: 3 } : { producerId: -1, producerEpoch: -1, baseSequence: -1 };
  const bytes = Buffer.from(builder.seal({ ...producer, transactional, compression }));
  builder.release();
  return bytes;
}

function batches(): Buffer[] {
  const marker = encodeControlBatch({ type: 'abort', coordinatorEpoch: 0, producerId: 5, producerEpoch: 1, timestamp: 1 });
  const compressed = Object.values(COMPRESSIONS).filter((id) => hasCodec(id));
  return [...compressed.flatMap((id) => [batch(id, 1), batch(id, 20, true)]), marker, Buffer.concat([batch(0, 2), batch(0, 3)])];
}

/** Sets the first batch's length and checksum to what its bytes say. */
function repairBatch(bytes: Buffer): Buffer {
  if (bytes.length < HEADER_BYTES) return bytes;
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes[16] = 2;
  bytes.writeUInt32BE(crc32c(bytes, AT_ATTRIBUTES, bytes.length), AT_CRC);
  return bytes;
}

const reader = new RecordReader();

function runBatches(bytes: Buffer): void {
  for (const view of readBatches(bytes, 0, bytes.length, { checkCrc: true })) {
    if (view.control) readControlMarker(view);
    for (reader.reset(view); reader.next(); ) [...reader.headers()];
  }
}

const RULES = { batchBytesMax: 1_000_000, keysRequired: true, timestampMin: 0, timestampMax: 2 ** 42, logAppendTime: false };

function runAppend(bytes: Buffer): string | undefined {
  const strict = checkBatchForAppend(bytes, 0, bytes.length, RULES);
  const loose = checkBatchForAppend(bytes, 0, bytes.length, { ...RULES, keysRequired: false, compressedOpaque: true });
  return strict.kind === 'refused' ? strict.message : loose.kind === 'refused' ? loose.message : undefined;
}

// ---- compression --------------------------------------------------------------------------------------------------------

function codec(name: 'gzip' | 'snappy' | 'lz4' | 'zstd'): Decoder {
  const id = COMPRESSIONS[name];
  const texts = [
    Buffer.alloc(0),
    Buffer.from('a'),
    Buffer.from('stream '.repeat(40)),
    Buffer.alloc(70_000, 'ab'),
    Buffer.from(Array.from({ length: 300 }, (_, at) => at * 37)),
  ];
  return {
    name,
    seeds: () => (hasCodec(id) ? [...texts.map((text) => Buffer.from(compress(id, text))), ...readCorpus(name)] : []),
    run: (bytes) => nothing(decompress(id, bytes, UNPACKED_MAX)),
    allocationMax: UNPACKED_MAX + 65_536,
    inputMax: 80_000,
  };
}

// ---- what members say to each other -------------------------------------------------------------------------------------

const subscription = encodeEmbedded(consumerProtocolSubscription, 3, {
  topics: ['a', 'b'],
  userData: Buffer.from('u'),
  ownedPartitions: [{ topic: 'a', partitions: [0, 1] }],
  rackId: 'r',
});
const assignment = encodeEmbedded(consumerProtocolAssignment, 1, { assignedPartitions: [{ topic: 'a', partitions: [0] }], userData: null });

function runFrames(bytes: Buffer): void {
  const frames = new FrameReader(1_000_000);
  const cut = (bytes[0] ?? 1) % 7;
  for (let at = 0; at < bytes.length; at += 1 + cut * 13) {
    frames.push(bytes.subarray(at, at + 1 + cut * 13));
    while (frames.next() !== undefined);
  }
}

export const PROTOCOL_DECODERS: readonly Decoder[] = [
  { name: 'requests', seeds: () => [...requestFrames(), ...readCorpus('requests')], run: (bytes) => nothing(decodeRequest(bytes)), allocationMax: 65_536 },
  { name: 'responses', seeds: () => [...responseFrames(), ...readCorpus('responses')], run: (bytes) => nothing(runResponse(bytes)), allocationMax: 65_536 },
  {
    name: 'batches',
    seeds: () => [...batches(), ...readCorpus('batches')],
    run: (bytes) => nothing(runBatches(bytes)),
    repair: repairBatch,
    allocationMax: 64 * 1024 * 1024,
  },
  { name: 'append', seeds: () => [...batches(), ...readCorpus('append')], run: runAppend, repair: repairBatch, allocationMax: 64 * 1024 * 1024 },
  codec('gzip'),
  codec('snappy'),
  codec('lz4'),
  codec('zstd'),
  {
    name: 'subscriptions',
    seeds: () => [subscription, assignment, ...readCorpus('subscriptions')],
    run(bytes) {
      for (const schema of [consumerProtocolSubscription, consumerProtocolAssignment]) decodeEmbedded(schema, bytes);
      return undefined;
    },
    allocationMax: 65_536,
  },
  {
    name: 'frames',
    seeds: () => [Buffer.concat(requestFrames().slice(0, 5).map(sized)), ...readCorpus('frames')],
    run: (bytes) => nothing(runFrames(bytes)),
    allocationMax: 1_048_576,
  },
];

function sized(frame: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(frame.length);
  return Buffer.concat([size, frame]);
}
