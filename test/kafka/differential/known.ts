// The differences that are meant, each with the row of docs/broker-differences.md that says so.
// Owns: the list.  Never: hides a difference without a reason.
export interface Place {
  readonly api: string;
  readonly version: number;
  readonly path: string;
  readonly ours: unknown;
  readonly theirs: unknown;
  readonly request: unknown;
}

interface Known {
  /** The first cell of the row. */
  readonly row: string;
  readonly matches: (place: Place) => boolean;
}

const isCode = ({ path }: Place): boolean => path.endsWith('rrorCode');
const UNKNOWN_SERVER_ERROR = -1;
const REQUEST_TIMED_OUT = 7;
const FIRST_GROUP_ERRORS = new Set([69, 22, 25, 0]);

const KNOWN: readonly Known[] = [
  { row: 'Fetch sessions', matches: ({ api, path }) => api === 'Fetch' && path === 'sessionId' },
  { row: 'The same thing twice in a request', matches: ({ path, request }) => path.endsWith('length') && hasTwins(request) },
  { row: 'The same thing twice in a request', matches: ({ theirs, request }) => theirs === 'parked' && hasTwins(request) },
  { row: 'A topic without partitions in a request', matches: ({ path, request }) => path.endsWith('length') && hasEmptyList(request) },
  {
    row: 'Internal topics',
    matches: (place) => !isCode(place) && asksForInternal(place),
  },
  {
    row: 'Assignors `uniform` and `range`',
    matches: ({ api, path, ours, theirs }) =>
      api.startsWith('ConsumerGroup') &&
      (/(topicPartitions\.partitions|assignorName)$/.test(path) || (path.endsWith('topicPartitions.length') && ours !== 0 && theirs !== 0)),
  },
  {
    row: 'Subscription by pattern',
    matches: ({ api, path, request }) => api === 'ConsumerGroupHeartbeat' && !path.endsWith('rrorCode') && hasPattern(request),
  },
  { row: 'EndTxn', matches: ({ api, theirs }) => api === 'DescribeTransactions' && String(theirs).startsWith('Prepare') },
  {
    row: 'ElectLeaders of all partitions',
    matches: ({ api, path, request }) =>
      api === 'ElectLeaders' && path.endsWith('length') && (request as { topicPartitions: unknown }).topicPartitions === null,
  },
  { row: 'A topic that is only checked', matches: ({ api, path }) => api === 'CreateTopics' && path.endsWith('topicId') },
  { row: 'Smallest `segment.bytes`', matches: ({ theirs, request }) => theirs === 40 && JSON.stringify(request).includes('"segment.bytes","value":"100000"') },
  {
    row: 'none: the user of the test itself',
    matches: ({ api, request }) => api === 'DescribeUserScramCredentials' && ((request as { users: unknown[] | null }).users ?? []).length === 0,
  },
  {
    row: 'none: the group without a name, whose offsets every suite on that Kafka may have left',
    matches: ({ api, path, request }) =>
      api === 'OffsetFetch' &&
      path.endsWith('length') &&
      ((request as { groups?: readonly { groupId: string }[] }).groups ?? []).some(({ groupId }) => groupId.trim() === ''),
  },
  { row: 'A subscription that cannot be read', matches: ({ api, theirs }) => api === 'JoinGroup' && theirs === 'parked' },
  {
    row: 'A value outside its range',
    matches: ({ api, ours, theirs, request }) =>
      api === 'ConsumerGroupHeartbeat' && ours === 42 && theirs === 0 && (request as { rebalanceTimeoutMs: number }).rebalanceTimeoutMs < -1,
  },
  { row: '`compression.type`', matches: ({ ours, request }) => ours === 40 && JSON.stringify(request).includes('"zstd"') },
  {
    row: 'A replica id in a request',
    matches: ({ api, theirs, request }) => api === 'Fetch' && theirs === 6 && (request as { replicaId: number }).replicaId >= 0,
  },
  { row: 'Internal topics', matches: ({ api, theirs, request }) => api === 'AddPartitionsToTxn' && theirs === 29 && JSON.stringify(request).includes('"__') },
  {
    row: 'A subscription that changes while partitions are still to be given up',
    matches: ({ api, path, ours }) => api === 'ConsumerGroupHeartbeat' && path === 'assignment' && ours === null,
  },
  { row: 'Finalized features', matches: ({ api, theirs }) => api === 'UpdateFeatures' && theirs === 0 },
  { row: 'The same thing twice in a request', matches: ({ path, request }) => path === 'protocolName' && hasTwins(request) },
  { row: 'A group whose first request was refused', matches: ({ api, ours, theirs }) => api === 'JoinGroup' && ours === 25 && theirs === 23 },
  { row: 'An exception inside', matches: (place) => isCode(place) && place.theirs === UNKNOWN_SERVER_ERROR },
  { row: 'A value outside its range', matches: ({ api, theirs }) => api.endsWith('Acls') && theirs === 'closed' },
  {
    row: 'A value outside its range',
    matches: ({ api, request }) => api === 'ElectLeaders' && ![0, 1].includes((request as { electionType: number }).electionType),
  },
  { row: 'Timeouts of administrators', matches: (place) => isCode(place) && place.theirs === REQUEST_TIMED_OUT },
  { row: 'Fields beside an error code', matches: (place) => !isCode(place) && !place.path.endsWith('length') && place.path !== '' && besideError(place) },
  {
    row: 'A group whose first request was refused',
    matches: ({ api, ours, theirs, path }) =>
      ['DeleteGroups', 'OffsetDelete', 'OffsetCommit', 'JoinGroup', 'DescribeGroups'].includes(api) &&
      path.endsWith('rrorCode') &&
      FIRST_GROUP_ERRORS.has(Number(ours)) &&
      [0, 25].includes(Number(theirs)),
  },
  { row: 'A group whose first request was refused', matches: ({ path, ours, theirs }) => path.endsWith('groupState') && ours === 'Dead' && theirs === 'Empty' },
  {
    row: 'A batch with a producer id and no epoch',
    matches: ({ api, path, ours, theirs }) => api === 'Produce' && path.endsWith('rrorCode') && ours === 87 && theirs === 0,
  },
  { row: 'A batch that is wrong in two ways', matches: (place) => place.api === 'Produce' && isCode(place) && place.ours !== 0 && place.theirs !== 0 },
];

