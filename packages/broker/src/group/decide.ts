// What a group answers and writes: a pure function from its state, one request and the time to a decision.
// Owns: the table of requests.  Never: writes, waits, reads a clock, changes the state it is given.
// The coordinator carries decisions out: records to the log, `apply` on each, then the membership and the answers.
import { unreachable } from '@millrace/core';
import { decideJoin } from './decide-join.ts';
import { decideHeartbeat, decideLeave, decideSync, decideTick } from './decide-member.ts';
import { decideCommit, decideDeleteGroup, decideDeleteOffsets, decideExpire, decideTopicDeleted } from './decide-offsets.ts';
import { type GroupDecision, GroupDraft, type GroupFacts } from './draft.ts';
import type { GroupRequest } from './requests.ts';

/** `ticket` names the answer in the decision's replies; events pass any number. */
export function decideGroup(facts: GroupFacts, request: GroupRequest, ticket: number): GroupDecision {
  const draft = new GroupDraft(facts);
  decideOn(draft, request, ticket);
  return draft.finish();
}

function decideOn(draft: GroupDraft, request: GroupRequest, ticket: number): void {
  switch (request.kind) {
    case 'join':
      return decideJoin(draft, request, ticket);
    case 'sync':
      return decideSync(draft, request, ticket);
    case 'heartbeat':
      return decideHeartbeat(draft, request, ticket);
    case 'leave':
      return decideLeave(draft, request, ticket);
    case 'commit':
      return decideCommit(draft, request, ticket);
    case 'delete-group':
      return decideDeleteGroup(draft, ticket);
    case 'delete-offsets':
      return decideDeleteOffsets(draft, request, ticket);
    case 'tick':
      return decideTick(draft);
    case 'expire':
      return decideExpire(draft);
    case 'topic-deleted':
      return decideTopicDeleted(draft, request.topic);
    default:
      return unreachable(request);
  }
}
