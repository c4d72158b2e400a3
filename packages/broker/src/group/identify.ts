// Is the one who asks the member it says it is? One answer for every request that carries a member id.
// Owns: the check of member id and instance id.  Never: looks at generations.
import { ERROR_CODES } from '@millrace/protocol';
import type { Member } from './membership.ts';

/**
 * NONE, UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID when the instance id belongs to a newer member id.
 */
export function identify(members: ReadonlyMap<string, Member>, memberId: string, instanceId: string | null): number {
  if (instanceId !== null) {
    for (const member of members.values()) {
      if (member.instanceId === instanceId) return member.memberId === memberId ? ERROR_CODES.NONE : ERROR_CODES.FENCED_INSTANCE_ID;
    }
    return ERROR_CODES.UNKNOWN_MEMBER_ID;
  }
  return members.has(memberId) ? ERROR_CODES.NONE : ERROR_CODES.UNKNOWN_MEMBER_ID;
}
