// Fetch: runs of batches, by topic name (to version 12) or topic id (from 13), parked until `minBytes` are there or `maxWaitMs` is over.
// Serves versions 4-18. Sessions are declined: the answer always says session 0, so clients send full requests.
// F1 an answer holds at least one whole batch if there is any, even beyond every limit.  F2 read_committed stops below the last stable
// offset and lists the aborted transactions of what it returns.  F3 a parked fetch costs a timer and a watcher per partition, nothing else.
// F4 the memory of an answer is lent, and given back once the system has its bytes.
import { MillraceError, type Timers } from '@millrace/core';
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry, type RequestContext } from '../handler.ts';
import type { LogRead, PartitionLog } from '../log/partition-log.ts';
import type { Lend } from '../log/read-run.ts';
import { Loan, type SpareBuffers } from '../spare-buffers.ts';
import type { Topics } from '../topics/topics.ts';

type Request = RequestBody<typeof APIS.fetch>;
type Response = ResponseInput<typeof APIS.fetch>;
type AskedPartition = Request['topics'][number]['partitions'][number];
type PartitionAnswer = NonNullable<Response['responses']>[number]['partitions'][number];

const READ_COMMITTED = 1;
const TOPIC_IDS_FROM = 13;
/** A fetch that begins a session (0) or is outside any (-1); with any other epoch it goes on with a session, and there is none. */
const WITHOUT_SESSION: readonly number[] = [0, -1];

export interface FetchParts {
  readonly topics: Topics;
  readonly timers: Timers;
  readonly fetchBytesMax: number;
  readonly spare: SpareBuffers;
}

/** One asked partition, resolved: either a log to read or the error that says why not. */
interface Wanted {
  readonly asked: AskedPartition;
  readonly log: PartitionLog | undefined;
  readonly errorCode: number;
}
interface WantedTopic {
  readonly topic: string;
  readonly topicId: string;
  readonly partitions: readonly Wanted[];
}

export function fetchHandler(parts: FetchParts) {
  const handler: Handler<Request, Response> = (request, context) => {
    if (!WITHOUT_SESSION.includes(request.sessionEpoch)) return { errorCode: ERROR_CODES.FETCH_SESSION_ID_NOT_FOUND, responses: [] };
    const wanted = resolve(parts.topics, request, context.version);
    const committed = request.isolationLevel === READ_COMMITTED;
    if (request.maxWaitMs <= 0 || isReady(wanted, request.minBytes, committed)) return answer(parts, request, context, wanted, committed);
    return park(parts, request, context, wanted, committed);
  };
  return handlerEntry(APIS.fetch.key, handler);
}

function resolve(topics: Topics, request: Request, version: number): WantedTopic[] {
  return request.topics.map((asked) => {
    const byId = version >= TOPIC_IDS_FROM;
    const topic = byId ? topics.byId(asked.topicId) : topics.get(asked.topic);
    const missing = byId ? ERROR_CODES.UNKNOWN_TOPIC_ID : ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION;
    return {
      topic: asked.topic,
      topicId: asked.topicId,
      partitions: asked.partitions.map((partition) => {
        const log = topic?.logs[partition.partition];
        const errorCode =
          topic === undefined ? missing : log === undefined ? ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION : epochError(log, partition.currentLeaderEpoch);
        return { asked: partition, log, errorCode };
      }),
    };
  });
}

/** What a leader epoch of the client says about its metadata. -1: it does not say. */
export function epochError(log: PartitionLog, currentLeaderEpoch: number): number {
  if (currentLeaderEpoch === -1 || currentLeaderEpoch === log.leaderEpoch) return ERROR_CODES.NONE;
  return currentLeaderEpoch < log.leaderEpoch ? ERROR_CODES.FENCED_LEADER_EPOCH : ERROR_CODES.UNKNOWN_LEADER_EPOCH;
}

function errorNow({ asked, log, errorCode }: Wanted): number {
  if (errorCode !== ERROR_CODES.NONE || log === undefined) return errorCode;
  if (log.closed) return ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION;
  return asked.fetchOffset < log.logStart || asked.fetchOffset > log.logEnd ? ERROR_CODES.OFFSET_OUT_OF_RANGE : ERROR_CODES.NONE;
}

