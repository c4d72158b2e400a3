// The one thing the broker reads out of a member's metadata: which topics it subscribes to, for deleting and expiring offsets.
// Owns: that reading.  Never: trusts it: what cannot be read counts as "uses everything".
import { consumerProtocolSubscription, decodeEmbedded } from '@millrace/protocol';
import type { Member } from './membership.ts';

const CONSUMER = 'consumer';

export function subscribedTopics(protocolType: string | null, members: Iterable<Member>): ReadonlySet<string> | 'unreadable' | 'not a consumer group' {
  if (protocolType !== CONSUMER) return 'not a consumer group';
  const topics = new Set<string>();
  for (const member of members) {
    for (const { metadata } of member.protocols) {
      try {
        for (const topic of decodeEmbedded(consumerProtocolSubscription, metadata).value.topics) topics.add(topic);
      } catch {
        return 'unreadable';
      }
    }
  }
  return topics;
}
