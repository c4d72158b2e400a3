// What is asked: per area the requests a client could send there, nearly right, in any order.
// Owns: the shapes.  Never: compares.
import { APIS, type Api, consumerProtocolSubscription, encodeEmbedded, NO_UUID } from '@millrace/protocol';
import { ADMIN } from './areas-admin.ts';
import { Known, type Side } from './side.ts';
import type { Ask, World } from './world.ts';

export interface Area {
  readonly name: string;
  /** Requests of one episode. */
  readonly requests: number;
  readonly asks: readonly ((world: World) => Ask)[];
}

// ---- the log ------------------------------------------------------------------------------------------------------------

const produce = (world: World, producer?: 0 | 1, transactional = false): Ask => {
  const name = world.topicName();
  const index = world.partition();
  return {
    api: APIS.produce,
    body: {
      transactionalId: transactional ? `tx-${world.name}-${producer}` : null,
      acks: world.pick(-1, -1, -1, 1, 2),
      timeoutMs: 1_000,
      topicData: [{ name, topicId: world.topicId(name), partitionData: [{ index, records: world.records(producer, transactional) }] }],
    },
    learn: (side, answer: { responses: { partitionResponses: { errorCode: number }[] }[] }) => {
      const done = answer.responses[0]?.partitionResponses[0]?.errorCode === 0;
      if (done && producer !== undefined && side.name === 'ours') world.sequences[producer] = (world.sequences[producer] as number) + 1;
    },
  };
};
const fetchAsk = (world: World): Ask => {
  const topic = world.topicName();
  return {
    api: APIS.fetch,
    body: {
      replicaId: -1,
      maxWaitMs: world.pick(0, 50),
      minBytes: world.pick(0, 1, 100),
      maxBytes: world.pick(1 << 20, 1 << 20, 1, 100),
      isolationLevel: world.pick(0, 1),
      sessionId: world.pick(0, 0, 0, 0, 0, 9),
      sessionEpoch: world.pick(-1, -1, -1, -1, 0, 5),
      topics: [
        {
          topic,
          topicId: world.topicId(topic),
          partitions: [
            {
              partition: world.partition(),
              currentLeaderEpoch: world.pick(-1, -1, -1, 0, 5),
              fetchOffset: world.offset(),
              partitionMaxBytes: world.pick(1 << 20, 1 << 20, 1, 100),
            },
          ],
        },
      ],
      forgottenTopicsData: [],
    },
  };
};
const listOffsets = (world: World): Ask => ({
  api: APIS.listOffsets,
  body: {
    replicaId: -1,
    isolationLevel: world.pick(0, 1),
    topics: [
      {
        name: world.topicName(),
        partitions: [
          {
            partitionIndex: world.partition(),
            currentLeaderEpoch: world.pick(-1, -1, 0, 3),
            timestamp: world.pick(-1, -2, -3, -4, -5, -6, -7, 0, 500, 1_000, Date.now()),
          },
        ],
      },
    ],
  },
});
const deleteRecords = (world: World): Ask => ({
  api: APIS.deleteRecords,
  body: {
    topics: [{ name: world.topicName(), partitions: [{ partitionIndex: world.partition(), offset: world.pick(-1, -2, 0, 1, 2, 5, 50) }] }],
    timeoutMs: 5_000,
  },
});
const epochEnds = (world: World): Ask => ({
  api: APIS.offsetForLeaderEpoch,
  body: {
    replicaId: -1,
    topics: [
      {
        topic: world.topicName(),
        partitions: [{ partition: world.partition(), currentLeaderEpoch: world.pick(-1, 0, 4), leaderEpoch: world.pick(0, 0, 1, -1) }],
      },
    ],
  },
});
const producers = (world: World): Ask => ({
  api: APIS.describeProducers,
  body: { topics: [{ name: world.topicName(), partitionIndexes: [world.partition()] }] },
});
const metadata = (world: World): Ask => {
  const name = world.topicName();
  return {
    api: APIS.metadata,
    body: { topics: [world.once(3) ? { topicId: world.topicId(name), name: null } : { name }], allowAutoTopicCreation: false },
    versions: [1, 13],
  };
};
const topicPartitions = (world: World): Ask => ({
  api: APIS.describeTopicPartitions,
  body: { topics: [{ name: world.topicName() }], responsePartitionLimit: world.pick(2_000, 1, 0) },
});
const initPlain = (world: World): Ask => init(world, 0, null);

