// What the APIs of consumer groups need.
import { APIS, ERROR_CODES, type RequestBody } from '@millrace/protocol';
import { type Ask, PASS, type Row, row, split, type Verdict } from './guard.ts';

const GROUP_DENIED = ERROR_CODES.GROUP_AUTHORIZATION_FAILED;
const TOPIC_DENIED = ERROR_CODES.TOPIC_AUTHORIZATION_FAILED;

type Committed = readonly { readonly name: string; readonly topicId?: string; readonly partitions: readonly { readonly partitionIndex: number }[] }[];
const refusePartitions = (topics: Committed, errorCode: number) =>
  topics.map(({ name, topicId, partitions }) => ({ name, topicId, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })) }));

/** By name, or by id where newer versions have no name; an id nobody has is left to the handler. */
function mayTopic(ask: Ask, operation: 'read' | 'describe', { name, topicId }: { readonly name?: string; readonly topicId?: string }): boolean {
  const known = name === undefined || name === '' ? ask.topics.nameOf(topicId ?? '') : name;
  return known === undefined || ask.may(operation, 'topic', known);
}

const offsetCommit = row(APIS.offsetCommit, 'read on the group and on each topic', (request, ask) => {
  if (!ask.may('read', 'group', request.groupId)) return { kind: 'answer', response: { topics: refusePartitions(request.topics, GROUP_DENIED) } };
  const [allowed, refused] = split(request.topics, (topic) => mayTopic(ask, 'read', topic));
  if (refused.length === 0) return PASS;
  const answers = refusePartitions(refused, TOPIC_DENIED);
  return { kind: 'part', request: { ...request, topics: allowed }, complete: (response) => ({ ...response, topics: [...response.topics, ...answers] }) };
});

type FetchRequest = RequestBody<typeof APIS.offsetFetch>;
const MANY_GROUPS = 8;

type AskedOffsets = readonly { readonly name: string; readonly topicId?: string; readonly partitionIndexes: readonly number[] }[];
type FoundTopic = { readonly name: string; readonly topicId?: string };

const refuseOffsets = (topics: AskedOffsets, errorCode: number) =>
  topics.map(({ name, topicId, partitionIndexes }) => ({
    name,
    topicId,
    partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, committedOffset: -1, metadata: '', errorCode })),
  }));

const offsetFetch = row(APIS.offsetFetch, 'describe on each group and on each topic; topics beyond that are left out of "all"', (request, ask) =>
  ask.version < MANY_GROUPS ? fetchOne(request, ask) : fetchMany(request, ask),
);

function fetchOne(request: FetchRequest, ask: Ask): Verdict<FetchRequest, object> {
  const { groupId, topics } = request;
  if (!ask.may('describe', 'group', groupId)) {
    const refused = topics === null || ask.version > 1 ? [] : refuseOffsets(topics, GROUP_DENIED);
    return { kind: 'answer', response: { topics: refused, errorCode: GROUP_DENIED } };
  }
  const [allowed, refused] = topics === null ? [null, []] : split(topics, (topic) => mayTopic(ask, 'describe', topic));
  if (allowed !== null && refused.length === 0) return PASS;
  return {
    kind: 'part',
    request: { ...request, topics: allowed },
    complete: (response) => {
      const { topics: found = [] } = response as { readonly topics?: readonly FoundTopic[] };
      return { ...response, topics: [...found.filter((topic) => mayTopic(ask, 'describe', topic)), ...refuseOffsets(refused, TOPIC_DENIED)] };
    },
  };
}

function fetchMany(request: FetchRequest, ask: Ask): Verdict<FetchRequest, object> {
  const [groups, refusedGroups] = split(request.groups, ({ groupId }) => ask.may('describe', 'group', groupId));
  const refusedTopics = new Map<string, AskedOffsets>();
  const allowed = groups.map((group) => {
    if (group.topics === null) return group;
    const [topics, refused] = split(group.topics, (topic) => mayTopic(ask, 'describe', topic));
    if (refused.length > 0) refusedTopics.set(group.groupId, refused);
    return { ...group, topics };
  });
  if (refusedGroups.length === 0 && refusedTopics.size === 0 && groups.every(({ topics }) => topics !== null)) return PASS;
  return {
    kind: 'part',
    request: { ...request, groups: allowed },
    complete: (response) => {
      const { groups: found = [] } = response as { readonly groups?: readonly { readonly groupId: string; readonly topics: readonly FoundTopic[] }[] };
      return {
        ...response,
        groups: [
          ...found.map((group) => ({
            ...group,
            topics: [
              ...group.topics.filter((topic) => mayTopic(ask, 'describe', topic)),
              ...refuseOffsets(refusedTopics.get(group.groupId) ?? [], TOPIC_DENIED),
            ],
          })),
          ...refusedGroups.map(({ groupId }) => ({ groupId, topics: [], errorCode: GROUP_DENIED })),
        ],
      };
    },
  };
}

