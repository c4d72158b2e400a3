// What can be asked of a group and what it answers, freed from API versions: handlers translate both ways.
// Owns: the shapes.  Never: holds behaviour.
import { ERROR_CODES } from '@millrace/protocol';
import type { TopicPartitions } from './consumer/topic-partitions.ts';
import type { MemberProtocol } from './membership.ts';

/** Wall clock for what is written, monotonic for what is waited for. */
export interface Moment {
  readonly wallMs: number;
  readonly atMs: number;
}

export interface JoinRequest {
  readonly kind: 'join';
  readonly groupId: string;
  /** Empty for a member that has no id yet. */
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  readonly protocols: readonly MemberProtocol[];
  /** JoinGroup 4+: a new dynamic member is told its id first. */
  readonly idFirst: boolean;
  /** JoinGroup 9+: a returning static leader may be told to keep the assignment. */
  readonly mayKeepAssignment: boolean;
  /** Chance, given from outside: a UUID for a new member id. */
  readonly freshId: string;
}

export interface SyncRequest {
  readonly kind: 'sync';
  readonly groupId: string;
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
  /** null: the client does not say (SyncGroup below 5). */
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  /** From the leader only. */
  readonly assignments: ReadonlyMap<string, Buffer>;
}

export interface HeartbeatRequest {
  readonly kind: 'heartbeat';
  readonly groupId: string;
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
}

/** One member that goes: by member id, or by instance id with an empty member id (an admin's removal). */
export interface LeavingMember {
  readonly memberId: string;
  readonly instanceId: string | null;
}

export interface LeaveRequest {
  readonly kind: 'leave';
  readonly groupId: string;
  readonly members: readonly LeavingMember[];
}

/** The one request of the consumer group protocol; null: as it was. */
export interface ConsumerHeartbeatRequest {
  readonly kind: 'consumer-heartbeat';
  readonly groupId: string;
  /** Empty for a member of version 0 that has no id yet. */
  readonly memberId: string;
  /** 0 joins, -1 leaves, -2 leaves for a while. */
  readonly memberEpoch: number;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  /** Below 0: as it was. */
  readonly rebalanceTimeoutMs: number;
  readonly subscribedNames: readonly string[] | null;
  readonly subscribedPattern: string | null;
  readonly assignorName: string | null;
  readonly owned: TopicPartitions | null;
  /** Version 1: members bring their ids. */
  readonly namesItself: boolean;
  /** Chance, given from outside: an id for a member that has none. */
  readonly freshId: string;
}

export interface OffsetToCommit {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
  /** False: answered with UNKNOWN_TOPIC_OR_PARTITION, not written. */
  readonly partitionExists: boolean;
}

export interface CommitRequest {
  readonly kind: 'commit';
  readonly groupId: string;
  /** Below 0: not from a member. */
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
  /** OffsetCommit below 9: `generation` cannot be a member epoch, so members of consumer groups are refused. */
  readonly byGeneration?: boolean;
  /** Undefined: the broker's retention. */
  readonly retentionMs: number | undefined;
  readonly offsets: readonly OffsetToCommit[];
  /** Set by TxnOffsetCommit: the offsets wait for this producer's marker. */
  readonly transaction: { readonly producerId: number; readonly producerEpoch: number } | undefined;
}

export interface DeleteGroupRequest {
  readonly kind: 'delete-group';
  readonly groupId: string;
}

export interface DeleteOffsetsRequest {
  readonly kind: 'delete-offsets';
  readonly groupId: string;
  readonly partitions: readonly { readonly topic: string; readonly partition: number; readonly partitionExists: boolean }[];
}

/** A deadline of the group has passed. */
export interface TickRequest {
  readonly kind: 'tick';
  readonly groupId: string;
}

/** The periodic look for offsets nobody needs any more. */
export interface ExpireRequest {
  readonly kind: 'expire';
  readonly groupId: string;
}