// ---- transactions -------------------------------------------------------------------------------------------------------

const pid = (at: 0 | 1): Known => new Known(`pid ${at}`, 4_000_000);
const epoch = (at: 0 | 1): Known => new Known(`epoch ${at}`, 0);
const who = (world: World): 0 | 1 => world.pick<0 | 1>(0, 0, 0, 1);
const txId = (world: World, at: 0 | 1): string => `tx-${world.name}-${at}`;

function init(world: World, at: 0 | 1, transactionalId: string | null): Ask {
  const again = world.once(3);
  return {
    api: APIS.initProducerId,
    body: {
      transactionalId,
      transactionTimeoutMs: world.pick(60_000, 60_000, 60_000, 0, -1, 900_001),
      producerId: again ? pid(at) : -1,
      producerEpoch: again ? epoch(at) : -1,
    },
    learn: (side, answer: { errorCode: number; producerId: number; producerEpoch: number }) => {
      if (answer.errorCode === 0) take(world, side, at, answer);
    },
  };
}
function take(world: World, side: Side, at: 0 | 1, { producerId, producerEpoch }: { producerId: number; producerEpoch: number }): void {
  side.values.set(`pid ${at}`, producerId);
  side.values.set(`epoch ${at}`, producerEpoch);
  if (side.name === 'ours') world.sequences[at] = 0;
}
const initTx = (world: World): Ask => {
  const at = who(world);
  return init(world, at, txId(world, at));
};
const identity = (world: World, at: 0 | 1) => ({ transactionalId: txId(world, world.once(10) ? 0 : at), producerId: pid(at), producerEpoch: epoch(at) });
const addPartitions = (world: World): Ask => ({
  api: APIS.addPartitionsToTxn,
  body: { ...identity(world, who(world)), topics: [{ name: world.topicName(), partitions: [world.partition()] }] },
  versions: [0, 3],
});
const addOffsets = (world: World): Ask => ({ api: APIS.addOffsetsToTxn, body: { ...identity(world, who(world)), groupId: world.group } });
const txnCommit = (world: World): Ask => ({
  api: APIS.txnOffsetCommit,
  body: {
    ...identity(world, who(world)),
    groupId: world.group,
    generationId: world.pick(-1, -1, 0, 1),
    memberId: world.pick('', '', '', 'ghost'),
    topics: [
      {
        name: world.topicName(),
        partitions: [{ partitionIndex: world.partition(), committedOffset: world.pick(1, 2, 3, -1), committedMetadata: world.pick('m', null) }],
      },
    ],
  },
});
const endTxn = (world: World): Ask => {
  const at = who(world);
  return {
    api: APIS.endTxn,
    body: { ...identity(world, at), committed: world.once(2) },
    learn: (side, answer: { errorCode: number; producerId: number; producerEpoch: number }) => {
      if (answer.errorCode === 0 && answer.producerId >= 0) take(world, side, at, answer);
    },
  };
};
const describeTx = (world: World): Ask => ({ api: APIS.describeTransactions, body: { transactionalIds: [txId(world, who(world))] } });
const fetchOffsets = (world: World): Ask => {
  const topics = world.pick(null, [{ name: world.ground.topic, topicId: world.topicId(world.ground.topic), partitionIndexes: [0, 1] }]);
  return {
    api: APIS.offsetFetch,
    body: (() => {
      const requireStable = world.once(2);
      return {
        groupId: world.group,
        topics,
        groups: [{ groupId: world.group, memberId: world.pick(null, null, 'ghost'), memberEpoch: world.pick(-1, -1, 3), topics }],
        requireStable,
      };
    })(),
    versions: [2, 9],
  };
};

