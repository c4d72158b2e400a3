// Which way of assigning the group uses: every member votes for the first of its own that all support.
// Owns: the count.  Never: looks into metadata.
import type { Member, MemberProtocol } from './membership.ts';

/** Names of protocols that every member supports. All of `names` when there are no members. */
export function commonProtocols(members: Iterable<Member>, names: readonly string[]): readonly string[] {
  let common = names;
  for (const member of members) {
    const own = new Set(member.protocols.map((protocol) => protocol.name));
    common = common.filter((name) => own.has(name));
  }
  return common;
}

/** The winner; a tie goes to the one voted for first. Undefined when nothing is common (or nobody is there). */
export function voteForProtocol(members: readonly Member[]): string | undefined {
  const first = members[0];
  if (first === undefined) return undefined;
  const common = new Set(
    commonProtocols(
      members,
      first.protocols.map((protocol) => protocol.name),
    ),
  );
  const votes = new Map<string, number>();
  for (const member of members) {
    const choice = member.protocols.find((protocol) => common.has(protocol.name))?.name;
    if (choice !== undefined) votes.set(choice, (votes.get(choice) ?? 0) + 1);
  }
  let winner: string | undefined;
  let most = 0;
  for (const [name, count] of votes) {
    if (count > most) [winner, most] = [name, count];
  }
  return winner;
}

/** Same names, same order, same bytes. */
export function sameProtocols(left: readonly MemberProtocol[], right: readonly MemberProtocol[]): boolean {
  return left.length === right.length && left.every((protocol, at) => protocol.name === right[at]?.name && protocol.metadata.equals(right[at].metadata));
}