/** A topic is gone: its offsets mean nothing now. */
export interface TopicDeletedRequest {
  readonly kind: 'topic-deleted';
  readonly groupId: string;
  readonly topic: string;
}

/** Requests somebody waits for an answer to. */
export type AskedRequest =
  | JoinRequest
  | SyncRequest
  | HeartbeatRequest
  | LeaveRequest
  | ConsumerHeartbeatRequest
  | CommitRequest
  | DeleteGroupRequest
  | DeleteOffsetsRequest;
/** Things that happen without anybody waiting. */
export type EventRequest = TickRequest | ExpireRequest | TopicDeletedRequest;
export type GroupRequest = AskedRequest | EventRequest;

export interface JoinReply {
  readonly errorCode: number;
  /** -1 beside an error. */
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leaderId: string;
  readonly memberId: string;
  readonly skipAssignment: boolean;
  /** For the leader: everyone, itself included. Empty for followers. */
  readonly members: readonly { readonly memberId: string; readonly instanceId: string | null; readonly metadata: Buffer }[];
}

export interface SyncReply {
  readonly errorCode: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Buffer;
}

/** One code for the whole request. */
export interface CodeReply {
  readonly errorCode: number;
}

export interface LeaveReply extends CodeReply {
  /** As in the request, in its order; empty beside an error for the whole. */
  readonly members: readonly (LeavingMember & CodeReply)[];
}

export interface ConsumerHeartbeatReply extends CodeReply {
  readonly errorMessage: string | null;
  readonly memberId: string | null;
  readonly memberEpoch: number;
  readonly heartbeatIntervalMs: number;
  /** null: as it was. */
  readonly assignment: TopicPartitions | null;
}

export interface PartitionsReply extends CodeReply {
  /** In the order of the request; empty beside an error for the whole of a deletion. */
  readonly partitions: readonly ({ readonly topic: string; readonly partition: number } & CodeReply)[];
}

/** The answer to each kind of request. */
export interface ReplyByKind {
  readonly join: JoinReply;
  readonly sync: SyncReply;
  readonly heartbeat: CodeReply;
  readonly leave: LeaveReply;
  readonly 'consumer-heartbeat': ConsumerHeartbeatReply;
  readonly commit: PartitionsReply;
  readonly 'delete-group': CodeReply;
  readonly 'delete-offsets': PartitionsReply;
}
export type GroupReply = ReplyByKind[keyof ReplyByKind];

const NO_BYTES = Buffer.alloc(0);

export function joinError(errorCode: number, memberId: string): JoinReply {
  return { errorCode, generation: -1, protocolType: null, protocolName: null, leaderId: '', memberId, skipAssignment: false, members: [] };
}

export function syncError(errorCode: number): SyncReply {
  return { errorCode, protocolType: null, protocolName: null, assignment: NO_BYTES };
}

/** A partition that does not exist is told so, whatever else is wrong. */
export function commitError(request: CommitRequest, errorCode: number): PartitionsReply {
  const codeOf = (partitionExists: boolean): number => (partitionExists ? errorCode : ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION);
  return { errorCode, partitions: request.offsets.map(({ topic, partition, partitionExists }) => ({ topic, partition, errorCode: codeOf(partitionExists) })) };
}

/** The answer that refuses `request` as a whole. */
export function refusal(request: AskedRequest, errorCode: number): GroupReply {
  switch (request.kind) {
    case 'join':
      return joinError(errorCode, request.memberId);
    case 'sync':
      return syncError(errorCode);
    case 'commit':
      return commitError(request, errorCode);
    case 'leave':
      return { errorCode, members: [] };
    case 'consumer-heartbeat':
      return { errorCode, errorMessage: null, memberId: null, memberEpoch: 0, heartbeatIntervalMs: 0, assignment: null };
    case 'delete-offsets':
      return { errorCode, partitions: [] };
    case 'heartbeat':
    case 'delete-group':
      return { errorCode };
  }
}