// ---- groups of the classic protocol -------------------------------------------------------------------------------------

const member = (at: number): Known => new Known(`member ${at}`, '');
const generation = new Known('generation', 1);
const subscription = (world: World): Buffer => encodeEmbedded(consumerProtocolSubscription, 1, { topics: [world.ground.topic] });
const instance = (world: World): string | null => world.pick(null, null, null, 'instance-a', 'instance-b');

const join = (world: World): Ask => {
  const at = world.pick(0, 0, 0, 1);
  return {
    api: APIS.joinGroup,
    lane: 1 + at,
    body: {
      groupId: world.group,
      sessionTimeoutMs: world.pick(30_000, 30_000, 999, 1_800_001),
      rebalanceTimeoutMs: 30_000,
      memberId: world.pick<unknown>(member(at), member(at), member(at), '', 'ghost'),
      groupInstanceId: instance(world),
      protocolType: world.pick('consumer', 'consumer', 'consumer', 'connect', ''),
      protocols: world.pick<unknown>(
        [{ name: 'range', metadata: subscription(world) }],
        [{ name: 'range', metadata: subscription(world) }],
        [
          { name: 'sticky', metadata: Buffer.from([1]) },
          { name: 'range', metadata: subscription(world) },
        ],
        [{ name: 'other', metadata: Buffer.alloc(0) }],
        [],
      ),
    },
    learn: (side, answer: { errorCode: number; memberId: string; generationId: number }) => {
      if (answer.errorCode === 0 || answer.errorCode === 79) side.values.set(`member ${at}`, answer.memberId);
      if (answer.errorCode === 0) side.values.set('generation', answer.generationId);
    },
  };
};
const sync = (world: World): Ask => {
  const at = world.pick(0, 0, 0, 1);
  return {
    api: APIS.syncGroup,
    lane: 1 + at,
    body: {
      groupId: world.group,
      generationId: generation,
      memberId: member(at),
      groupInstanceId: instance(world),
      protocolType: world.pick('consumer', 'consumer', null, 'connect'),
      protocolName: world.pick('range', 'range', null, 'sticky'),
      assignments: [{ memberId: member(0), assignment: Buffer.from([1, 2, 3]) }],
    },
  };
};
const heartbeat = (world: World): Ask => ({
  api: APIS.heartbeat,
  body: { groupId: world.group, generationId: generation, memberId: member(world.pick(0, 0, 1)), groupInstanceId: instance(world) },
});
const leave = (world: World): Ask => {
  const memberId = world.pick<unknown>(member(0), member(1), 'ghost', '');
  return { api: APIS.leaveGroup, body: { groupId: world.group, memberId, members: [{ memberId, groupInstanceId: instance(world) }] } };
};
const commit = (world: World): Ask => {
  const name = world.topicName();
  return {
    api: APIS.offsetCommit,
    body: {
      groupId: world.group,
      generationIdOrMemberEpoch: world.pick<unknown>(generation, generation, -1, new Known('member epoch 0', 1)),
      memberId: world.pick<unknown>(member(0), member(0), '', 'ghost', new Known('fresh 0', 'fixed-0')),
      groupInstanceId: instance(world),
      topics: [
        {
          name,
          topicId: world.topicId(name),
          partitions: [
            { partitionIndex: world.partition(), committedOffset: world.pick(0, 3, 9, -1), committedMetadata: world.pick('', 'm', null, 'x'.repeat(5_000)) },
          ],
        },
      ],
    },
    versions: [2, 9],
  };
};
const offsetDelete = (world: World): Ask => ({
  api: APIS.offsetDelete,
  body: { groupId: world.group, topics: [{ name: world.topicName(), partitions: [{ partitionIndex: world.partition() }] }] },
});
const deleteGroup = (world: World): Ask => ({ api: APIS.deleteGroups, body: { groupsNames: [world.group] } });
const describeGroup = (world: World): Ask => ({ api: APIS.describeGroups, body: { groups: [world.group], includeAuthorizedOperations: false } });
const describeConsumers = (world: World): Ask => ({ api: APIS.consumerGroupDescribe, body: { groupIds: [world.group], includeAuthorizedOperations: false } });