/** Why it is meant; undefined: it is not. */
export function knownReason(place: Place): string | undefined {
  return KNOWN.find(({ matches }) => matches(place))?.row;
}

/** True when some array of the request holds the same thing twice, or names the same twice. */
function hasTwins(body: unknown): boolean {
  if (body === null || typeof body !== 'object' || Buffer.isBuffer(body)) return false;
  if (Array.isArray(body)) {
    const texts = body.map((item) => JSON.stringify(item));
    if (new Set(texts).size < texts.length) return true;
  }
  return Object.values(body).some(hasTwins);
}

function hasPattern(request: unknown): boolean {
  return ((request as { subscribedTopicRegex?: string | null }).subscribedTopicRegex ?? '') !== '';
}

/** True when some list of the request has nothing in it. */
function hasEmptyList(body: unknown): boolean {
  if (body === null || typeof body !== 'object' || Buffer.isBuffer(body)) return false;
  return (Array.isArray(body) && body.length === 0) || Object.values(body).some(hasEmptyList);
}

/** Of every topic, or of one of the two that hold what coordinators know. */
function asksForInternal({ api, request }: Place): boolean {
  if (JSON.stringify(request).includes('__consumer_offsets')) return true;
  if (api !== 'Metadata' && api !== 'DescribeTopicPartitions') return false;
  const { topics } = request as { topics: readonly unknown[] | null };
  return topics === null || topics.length === 0;
}

function besideError({ path }: Place): boolean {
  return /startOffset|logStartOffset|transactionStartTimeMs/i.test(path);
}
