// The bytes that members and leader exchange inside Kafka's subscription and assignment. Our own format, versioned JSON:
// read by every later version, never by brokers or other clients.
// Never: trusts what it reads. Another process of the group may be older, newer or hostile.
import { isLegalName, MillraceError } from '@millrace/core';

const VERSION = 1;
/** Larger user data is refused before it is parsed. */
const BYTES_MAX = 4 * 1024 * 1024;

/** What a member tells the leader. */
export interface MemberNews {
  readonly instanceId: string;
  /** `host:port` of its query server, if it can be reached. */
  readonly address: string | undefined;
  readonly workers: number;
  /** Tasks it runs now and has not given up. */
  readonly owned: readonly string[];
  /** Tasks whose local state it holds without running them. */
  readonly stored: readonly string[];
  /** The transactional ids its workers use. */
  readonly transactionalIds: readonly string[];
  /** Transactional ids of others that it knows of from the last assignment. */
  readonly known: readonly string[];
  /** Equal programs have equal hashes; members of another hash get no tasks until the leader runs their program too. */
  readonly topologyHash: string;
  /** Set when the whole application is to stop, with the reason: the next assignment tells everybody. */
  readonly stop?: string | undefined;
}

/** What the leader tells every member. */
export interface AssignmentNews {
  readonly tasks: readonly string[];
  /** Ids of members that are gone: whoever gets a task initialises these first, which ends their open transactions. */
  readonly vanished: readonly string[];
  readonly known: readonly string[];
  readonly instances: readonly InstanceNews[];
  /** What the topology's patterns stand for: partitions by topic, as the leader sees them. */
  readonly matched?: Readonly<Record<string, number>> | undefined;
  /** Instance id of the leader that has dealt this out; absent in what other versions say. */
  readonly leader?: string | undefined;
  /** Set when the leader could not assign: every member stops with this error. */
  readonly refusal: { readonly code: RefusalCode; readonly message: string } | undefined;
}

export type RefusalCode = 'ERR_TOPOLOGY' | 'ERR_TOPIC_MISSING' | 'ERR_PARTITION_COUNT' | 'ERR_TOPOLOGY_MODULE_MISMATCH' | 'ERR_APPLICATION_STOPPED';

export interface InstanceNews {
  readonly instanceId: string;
  readonly address: string | undefined;
  readonly tasks: readonly string[];
}

export function encodeMemberNews(news: MemberNews): Uint8Array {
  return Buffer.from(JSON.stringify({ version: VERSION, ...news }), 'utf8');
}

export function encodeAssignmentNews(news: AssignmentNews): Uint8Array {
  return Buffer.from(JSON.stringify({ version: VERSION, ...news }), 'utf8');
}

/** Throws ERR_PROTOCOL, naming the member, for anything that is not ours. */
export function decodeMemberNews(bytes: Uint8Array, member: string): MemberNews {
  const raw = parse(bytes, member);
  return {
    instanceId: name(raw.instanceId, member),
    address: optionalText(raw.address, member),
    workers: Math.max(1, count(raw.workers, member)),
    owned: tasks(raw.owned, member),
    stored: tasks(raw.stored, member),
    transactionalIds: texts(raw.transactionalIds, member),
    known: texts(raw.known, member),
    topologyHash: text(raw.topologyHash, member),
    stop: optionalText(raw.stop, member),
  };
}

export function decodeAssignmentNews(bytes: Uint8Array): AssignmentNews {
  const from = 'the group leader';
  const raw = parse(bytes, from);
  const refusal = raw.refusal as AssignmentNews['refusal'];
  if (!Array.isArray(raw.instances)) throw malformed(from);
  return {
    tasks: tasks(raw.tasks, from),
    vanished: texts(raw.vanished, from),
    known: texts(raw.known, from),
    instances: raw.instances.map((one: Record<string, unknown>) => ({
      instanceId: name(one.instanceId, from),
      address: optionalText(one.address, from),
      tasks: tasks(one.tasks, from),
    })),
    matched: raw.matched === undefined ? undefined : counts(raw.matched, from),
    leader: optionalText(raw.leader, from),
    refusal: refusal === undefined ? undefined : { code: refusal.code, message: text(refusal.message, from) },
  };
}

function parse(bytes: Uint8Array, from: string): Record<string, unknown> {
  if (bytes.length === 0 || bytes.length > BYTES_MAX) throw malformed(from);
  let raw: unknown;
  try {
    raw = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw malformed(from, cause);
  }
  if (typeof raw !== 'object' || raw === null) throw malformed(from);
  const version = (raw as { version?: unknown }).version;
  if (version !== VERSION)
    throw new MillraceError(
      'ERR_PROTOCOL',
      `${from} speaks version ${String(version)} of the assignment metadata, this process version ${VERSION}. Upgrade the older instances.`,
    );
  return raw as Record<string, unknown>;
}

function malformed(from: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'ERR_PROTOCOL',
    `the group metadata of ${from} is not Millrace's. Another application uses this group id; give one of them its own applicationId.`,
    {},
    cause,
  );
}
function text(value: unknown, from: string): string {
  if (typeof value !== 'string' || value.length > 4096) throw malformed(from);
  return value;
}
function optionalText(value: unknown, from: string): string | undefined {
  return value === undefined ? undefined : text(value, from);
}
function name(value: unknown, from: string): string {
  if (typeof value !== 'string' || !isLegalName(value)) throw malformed(from);
  return value;
}
function count(value: unknown, from: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw malformed(from);
  return value as number;
}
function counts(value: unknown, from: string): Readonly<Record<string, number>> {
  if (typeof value !== 'object' || value === null) throw malformed(from);
  return Object.fromEntries(Object.entries(value).map(([topic, partitions]) => [name(topic, from), count(partitions, from)]));
}
function texts(value: unknown, from: string): readonly string[] {
  if (!Array.isArray(value)) throw malformed(from);
  return value.map((one) => text(one, from));
}
function tasks(value: unknown, from: string): readonly string[] {
  const list = texts(value, from);
  for (const task of list) if (!/^\d+_\d+$/.test(task)) throw malformed(from);
  return list;
}
