// What the client does about each Kafka error code: one table, so that a reviewer reads it beside the protocol document.
// Owns: code → reaction, MillraceError code, advice.  Never: sends, waits, decides by API (the few places where an API differs say so themselves).
// E1 every code that a broker may send has a row or the fallback row.  Source: shared protocol notes, section 12; Kafka's Errors table.
import { type ErrorCode, type ErrorPlace, MillraceError } from '@millrace/core';
import { kafkaErrorName } from '@millrace/protocol';

/**
 * - `again`: the same request after a back-off;
 * - `refresh`: the metadata is stale: refresh it, then the same request;
 * - `coordinator`: find the coordinator again, then the same request;
 * - `fail`: hand the error up.
 */
export type Reaction = 'again' | 'refresh' | 'coordinator' | 'fail';

export interface CodeResponse {
  readonly reaction: Reaction;
  /** The error handed up when the reaction is `fail`, or when retrying has taken too long. */
  readonly error: ErrorCode;
  /** What a person can try; empty where nothing is theirs to do. */
  readonly advice: string;
}

const again = (error: ErrorCode = 'ERR_RETRIABLE', advice = ''): CodeResponse => ({ reaction: 'again', error, advice });
const refresh = (error: ErrorCode = 'ERR_RETRIABLE', advice = ''): CodeResponse => ({ reaction: 'refresh', error, advice });
const coordinator: CodeResponse = { reaction: 'coordinator', error: 'ERR_RETRIABLE', advice: 'The coordinator is not available: look at the broker log.' };
const fail = (error: ErrorCode, advice = ''): CodeResponse => ({ reaction: 'fail', error, advice });

const fenced = fail('ERR_PRODUCER_FENCED', 'Another producer with the same transactional id has taken over, or the transaction timed out.');
const sequence = fail('ERR_SEQUENCE');
const config = (advice: string): CodeResponse => fail('ERR_CONFIG_REJECTED', advice);
const right = fail('ERR_AUTHORIZATION', 'Grant this right to the user of the client.');
const login = fail('ERR_AUTHENTICATION', 'Check mechanism, user name and password in `sasl`.');
const abortable = fail('ERR_TRANSACTION_ABORTABLE');

export const CODE_RESPONSES: Readonly<Record<number, CodeResponse>> = {
  [-1]: again('ERR_RETRIABLE', 'The broker failed with an unknown error: look at its log.'),
  1: fail('ERR_OFFSET_OUT_OF_RANGE'),
  2: again('ERR_RECORD_BATCH_CORRUPT'),
  3: refresh('ERR_TOPIC_MISSING', 'Create the topic, or check its name.'),
  5: refresh(),
  6: refresh(),
  7: again('ERR_TIMEOUT'),
  9: refresh(),
  10: fail('ERR_RECORD_TOO_LARGE', 'Raise max.message.bytes of the topic, or make the records smaller.'),
  12: fail('ERR_PROTOCOL'),
  13: refresh('ERR_CONNECTION'),
  14: coordinator,
  15: coordinator,
  16: coordinator,
  17: fail('ERR_TOPIC_INVALID', 'Topic names have letters, digits, `.`, `_` and `-`, at most 249.'),
  18: fail('ERR_RECORD_TOO_LARGE', 'Raise segment.bytes of the topic, or make the batches smaller.'),
  19: again('ERR_RETRIABLE', 'Too few replicas are in sync: look at the brokers.'),
  20: again('ERR_RETRIABLE', 'Too few replicas are in sync: look at the brokers.'),
  21: config('This is a defect: acks is always -1.'),
  22: fail('ERR_GENERATION'),
  23: config('Another application uses the same group id with another protocol: choose another application id.'),
  24: config('The group id is empty or illegal.'),
  25: fail('ERR_MEMBERSHIP_LOST'),
  26: config('Choose a session timeout between group.min.session.timeout.ms and group.max.session.timeout.ms of the broker (6 s to 30 min by default).'),
  27: fail('ERR_GENERATION'),
  29: right,
  30: right,
  31: right,
  32: fail(
    'ERR_INVALID_TIMESTAMP',
    'The broker refuses this timestamp: look at message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic.',
  ),
  33: login,
  34: fail('ERR_AUTHENTICATION', 'The listener expects another login: check that `ssl` and `sasl` fit its port.'),
  35: fail('ERR_BROKER_VERSION', 'Millrace needs Apache Kafka 3.0 or newer.'),
  36: fail('ERR_TOPIC_INVALID'),
  37: config('The number of partitions was refused.'),
  38: config('The replication factor was refused: it cannot exceed the number of brokers.'),
  39: config('The replica assignment was refused.'),
  40: config('A topic config was refused.'),
  41: refresh(),
  42: config('The broker calls the request invalid.'),
  43: fail('ERR_BROKER_VERSION', 'The message format of the topic is too old.'),
  44: fail('ERR_RECORD_REJECTED', 'A policy of the broker refuses this.'),
  45: sequence,
  46: sequence,
  47: fenced,
  48: abortable,
  49: fenced,
  50: config('The transaction timeout is above transaction.max.timeout.ms of the broker (15 min by default).'),
  51: again(),
  52: fenced,
  53: right,
  55: fail('ERR_TRANSACTION_ABORTABLE'),
  56: refresh('ERR_RETRIABLE', 'The broker cannot use its disk: look at its log.'),
  58: login,
  59: sequence,
  60: again(),
  65: right,
  68: config('The group still has members.'),
  69: fail('ERR_MEMBERSHIP_LOST'),
  70: again(),
  71: again(),
  72: refresh(),
  73: fail('ERR_TOPIC_INVALID', 'Topic deletion is switched off on the broker.'),
  74: refresh(),
  75: refresh(),
  76: fail('ERR_BROKER_VERSION', 'The broker does not support the codec of this topic.'),
  77: refresh(),
  78: refresh(),
  79: fail('ERR_MEMBERSHIP_LOST'),
  80: refresh(),
  81: config('The group has reached group.max.size of the broker.'),
  82: fail('ERR_FENCED_INSTANCE', 'Another process runs with the same instance id: give each its own.'),
  83: refresh(),
  86: config('The group still subscribes to this topic.'),
  87: fail('ERR_RECORD_REJECTED', 'The broker refuses a record of the batch: a compacted topic needs a key in every record.'),
  88: again(),
  89: again(),
  90: fenced,
  100: refresh('ERR_TOPIC_MISSING', 'The topic was deleted.'),
  103: refresh('ERR_TOPIC_MISSING'),
  106: again(),
  120: abortable,
  129: refresh(),
};

const UNKNOWN: CodeResponse = { reaction: 'fail', error: 'ERR_PROTOCOL', advice: 'This error code is not known here.' };

export function responseTo(code: number): CodeResponse {
  return CODE_RESPONSES[code] ?? UNKNOWN;
}

/** The error for a code: what was tried, the code's Kafka name, what the broker said, what to try. */
export function kafkaFailure(code: number, what: string, where: ErrorPlace = {}, said?: string | null): MillraceError {
  const { error, advice } = responseTo(code);
  const detail = said === undefined || said === null || said === '' ? '' : `: ${said}`;
  return new MillraceError(error, `${what} failed with ${kafkaErrorName(code)} [${code}]${detail}.${advice === '' ? '' : ` ${advice}`}`, {
    ...where,
    kafkaCode: code,
  });
}

/** The Kafka code behind an error, if a broker sent one. */
export function kafkaCodeOf(error: unknown): number | undefined {
  return MillraceError.is(error) && typeof error.where.kafkaCode === 'number' ? error.where.kafkaCode : undefined;
}
