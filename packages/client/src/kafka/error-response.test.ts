import { FAILURES, MillraceError, noHeaders, type Offset } from '@millrace/core';
import { BatchPool, ERROR_CODES } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import type { LogAdmin, LogProducer } from '../port.ts';
import { perPartition, ScriptedBroker, type Step } from '../testing/scripted-broker.ts';
import { CODE_RESPONSES, kafkaCodeOf, kafkaFailure, responseTo } from './error-response.ts';
import { createAdmin, createProducer } from './open.ts';

const CODES = Object.values(ERROR_CODES).filter((code) => code !== 0);
const TP = { topic: 't', partition: 0 };
const OFFSET = { ...TP, offset: 1 as Offset, leaderEpoch: -1, metadata: '' };
const GROUP = { groupId: 'g', memberId: 'm', generation: 1, instanceId: undefined };
const pool = new BatchPool();

interface Call {
  /** Answers the next request of this API with the code. */
  readonly script: (broker: ScriptedBroker, code: number) => void;
  readonly run: (ports: { readonly admin: LogAdmin; readonly producer: LogProducer }) => Promise<unknown>;
  /** Codes that this API takes otherwise than the table says, and how. */
  readonly otherwise?: Readonly<Record<number, string>>;
}
const step =
  (broker: ScriptedBroker, name: Parameters<ScriptedBroker['script']>[0]) =>
  (make: Step): void =>
    broker.script(name, make);
const send = (producer: LogProducer): Promise<unknown> => {
  const builder = pool.take();
  builder.appendText(1, null, 0, 0, 'v', noHeaders);
  return producer.send('t', 0, builder);
};
const inTransaction = async (producer: LogProducer): Promise<void> => {
  producer.begin();
  await send(producer);
};
/** Nobody knows whether it happened. */
const INDEFINITE = { 7: 'ERR_TRANSACTION_INDEFINITE' };