const joinGroup = row(APIS.joinGroup, 'read on the group', (request, ask) =>
  ask.may('read', 'group', request.groupId)
    ? PASS
    : {
        kind: 'answer',
        response: { errorCode: GROUP_DENIED, generationId: -1, protocolName: '', leader: '', memberId: request.memberId, members: [] },
      },
);
const heartbeat = row(APIS.heartbeat, 'read on the group', ({ groupId }, ask) =>
  ask.may('read', 'group', groupId) ? PASS : { kind: 'answer', response: { errorCode: GROUP_DENIED } },
);
const leaveGroup = row(APIS.leaveGroup, 'read on the group', ({ groupId }, ask) =>
  ask.may('read', 'group', groupId) ? PASS : { kind: 'answer', response: { errorCode: GROUP_DENIED } },
);
const syncGroup = row(APIS.syncGroup, 'read on the group', ({ groupId }, ask) =>
  ask.may('read', 'group', groupId) ? PASS : { kind: 'answer', response: { errorCode: GROUP_DENIED, assignment: Buffer.alloc(0) } },
);

const NOT_ASKED = -0x8000_0000;

const describeGroups = row(APIS.describeGroups, 'describe on each group', (request, ask) => {
  const [allowed, refused] = split(request.groups, (groupId) => ask.may('describe', 'group', groupId));
  if (refused.length === 0 && !request.includeAuthorizedOperations) return PASS;
  const answers = refused.map((groupId) => ({
    errorCode: GROUP_DENIED,
    groupId,
    groupState: '',
    protocolType: '',
    protocolData: '',
    members: [],
    authorizedOperations: NOT_ASKED,
  }));
  return {
    kind: 'part',
    request: { ...request, groups: allowed },
    complete: (response) => ({
      ...response,
      groups: [
        ...response.groups.map((group) => ({
          ...group,
          authorizedOperations: request.includeAuthorizedOperations ? ask.operations('group', group.groupId) : NOT_ASKED,
        })),
        ...answers,
      ],
    }),
  };
});

const listGroups = row(APIS.listGroups, 'describe on the cluster, or on each group: others are left out', (request, ask) =>
  ask.mayCluster('describe')
    ? PASS
    : {
        kind: 'part',
        request,
        complete: (response) => ({ ...response, groups: response.groups.filter(({ groupId }) => ask.may('describe', 'group', groupId)) }),
      },
);

const deleteGroups = row(APIS.deleteGroups, 'delete on each group', (request, ask) => {
  const [allowed, refused] = split(request.groupsNames, (groupId) => ask.may('delete', 'group', groupId));
  if (refused.length === 0) return PASS;
  const answers = refused.map((groupId) => ({ groupId, errorCode: GROUP_DENIED }));
  return { kind: 'part', request: { ...request, groupsNames: allowed }, complete: (response) => ({ ...response, results: [...response.results, ...answers] }) };
});

const offsetDelete = row(APIS.offsetDelete, 'delete on the group and read on each topic', (request, ask) => {
  if (!ask.may('delete', 'group', request.groupId)) return { kind: 'answer', response: { errorCode: GROUP_DENIED, topics: [] } };
  const [allowed, refused] = split(request.topics, ({ name }) => ask.may('read', 'topic', name));
  if (refused.length === 0) return PASS;
  const answers = refusePartitions(refused, TOPIC_DENIED);
  return { kind: 'part', request: { ...request, topics: allowed }, complete: (response) => ({ ...response, topics: [...response.topics, ...answers] }) };
});

const KEY_TRANSACTION = 1;

const findCoordinator = row(APIS.findCoordinator, 'describe on the group or the transactional id', (request, ask) => {
  const type = request.keyType === KEY_TRANSACTION ? 'transactionalId' : 'group';
  const code = type === 'group' ? GROUP_DENIED : ERROR_CODES.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
  const nowhere = { errorCode: code, errorMessage: null, nodeId: -1, host: '', port: -1 };
  const oneKey = ask.version < 4;
  if (oneKey) return ask.may('describe', type, request.key) ? PASS : { kind: 'answer', response: nowhere };
  const [allowed, refused] = split(request.coordinatorKeys, (key) => ask.may('describe', type, key));
  if (refused.length === 0) return PASS;
  const answers = refused.map((key) => ({ ...nowhere, key }));
  return {
    kind: 'part',
    request: { ...request, coordinatorKeys: allowed },
    complete: (response) => ({ ...response, coordinators: [...(response.coordinators ?? []), ...answers] }),
  };
});

export const GROUP_ROWS: readonly Row[] = [
  offsetCommit,
  offsetFetch,
  findCoordinator,
  joinGroup,
  heartbeat,
  leaveGroup,
  syncGroup,
  describeGroups,
  listGroups,
  deleteGroups,
  offsetDelete,
];
