// What a group answers and writes: a pure function from its state, one request and the time to a decision.
// Owns: the table of requests.  Never: writes, waits, reads a clock, changes the state it is given.
// The coordinator carries decisions out: records to the log, `apply` on each, then the membership and the answers.
import { unreachable } from '@millrace/core';
import { decideConsumerHeartbeat } from './consumer/decide-heartbeat.ts';
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
      decideJoin(draft, request, ticket);
      return;
    case 'sync':
      decideSync(draft, request, ticket);
      return;
    case 'heartbeat':
      decideHeartbeat(draft, request, ticket);
      return;
    case 'leave':
      decideLeave(draft, request, ticket);
      return;
    case 'consumer-heartbeat':
      decideConsumerHeartbeat(draft, request, ticket);
      return;
    case 'commit':
      decideCommit(draft, request, ticket);
      return;
    case 'delete-group':
      decideDeleteGroup(draft, ticket);
      return;
    case 'delete-offsets':
      decideDeleteOffsets(draft, request, ticket);
      return;
    case 'tick':
      decideTick(draft);
      return;
    case 'expire':
      decideExpire(draft);
      return;
    case 'topic-deleted':
      decideTopicDeleted(draft, request.topic);
      return;
    default:
      unreachable(request);
      return;
  }
}
