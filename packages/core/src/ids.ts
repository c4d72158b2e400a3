// Branded numbers and names: what must not be swapped does not compile when swapped.
// Never: knows what an id is used for.

declare const brand: unique symbol;
export type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A position in a partition: the next record to read, unless a name says `last…`. A safe integer. */
export type Offset = Branded<number, 'Offset'>;
/** Event time or wall clock, ms since the epoch. A safe integer. */
export type TimestampMs = Branded<number, 'TimestampMs'>;

/** One partition of one topic. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Text form `topic-partition`, unique because a partition is all digits; used as a map key and in messages. */
export function partitionKey(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}

const LEGAL_NAME = /^[A-Za-z0-9._-]{1,249}$/;

/** True for names Kafka accepts for topics, and Millrace for stores, applications and instances: ASCII letters, digits, `.`, `_`, `-`, at most 249, not `.` or `..`. */
export function isLegalName(name: string): boolean {
  return LEGAL_NAME.test(name) && name !== '.' && name !== '..';
}
