// A question about one key, asked where the key lives: here, or one hop away.
import type { Exchange } from '../exchange.ts';
import type { Answer, Pending, Refusal } from '../host.ts';
import { type HttpReply, PeerFailure } from '../node-http.ts';
import { askPeer } from '../peer.ts';
import { Problem } from '../problem.ts';

export type OwnerReply = Answer | { readonly kind: 'reply'; readonly reply: HttpReply };

/** The answer of `read` where this instance owns `key`, else the owner's reply as it came. */
export function askOwner(
  exchange: Exchange,
  store: string,
  key: unknown,
  routing: 'proxy' | 'local',
  read: () => Pending<Answer | Refusal>,
): Promise<OwnerReply> {
  return exchange.answer<OwnerReply>(store, async () => {
    const location = exchange.host.locate(store, key);
    if (location.kind === 'nowhere') return location.refusal;
    if (location.kind !== 'remote') return location.kind === 'local' ? await read() : location;
    if (exchange.hopped || routing === 'local')
      throw new Problem('not-owner', `${location.instance} holds ${store}[${location.partition}].`, {
        partition: location.partition,
        owner: location.instance,
      });
    try {
      const reply = await askPeer(exchange.peers, location.address, exchange.request.target, exchange.remainingMs(), exchange.request.signal);
      // The owner has just changed: our map, or that instance, is a rebalance behind. Look again.
      return reply.status === 421 ? { kind: 'notOwner', partition: location.partition } : { kind: 'reply', reply };
    } catch (error) {
      if (!(error instanceof PeerFailure)) throw error;
      throw new Problem(
        error.timedOut ? 'upstream-timeout' : 'upstream-unreachable',
        `${location.instance}, which holds ${store}[${location.partition}], gave no answer.`,
        { partition: location.partition },
      );
    }
  });
}
