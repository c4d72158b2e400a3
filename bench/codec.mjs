// Question: how many records a second does the record codec read and write on one core?
// Workload: batches of about 1 MB, 12-byte keys, 100-byte random values, no headers, no compression.
// Baseline: targets below; kafkajs and platformatic decode 1.2-5.8 M/s and encode 0.3-0.7 M/s of the same records on such a machine.
// Leaves out: sockets, serdes, and whatever touches the bytes afterwards (the decode loop only sums positions and lengths).
// Every run checks its output against what was put in: a fast wrong answer exits with 1.

import { noHeaders } from '@millrace/core';
import { BatchPool, RecordReader, readBatches, useCrc32c } from '@millrace/protocol';

const VALUE_BYTES = 100;
const KEY_BYTES = 12;
const RECORDS = 8594;
const quick = process.argv.includes('--quick');
const ROUNDS = quick ? 3 : 7;
const ROUND_MS = quick ? 100 : 300;

const keys = Buffer.alloc(RECORDS * KEY_BYTES);
const values = Buffer.alloc(RECORDS * VALUE_BYTES);
let seed = 42;
const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 24;
for (let at = 0; at < keys.length; at++) keys[at] = random();
for (let at = 0; at < values.length; at++) values[at] = random();

const START = 1_700_000_000_000;
const producer = { producerId: 7, producerEpoch: 0, baseSequence: 0, transactional: false };
const pool = new BatchPool({ initialBytes: 2 * 1024 * 1024 });
let failed = false;

function encode(builder) {
  for (let index = 0; index < RECORDS; index++) {
    const keyAt = index * KEY_BYTES;
    const valueAt = index * VALUE_BYTES;
    builder.append(START + (index >> 3), keys, keyAt, keyAt + KEY_BYTES, values, valueAt, valueAt + VALUE_BYTES, noHeaders);
  }
  return builder.seal(producer);
}

const kept = pool.take();
const batch = Buffer.from(encode(kept));
kept.release();

/** Reads everything back byte by byte: the oracle of all cases. */
function verify(bytes, what) {
  const views = readBatches(bytes, 0, bytes.length, { checkCrc: true });
  const reader = new RecordReader();
  let index = 0;
  for (const view of views) {
    reader.reset(view);
    while (reader.next()) {
      const keyAt = index * KEY_BYTES;
      const valueAt = index * VALUE_BYTES;
      const same =
        reader.offset === index &&
        reader.timestamp === START + (index >> 3) &&
        reader.buffer.compare(keys, keyAt, keyAt + KEY_BYTES, reader.keyStart, reader.keyStart + reader.keyLength) === 0 &&
        reader.buffer.compare(values, valueAt, valueAt + VALUE_BYTES, reader.valueStart, reader.valueStart + reader.valueLength) === 0;
      if (!same) throw new Error(`${what}: record ${index} differs`);
      index++;
    }
  }
  if (index !== RECORDS) throw new Error(`${what}: ${index} records instead of ${RECORDS}`);
}

/** Median of the rounds; each repeats `once` (one batch) for ROUND_MS. */
function measure(once) {
  const rates = [];
  for (let round = -2; round < ROUNDS; round++) {
    const from = process.hrtime.bigint();
    const until = from + BigInt(ROUND_MS) * 1_000_000n;
    let batches = 0;
    let now = from;
    while (now < until) {
      for (let repeat = 0; repeat < 8; repeat++) once();
      batches += 8;
      now = process.hrtime.bigint();
    }
    if (round >= 0) rates.push((batches * RECORDS) / (Number(now - from) / 1e9));
  }
  rates.sort((left, right) => left - right);
  return { median: rates[rates.length >> 1], low: rates[0], high: rates[rates.length - 1] };
}

function report(name, target, stretch, once, check) {
  const { median, low, high } = measure(once);
  check();
  const ok = target === undefined || median >= target;
  failed ||= !ok;
  const line = {
    bench: 'codec',
    case: name,
    recordsPerSecond: Math.round(median),
    low: Math.round(low),
    high: Math.round(high),
    mbPerSecond: Math.round((median * (batch.length / RECORDS)) / 1e6),
    target,
    stretch,
    ok,
    valueBytes: VALUE_BYTES,
    keyBytes: KEY_BYTES,
    node: process.version,
  };
  console.log(JSON.stringify(line));
}

const reader = new RecordReader();
let sum = 0;
function decode(checkCrc) {
  const views = readBatches(batch, 0, batch.length, { checkCrc });
  let positions = 0;
  for (let at = 0; at < views.length; at++) {
    reader.reset(views[at]);
    while (reader.next()) positions += reader.valueStart + reader.valueLength + reader.keyStart;
  }
  sum = positions;
}
function expectedSum() {
  verify(batch, 'decode');
  const [view] = readBatches(batch, 0, batch.length, { checkCrc: true });
  const fresh = new RecordReader().reset(view);
  let positions = 0;
  while (fresh.next()) positions += fresh.valueStart + fresh.valueLength + fresh.keyStart;
  if (positions !== sum) throw new Error('decode: sums differ');
}
let sealed = batch;
function encodeOnce() {
  const builder = pool.take();
  sealed = encode(builder);
  builder.release();
}

function cases(crc) {
  report(`decode lazy, crc ${crc}`, 5e6, undefined, () => decode(true), expectedSum);
  report(`encode, crc ${crc}`, 4e6, 7e6, encodeOnce, () => verify(sealed, 'encode'));
}

report('decode lazy, crc off', 10e6, 40e6, () => decode(false), expectedSum);
cases('javascript');
const native = await import('@node-rs/crc32').catch(() => undefined);
if (native !== undefined) {
  useCrc32c((buffer, start, end) => native.crc32c(buffer.subarray(start, end)));
  cases('native');
}
process.exitCode = failed ? 1 : 0;
