// Which partition of an internal topic a group or a transactional id lives in: the same one that Kafka's own tools compute.
// Owns: the hash.  Never: changes once a data directory exists (it names where the records of a key are).
import { assert } from '@millrace/core';

/** Java's String.hashCode as a signed 32-bit integer: over UTF-16 code units. */
export function javaStringHash(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return hash;
}

/** The partition of `key` among `partitionCount` (at least 1). */
export function coordinatorPartition(key: string, partitionCount: number): number {
  assert(partitionCount > 0, 'an internal topic has at least one partition');
  return (javaStringHash(key) & 0x7fff_ffff) % partitionCount;
}