function isReady(wanted: readonly WantedTopic[], minBytes: number, committed: boolean): boolean {
  let bytes = 0;
  for (const { partitions } of wanted)
    for (const want of partitions) {
      if (errorNow(want) !== ERROR_CODES.NONE) return true;
      const log = want.log as PartitionLog;
      const upTo = committed ? log.lastStableOffset : log.highWatermark;
      if (want.asked.fetchOffset < upTo) bytes += minBytes <= 1 ? 1 : bytesFrom(log, want.asked.fetchOffset);
      if (bytes >= minBytes && bytes > 0) return true;
    }
  return minBytes <= 0;
}

/** A file that cannot be read is news: the answer says what is wrong with it. Nothing may be thrown here: no request is there to catch it. */
function bytesFrom(log: PartitionLog, offset: number): number {
  try {
    return log.bytesFrom(offset);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Waits for data, time, or the end of the connection. Changes within one turn are looked at once. */
function park(parts: FetchParts, request: Request, context: RequestContext, wanted: readonly WantedTopic[], committed: boolean): Promise<Response> {
  return new Promise((resolveWith, reject) => {
    const undo: (() => void)[] = [];
    let done = false;
    let checking = false;
    const finish = (): void => {
      if (done) return;
      done = true;
      for (const step of undo) step();
      try {
        resolveWith(context.connection.closed ? { responses: [] } : answer(parts, request, context, wanted, committed));
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    const check = (): void => {
      if (checking || done) return;
      checking = true;
      queueMicrotask(() => {
        checking = false;
        if (!done && isReady(wanted, request.minBytes, committed)) finish();
      });
    };
    const timer = parts.timers.after(request.maxWaitMs, finish);
    undo.push(() => timer.cancel(), context.connection.onClose(finish));
    for (const { partitions } of wanted) for (const { log } of partitions) if (log !== undefined) undo.push(log.watch(check));
  });
}

function answer(parts: FetchParts, request: Request, context: RequestContext, wanted: readonly WantedTopic[], committed: boolean): Response {
  const loan = new Loan(parts.spare);
  context.whenTaken(loan.end);
  let bytesLeft = Math.min(request.maxBytes, parts.fetchBytesMax);
  let nothingYet = true;
  return {
    responses: wanted.map(({ topic, topicId, partitions }) => ({
      topic,
      topicId,
      partitions: partitions.map((want) => {
        const part = answerOne(want, { bytesMax: Math.min(bytesLeft, want.asked.partitionMaxBytes), atLeastOne: nothingYet, committed, lend: loan.lend });
        const size = part.records === null ? 0 : (part.records as Buffer).length;
        bytesLeft -= size;
        if (size > 0) nothingYet = false;
        return part;
      }),
    })),
  };
}

const NO_RECORDS = Buffer.alloc(0);

interface PartBounds {
  readonly bytesMax: number;
  readonly atLeastOne: boolean;
  readonly committed: boolean;
  readonly lend: Lend;
}

function answerOne(want: Wanted, { bytesMax, atLeastOne, committed, lend }: PartBounds): PartitionAnswer {
  const { asked, log } = want;
  const errorCode = errorNow(want);
  if (log === undefined || errorCode !== ERROR_CODES.NONE) return refusal(want, errorCode);
  const upTo = committed ? log.lastStableOffset : log.highWatermark;
  const read = readOrDamage(log, asked.fetchOffset, upTo, bytesMax, atLeastOne, lend);
  if (typeof read === 'number') return refusal(want, read);
  const { bytes, nextOffset } = read;
  const abortedTransactions = !committed
    ? null
    : bytes.length === 0
      ? []
      : log.abortedIn(asked.fetchOffset, nextOffset).map(({ producerId, firstOffset }) => ({ producerId, firstOffset }));
  return {
    partitionIndex: asked.partition,
    errorCode,
    highWatermark: log.highWatermark,
    lastStableOffset: log.lastStableOffset,
    logStartOffset: log.logStart,
    abortedTransactions,
    records: bytes,
  };
}

/** As Kafka: beside an error nothing is said about the log. */
function refusal({ asked, log }: Wanted, errorCode: number): PartitionAnswer {
  return {
    partitionIndex: asked.partition,
    errorCode,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    abortedTransactions: log === undefined ? [] : null,
    records: NO_RECORDS,
  };
}

/** An error code where the file has rotted or the disk refuses: the other partitions of the request are answered all the same. */
function readOrDamage(log: PartitionLog, ...asked: Parameters<PartitionLog['read']>): LogRead | number {
  try {
    return log.read(...asked);
  } catch (error) {
    return MillraceError.is(error) && error.code === 'ERR_RECORD_BATCH_CORRUPT' ? ERROR_CODES.CORRUPT_MESSAGE : ERROR_CODES.KAFKA_STORAGE_ERROR;
  }
}