const CALLS: Readonly<Record<string, Call>> = {
  Produce: {
    script: (broker, code) =>
      step(broker, 'produce')(() => ({ responses: [{ name: 't', partitionResponses: [{ index: 0, errorCode: code, baseOffset: -1, logAppendTimeMs: -1 }] }] })),
    run: async ({ producer }) => {
      producer.begin();
      await send(producer);
    },
  },
  ListOffsets: {
    script: (broker, code) =>
      step(
        broker,
        'listOffsets',
      )(() => ({ topics: [{ name: 't', partitions: [{ partitionIndex: 0, errorCode: code, timestamp: -1, offset: -1, leaderEpoch: -1 }] }] })),
    run: ({ admin }) => admin.listOffsets([TP], 'latest'),
  },
  OffsetFetch: {
    script: (broker, code) =>
      step(
        broker,
        'offsetFetch',
      )(() => ({
        groups: [
          { groupId: 'g', errorCode: 0, topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 1, metadata: '', errorCode: code }] }] },
        ],
      })),
    run: ({ admin }) => admin.committedOffsets('g', [TP]),
  },
  OffsetCommit: {
    script: (broker, code) => step(broker, 'offsetCommit')(({ body }) => ({ topics: perPartition(body.topics, code) })),
    run: ({ admin }) => admin.commitOffsets(GROUP, [OFFSET]),
  },
  CreateTopics: {
    script: (broker, code) => step(broker, 'createTopics')(() => ({ topics: [{ name: 't', errorCode: code, errorMessage: null, configs: null }] })),
    run: ({ admin }) => admin.createTopics([{ name: 't', partitions: 1, replication: -1, config: {} }]),
    otherwise: { 36: 'no error' },
  },
  DeleteTopics: {
    script: (broker, code) => step(broker, 'deleteTopics')(() => ({ responses: [{ name: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAA', errorCode: code }] })),
    run: ({ admin }) => admin.deleteTopics(['t']),
    otherwise: { 3: 'no error', 100: 'no error' },
  },
  DeleteRecords: {
    script: (broker, code) =>
      step(broker, 'deleteRecords')(() => ({ topics: [{ name: 't', partitions: [{ partitionIndex: 0, lowWatermark: 0, errorCode: code }] }] })),
    run: ({ admin }) => admin.deleteRecords([{ ...TP, offset: 1 as Offset }]),
  },
  DescribeConfigs: {
    script: (broker, code) =>
      step(broker, 'describeConfigs')(() => ({ results: [{ errorCode: code, errorMessage: null, resourceType: 2, resourceName: 't', configs: [] }] })),
    run: ({ admin }) => admin.topicConfig('t'),
  },
  LeaveGroup: {
    script: (broker, code) => step(broker, 'leaveGroup')(() => ({ errorCode: code, members: [] })),
    run: ({ admin }) => admin.removeMember('g', 'm'),
    otherwise: { 25: 'no error', 69: 'no error' },
  },
  InitProducerId: {
    script: (broker, code) => step(broker, 'initProducerId')(() => ({ errorCode: code, producerId: -1, producerEpoch: -1 })),
    run: ({ admin }) => admin.fenceTransactionalId('other'),
  },
  FindCoordinator: {
    script: (broker, code) =>
      step(
        broker,
        'findCoordinator',
      )(({ body }) => ({ coordinators: [{ key: body.coordinatorKeys[0], nodeId: -1, host: '', port: -1, errorCode: code, errorMessage: null }] })),
    run: ({ admin }) => admin.committedOffsets('another group', [TP]),
  },
  AddPartitionsToTxn: {
    script: (broker, code) =>
      step(broker, 'addPartitionsToTxn')(() => ({ resultsByTopic: [{ name: 't', resultsByPartition: [{ partitionIndex: 0, partitionErrorCode: code }] }] })),
    run: ({ producer }) => inTransaction(producer),
    otherwise: INDEFINITE,
  },
  AddOffsetsToTxn: {
    script: (broker, code) => step(broker, 'addOffsetsToTxn')(() => ({ errorCode: code })),
    run: async ({ producer }) => {
      producer.begin();
      await producer.sendOffsets(GROUP, [OFFSET]);
    },
    otherwise: INDEFINITE,
  },
  TxnOffsetCommit: {
    script: (broker, code) => step(broker, 'txnOffsetCommit')(({ body }) => ({ topics: perPartition(body.topics, code) })),
    run: async ({ producer }) => {
      producer.begin();
      await producer.sendOffsets(GROUP, [OFFSET]);
    },
    otherwise: INDEFINITE,
  },
  EndTxn: {
    script: (broker, code) => step(broker, 'endTxn')(() => ({ errorCode: code })),
    run: async ({ producer }) => {
      await inTransaction(producer);
      await producer.end(true);
    },
    otherwise: INDEFINITE,
  },
};

async function outcome(call: Call, code: number): Promise<string> {
  const broker = new ScriptedBroker();
  broker.topic('t');
  await broker.listen();
  const admin = createAdmin(broker.connection, {}, broker.ports);
  const producer = createProducer(broker.connection, { transactionalId: 'tx' }, broker.ports);
  await broker.run(producer.initialise());
  call.script(broker, code);
  try {
    await broker.run(call.run({ admin, producer }));
    return 'no error';
  } catch (error) {
    return MillraceError.is(error) ? error.code : `not ours: ${String(error)}`;
  }
}

describe('every code, once, on every API', () => {
  test.each(Object.keys(CALLS))('%s follows the table', async (name) => {
    const call = CALLS[name] as Call;
    const expected: Record<number, string> = {};
    const found: Record<number, string> = {};
    for (const code of CODES) {
      const { reaction, error } = responseTo(code);
      expected[code] = call.otherwise?.[code] ?? (reaction === 'fail' ? error : 'no error');
      found[code] = await outcome(call, code);
    }
    expect(found).toEqual(expected);
  });
});

describe('the table', () => {
  test('names only codes that Kafka has, and errors that Millrace has', () => {
    for (const [code, { error }] of Object.entries(CODE_RESPONSES)) {
      expect(CODES).toContain(Number(code));
      expect(Object.keys(FAILURES)).toContain(error);
    }
  });

  test('an error says what was tried, the name and number of the code, what the broker said, and what to try', () => {
    const error = kafkaFailure(10, 'Writing to t-0', { topic: 't' }, 'too big');
    expect(error.message).toBe(
      'Writing to t-0 failed with MESSAGE_TOO_LARGE [10]: too big. Raise max.message.bytes of the topic, or make the records smaller.',
    );
    expect([error.code, kafkaCodeOf(error), error.where.topic]).toEqual(['ERR_RECORD_TOO_LARGE', 10, 't']);
  });
});
