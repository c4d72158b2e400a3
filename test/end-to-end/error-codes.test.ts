// Every error code on every API that an application uses, once (fault row B8): a broker answers one request with the code and has not carried it
// out. The whole application runs on a real broker under virtual time. What must follow is the table of the client and of the commit; besides,
// every input is counted once, whatever it was. `npm test` takes a code of each kind; MILLRACE_ERROR_CODES=all takes every code that Kafka has.
import { FAILURES, MillraceError, serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { APIS, ERROR_CODES, kafkaErrorName, NO_UUID } from '@millrace/protocol';
import { afterAll, describe, expect, test } from 'vitest';
import { responseTo } from '../../packages/client/src/kafka/error-response.ts';
import type { AskedRequest } from './answering-network.ts';
import { AppRig } from './app-rig.ts';
import { virtualGround } from './virtual-ground.ts';

// biome-ignore lint/suspicious/noExplicitAny: bodies of many shapes
type Body = any;

const ALL = Object.values(ERROR_CODES).filter((code) => code !== 0);
/** One of each row of the table: what is told, and what is done about it, differ. */
const SOME = [-1, 1, 2, 3, 6, 7, 10, 14, 16, 17, 20, 22, 25, 27, 29, 35, 45, 47, 48, 51, 82, 88, 100, 120];
const CODES = process.env.MILLRACE_ERROR_CODES === 'all' ? ALL : SOME;

interface Case {
  /** If it is not the key of the case. */
  readonly api?: string;
  /** The answer that refuses; undefined: not this request. */
  readonly refuse: (body: Body, code: number) => object | undefined;
  /** `start`: asked when an instance starts; `run`: for a record; `beat`: again and again by itself; `stop`: when it leaves. */
  readonly when: 'start' | 'run' | 'beat' | 'stop';
  /** Nothing but itself hangs on it: the instance goes on, whatever the answer. */
  readonly harmless?: true;
  /** Whatever trying again cannot mend ends the instance with the table's error. Else a refusal may cost the span or the worker only. */
  readonly final?: true;
  /** Codes that end otherwise than the tables say: the error of the instance, or undefined: it goes on. */
  readonly otherwise?: Readonly<Record<number, string | undefined>>;
  /** Transactions of a cluster that has not finalized transaction.version 2. */
  readonly explicit?: true;
  readonly guarantee?: 'at-least-once';
  /** Brings the application to the point where it asks. */
  readonly prepare?: () => Promise<void>;
}

const topicsOf =
  (list: string, name: string, inner: string, index: string, codeName = 'errorCode') =>
  (body: Body, code: number): Body[] =>
    body[list].map((each: Body) => ({
      [name]: each[name],
      topicId: each.topicId,
      [inner]: each[inner].map((part: Body) => ({ [index]: typeof part === 'number' ? part : part[index], [codeName]: code })),
    }));

/** The member joins again. */
const MEMBER = { 22: undefined, 25: undefined, 27: undefined };
/** Remembered, and from then on a failure of the record: the third stops the instance. */
const TOO_LARGE = { 10: 'ERR_TASK_FAILED', 18: 'ERR_TASK_FAILED' };
const perPartition = topicsOf('topics', 'name', 'partitions', 'partitionIndex');
const endTxn = (_: Body, code: number): object => ({ errorCode: code, producerId: -1, producerEpoch: -1 });
const produce = ({ topicData }: Body, code: number): object => ({
  responses: topicData.map(({ name, partitionData }: Body) => ({
    name,
    partitionResponses: partitionData.map(({ index }: Body) => ({ index, errorCode: code, baseOffset: -1 })),
  })),
});

const CASES: Readonly<Record<string, Case>> = {
  ApiVersions: { when: 'start', refuse: (_, code) => ({ errorCode: code }), final: true, otherwise: { 35: undefined } },
  Metadata: {
    when: 'start',
    final: true,
    refuse: ({ topics }, code) =>
      topics?.length === 0
        ? undefined
        : { brokers: [], topics: (topics ?? [{ name: 'in' }]).map(({ name }: Body) => ({ errorCode: code, name, topicId: NO_UUID })) },
  },
  FindCoordinator: {
    when: 'start',
    refuse: ({ coordinatorKeys }, code) => ({ coordinators: coordinatorKeys.map((key: string) => ({ key, nodeId: -1, host: '', port: -1, errorCode: code })) }),
  },
  InitProducerId: { when: 'start', refuse: (_, code) => ({ errorCode: code, producerId: -1, producerEpoch: -1 }) },
  CreateTopics: {
    when: 'start',
    final: true,
    otherwise: { 36: 'ERR_TOPIC_MISSING' }, // said to be there, and not found
    prepare: () => forget('side'),
    refuse: ({ topics }, code) => ({ topics: topics.map(({ name }: Body) => ({ name, errorCode: code })) }),
  },
  DescribeConfigs: {
    when: 'start',
    refuse: ({ resources }, code) => ({ results: resources.map((one: Body) => ({ ...one, errorCode: code, configs: [] })) }),
  },
  OffsetFetch: {
    when: 'start',
    refuse: ({ groups }, code) => ({
      groups: groups.map(({ groupId, topics }: Body) => ({
        groupId,
        errorCode: 0,
        topics: topics.map(({ name, partitionIndexes }: Body) => ({
          name,
          partitions: partitionIndexes.map((partitionIndex: number) => ({ partitionIndex, committedOffset: -1, errorCode: code })),
        })),
      })),
    }),
  },
  ListOffsets: { when: 'start', refuse: (body, code) => ({ topics: perPartition(body, code) }) },
  OffsetForLeaderEpoch: {
    when: 'run',
    prepare: async () => arm('EndTxn', (body) => endTxn(body, INVALID_TXN_STATE)),
    refuse: (body, code) => ({ topics: topicsOf('topics', 'topic', 'partitions', 'partition')(body, code) }),
  },
  JoinGroup: {
    when: 'start',
    final: true,
    otherwise: { ...MEMBER, 79: undefined },
    refuse: ({ memberId }, code) => ({ errorCode: code, memberId, leader: '', members: [] }),
  },
  SyncGroup: { when: 'start', final: true, otherwise: MEMBER, refuse: (_, code) => ({ errorCode: code, assignment: Buffer.alloc(0) }) },
  Heartbeat: { when: 'beat', final: true, otherwise: MEMBER, refuse: (_, code) => ({ errorCode: code }) },
  Fetch: {
    when: 'beat',
    otherwise: { 1: undefined }, // asked for the log's bounds, it says that all is well
    refuse: ({ topics }, code) => ({
      errorCode: 0,
      responses: topics.map(({ topic: name, topicId, partitions }: Body) => ({
        topic: name,
        topicId,
        partitions: partitions.map(({ partition }: Body) => ({ partitionIndex: partition, errorCode: code, highWatermark: -1 })),
      })),
    }),
  },
  'Fetch, the whole': { api: 'Fetch', when: 'beat', refuse: (_, code) => ({ errorCode: code, responses: [] }) },
  Produce: { when: 'run', refuse: produce, otherwise: TOO_LARGE },
  'Produce, partitions added before': { api: 'Produce', when: 'run', explicit: true, refuse: produce, otherwise: TOO_LARGE },
  AddPartitionsToTxn: {
    when: 'run',
    explicit: true,
    refuse: ({ topics }, code) => ({
      resultsByTopic: topics.map(({ name, partitions }: Body) => ({
        name,
        resultsByPartition: partitions.map((partitionIndex: number) => ({ partitionIndex, partitionErrorCode: code })),
      })),
    }),
  },
  AddOffsetsToTxn: { when: 'run', explicit: true, refuse: (_, code) => ({ errorCode: code }) },
  TxnOffsetCommit: { when: 'run', refuse: (body, code) => ({ topics: perPartition(body, code) }) },
  EndTxn: { when: 'run', refuse: endTxn },
  'EndTxn, partitions added before': { api: 'EndTxn', when: 'run', explicit: true, refuse: endTxn },
  OffsetCommit: { when: 'run', guarantee: 'at-least-once', refuse: (body, code) => ({ topics: perPartition(body, code) }) },
  DeleteRecords: { when: 'beat', refuse: (body, code) => ({ topics: perPartition(body, code) }), harmless: true },
  LeaveGroup: { when: 'stop', refuse: (_, code) => ({ errorCode: code, members: [] }), harmless: true },
};

// ---- a world ----------------------------------------------------------------------------------------------------------

let armed: { readonly api: string; readonly refuse: (body: Body) => object | undefined }[] = [];
let explicit = false;

const INVALID_TXN_STATE = 48;
const API_VERSIONS = 'ApiVersions';
const UNSUPPORTED_VERSION = 35;
/** What the broker offers, without the features that it has finalized. */
const OFFER = { errorCode: 0, apiKeys: Object.values(APIS).map(({ key, versions }) => ({ apiKey: key, minVersion: versions.min, maxVersion: versions.max })) };

/** The next request of an API is refused; of several, one after another. */
function arm(name: string, refuse: (body: Body) => object | undefined): void {
  armed.push({ api: name, refuse });
}
function answer(request: AskedRequest): { readonly body: object; readonly version?: number } | undefined {
  const [next] = armed;
  const body = next?.api === request.name ? next.refuse(request.body()) : undefined;
  if (body === undefined) return explicit && request.name === API_VERSIONS ? { body: OFFER } : undefined;
  armed.shift();
  const inFormOfZero = request.name === API_VERSIONS && (body as Body).errorCode === UNSUPPORTED_VERSION;
  return inFormOfZero ? { body, version: 0 } : { body };
}
const ground = virtualGround(8, answer);
const { run, until } = ground;
const rig = new AppRig(ground);

const text = { key: serde.string(), value: serde.string() };
const counted = store.keyValue('counted', { key: serde.string(), value: serde.safeInt() });
const flow = topology('codes', (t) => {
  const counts = t
    .stream(topic('in', text))
    .groupBy((value) => value)
    .count({ store: counted, emit: 'onUpdate' })
    .toStream()
    .mapValues((count) => String(count), { value: serde.string() });
  counts.to(topic('out', text));
  counts.filter(() => false).to(topic('side', text));
});

let sent = 0;
/** Records of the output that have been looked at. */
let checked = 0;
const send = () => run(rig.send('in', [{ key: 'k', value: 'word', timestamp: ++sent }]), 'an acknowledgement');
const forget = async (name: string): Promise<void> => {
  const admin = rig.admin();
  await admin.deleteTopics([name]);
  await admin.close();
};
const ready = (async () => {
  await run(rig.start(), 'the broker');
  await run(rig.createTopicsWith(1, { 'retention.ms': '-1' }, 'in', 'out'), 'topics');
})();
afterAll(() => run(rig.close(), 'the end of the broker'));

function create(guarantee: 'exactly-once' | 'at-least-once') {
  return rig.create(flow, {
    engine: 'memory',
    disk: 'state',
    guarantee,
    requestTimeout: 2000,
    connectionTimeout: 2000,
    internalTopics: { partitions: 1 },
    tuning: { sessionTimeout: 3000, transactionTimeout: 5000, purgeInterval: 300, taskTimeout: 20_000 },
  });
}

/** What became of the instance that met the code: undefined, it went on. */
async function outcome(name: string, one: Case, code: number): Promise<string | undefined> {
  const { when, refuse, guarantee = 'exactly-once', prepare, api = name } = one;
  armed = [];
  explicit = one.explicit === true;
  if (prepare !== undefined) await run(prepare(), 'what comes before');
  const armNow = (): void => arm(api, (body: Body) => refuse(body, code));
  const app = create(guarantee);
  let failure: unknown;
  try {
    if (when === 'start') armNow();
    await run(app.start(), 'the start');
    await run(app.waitFor('running'), 'the state running');
    if (when === 'run' || when === 'beat') armNow();
    await send();
    await until(() => armed.length === 0 || app.failure !== undefined || when === 'stop', `a request ${api}`);
    await run(app.drained(), 'all that was sent');
  } catch (error) {
    failure = app.failure ?? error;
  }
  if (when === 'stop') armNow();
  await run(app.close(), 'the stop');
  if (armed.length > 0) return `never asked (${String(failure)})`;
  if (failure === undefined) return undefined;
  if (!MillraceError.is(failure)) return String(failure);
  // Whoever comes next goes on where the failed one was.
  const next = create(guarantee);
  await run(next.start(), 'the next start');
  await send();
  await run(next.drained(), 'what the next instance has to do');
  await run(next.close(), 'the next stop');
  return failure.code;
}

function expected({ otherwise = {}, harmless, final }: Case, code: number): string | undefined {
  if (code in otherwise) return otherwise[code];
  const { reaction, error } = responseTo(code);
  if (harmless || reaction !== 'fail') return undefined;
  return final || FAILURES[error] === 'stop' ? error : undefined;
}

describe(`each of ${CODES.length} codes, once`, () => {
  test.each(Object.keys(CASES))(
    '%s: retried, begun again from the last commit, or the end of the instance with a typed error; all is counted once',
    async (name) => {
      await ready;
      const one = CASES[name] as Case;
      const otherwise: string[] = [];
      const before = sent;
      for (const code of CODES) {
        const found = (await outcome(name, one, code).catch((error: unknown) => String(error))) ?? 'it goes on';
        const wanted = expected(one, code) ?? 'it goes on';
        if (found !== wanted) otherwise.push(`${name}: ${kafkaErrorName(code)} [${code}]: ${found}, not: ${wanted}`);
      }
      const counts = (await run(rig.read('out'), 'what came out')).slice(checked).map(({ value }) => Number(value));
      checked += counts.length;
      expect(otherwise).toEqual([]);
      if (one.guarantee === undefined) expect(counts).toEqual(Array.from({ length: sent - before }, (_, index) => before + index + 1));
      else {
        // What is done again stays counted; nothing may be missing.
        expect(counts.at(-1)).toBeGreaterThanOrEqual(sent);
        sent = counts.at(-1) ?? 0;
      }
    },
  );
});
