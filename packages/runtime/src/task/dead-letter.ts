// A record that could not be processed, on its way to the topic where somebody looks at it: as it was read, with what failed in its headers.
// Names as in Kafka Streams (KIP-1034), so that its tools read them. It leaves in the span of everything else.
// Never: decides; makes the topic.
import { createHeaders, MillraceError, murmur2, type RecordHeaders } from '@millrace/core';
import { BATCH_HEADER_BYTES } from '@millrace/protocol';
import type { DeadLetter, Failure } from '@millrace/topology';
import type { OutputLane } from '../outbox.ts';

const PREFIX = '__streams.errors.';
/** Longest text of one header, characters. */
const TEXT_MAX = 8_000;
const OVERHEAD = 64;

/** All it takes to write one. */
export interface DeadLetterHost {
  lane(topic: string, partition: number): OutputLane;
  /** Throws ERR_TOPIC_MISSING for a topic nobody has asked about yet. */
  partitionsOf(topic: string): number;
  keylessPartition(partitions: number): number;
  recordBytesMax(topic: string): number;
}

/** Headers of an earlier failure of the same record are replaced. */
export function deadLetterHeaders({ headers, error, source }: Failure): RecordHeaders {
  const cause = error instanceof Error ? error : undefined;
  const added: [string, string][] = [
    [`${PREFIX}exception`, MillraceError.is(error) ? error.code : (cause?.name ?? typeof error)],
    [`${PREFIX}message`, (cause?.message ?? String(error)).slice(0, TEXT_MAX)],
    [`${PREFIX}stacktrace`, (cause?.stack ?? '').slice(0, TEXT_MAX)],
  ];
  if (source !== undefined)
    added.push([`${PREFIX}topic`, source.topic], [`${PREFIX}partition`, String(source.partition)], [`${PREFIX}offset`, String(source.offset)]);
  return createHeaders([...[...headers].filter(([name]) => !name.startsWith(PREFIX)), ...added]);
}

/** Throws ERR_TOPIC_MISSING, and ERR_RECORD_TOO_LARGE when headers make it longer than a record may be. */
export function writeDeadLetter(letter: DeadLetter, failure: Failure, host: DeadLetterHost): void {
  const { topic } = letter;
  const partitions = host.partitionsOf(topic);
  const key = bufferOf(failure.rawKey);
  const value = bufferOf(failure.rawValue);
  const headers = deadLetterHeaders(failure);
  const partition = key === null ? host.keylessPartition(partitions) : (murmur2(key, 0, key.length) & 0x7fffffff) % partitions;
  const lane = host.lane(topic, partition);
  const room = (key?.length ?? 0) + (value?.length ?? 0) + headerBytes(headers) + OVERHEAD;
  const recordBytesMax = host.recordBytesMax(topic);
  const builder = room + BATCH_HEADER_BYTES > recordBytesMax ? lane.alone() : lane.room(room);
  builder.append(Math.max(0, failure.timestamp), key, 0, key?.length ?? 0, value, 0, value?.length ?? 0, headers);
  if (builder.sizeBytes <= recordBytesMax || !lane.holdsOne) return;
  const { sizeBytes } = builder;
  lane.discardLast();
  throw new MillraceError(
    'ERR_RECORD_TOO_LARGE',
    `the dead letter for topic ${topic} takes ${sizeBytes} bytes with its headers; at most ${recordBytesMax} are sent. Let the policy skip such records, or look at them where they lie.`,
    { topic, task: failure.taskId, node: failure.node },
  );
}

function headerBytes(headers: RecordHeaders): number {
  let bytes = 0;
  for (const [name, value] of headers) bytes += 3 * name.length + (value?.length ?? 0) + 10;
  return bytes;
}

function bufferOf(bytes: Uint8Array | null): Buffer | null {
  return bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