// ---- groups of KIP-848 --------------------------------------------------------------------------------------------------

const beat = (world: World): Ask => {
  const at = world.pick(0, 0, 0, 1);
  const kind = world.pick('enter', 'enter', 'go on', 'go on', 'go on', 'go on', 'owns', 'owns', 'leave', 'away', 'odd');
  const own = new Known(`assigned ${at}`, []);
  const epochNow = new Known(`member epoch ${at}`, 1);
  const base = { groupId: world.group, memberId: `fixed-${at}`, instanceId: world.once(3) ? 'instance-a' : null };
  const named = {
    rebalanceTimeoutMs: 30_000,
    subscribedTopicNames: world.pick([world.ground.topic], [world.ground.topic], [world.ground.topic, world.ground.compacted], ['no-such-topic'], []),
  };
  const bodies: Record<string, object> = {
    enter: { ...base, ...named, memberEpoch: 0, topicPartitions: [], serverAssignor: world.pick(null, null, 'range', 'uniform', 'nonsense') },
    'go on': { ...base, memberEpoch: epochNow, ...(world.once(4) ? named : {}) },
    owns: { ...base, memberEpoch: epochNow, topicPartitions: own },
    leave: { ...base, memberEpoch: -1 },
    away: { ...base, memberEpoch: -2, instanceId: 'instance-a' },
    odd: {
      ...base,
      memberEpoch: world.pick<unknown>(epochNow, 0, 1, 2, 50, -3),
      subscribedTopicRegex: world.pick(null, '', world.ground.topic, '(', '.*'),
      topicPartitions: world.pick<unknown>(
        null,
        [],
        own,
        [{ topicId: world.topicId(world.ground.topic), partitions: [0, 1] }],
        [{ topicId: NO_UUID, partitions: [0] }],
      ),
    },
  };
  return {
    api: APIS.consumerGroupHeartbeat,
    body: bodies[kind],
    learn: (side, answer: { errorCode: number; memberEpoch: number; assignment: { topicPartitions: unknown } | null }) => {
      if (answer.errorCode !== 0) return;
      side.values.set(`member epoch ${at}`, answer.memberEpoch);
      if (answer.assignment != null) side.values.set(`assigned ${at}`, answer.assignment.topicPartitions);
      if (at === 0) {
        side.values.set('member 0', 'fixed-0');
        side.values.set('generation', answer.memberEpoch);
      }
    },
  };
};

export const AREAS: readonly Area[] = [
  {
    name: 'log',
    requests: 25,
    asks: [
      produce,
      produce,
      (world) => produce(world, 0),
      fetchAsk,
      fetchAsk,
      fetchAsk,
      listOffsets,
      listOffsets,
      deleteRecords,
      epochEnds,
      producers,
      metadata,
      topicPartitions,
      initPlain,
    ],
  },
  {
    name: 'transactions',
    requests: 25,
    asks: [
      initTx,
      addPartitions,
      addPartitions,
      (world) => produce(world, who(world), true),
      (world) => produce(world, who(world), true),
      (world) => produce(world, who(world), false),
      addOffsets,
      txnCommit,
      endTxn,
      endTxn,
      describeTx,
      fetchAsk,
      listOffsets,
      fetchOffsets,
    ],
  },
  {
    name: 'classic groups',
    requests: 15,
    asks: [join, join, join, sync, sync, heartbeat, leave, commit, fetchOffsets, offsetDelete, deleteGroup, describeGroup, describeConsumers],
  },
  {
    name: 'consumer groups',
    requests: 20,
    asks: [beat, beat, beat, beat, beat, beat, commit, fetchOffsets, offsetDelete, deleteGroup, describeGroup, describeConsumers, leave],
  },
  { name: 'administration', requests: 20, asks: ADMIN },
];

/** Every API that is asked somewhere. */
export function apisAsked(world: World): ReadonlySet<Api> {
  return new Set(AREAS.flatMap(({ asks }) => asks.map((ask) => ask(world).api)));
}
