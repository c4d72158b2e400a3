// Random histories of faults against the producer: whatever happens on the way, what was acknowledged is in the log once and in order,
// and a commit follows only acknowledged batches. A failing seed stays here as a test of its own.
import { MillraceError, noHeaders, seededChance } from '@millrace/core';
import { BatchPool, RecordReader, readBatches } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { ScriptedBroker, type SeenRequest, type Step, type StepResult } from '../testing/scripted-broker.ts';
import { createProducer } from './open.ts';

const SEEDS = 150;
const PARTITIONS = 3;
const RETRIABLE = [3, 5, 6, 7, 9, 13, 19, 20, 51, 56];
const pool = new BatchPool();

/** Values in one partition of the log, in order. */
function valuesOf(broker: ScriptedBroker, partition: number): string[] {
  const values: string[] = [];
  const reader = new RecordReader();
  for (const bytes of broker.partition('t', partition).batches) {
    for (const view of readBatches(bytes, 0, bytes.length, { checkCrc: true })) {
      reader.reset(view);
      while (reader.next()) values.push(reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength));
    }
  }
  return values;
}

function faults(broker: ScriptedBroker, seed: number, rate: number): Step {
  const chance = seededChance(seed);
  return (request: SeenRequest): StepResult | { after: number; answer: object } => {
    if (chance.float() >= rate) return 'default';
    const kind = chance.integer(5);
    if (kind === 0) return 'drop';
    if (kind === 1) return 'close';
    if (kind === 2) {
      broker.answerOf(request); // done, but nobody hears of it
      return chance.float() < 0.5 ? 'close' : 'drop';
    }
    if (kind === 3) return { after: chance.integer(4_000), answer: broker.answerOf(request) };
    const code = RETRIABLE[chance.integer(RETRIABLE.length)] as number;
    return {
      responses: request.body.topicData.map((topic: { name: string; partitionData: { index: number }[] }) => ({
        name: topic.name,
        partitionResponses: topic.partitionData.map(({ index }) => ({ index, errorCode: code, baseOffset: -1, logAppendTimeMs: -1 })),
      })),
    };
  };
}

async function history(seed: number, transactionalId: string | undefined): Promise<void> {
  const broker = new ScriptedBroker();
  broker.topic('t', PARTITIONS);
  broker.transactionVersion = seed % 2 === 0 ? 2 : 0;
  await broker.listen();
  const chance = seededChance(seed);
  if (seed % 3 === 0) broker.batchBytesMax = 90; // some batches have to be split
  broker.network.delay(chance.integer(10));
  const producer = createProducer(broker.connection, { transactionalId, requestBytesMax: 200, transactionTimeoutMs: 300_000 }, broker.ports);
  await broker.run(producer.initialise());
  broker.script('produce', ...Array.from({ length: 60 }, () => faults(broker, chance.integer(1_000_000), 0.4)));
  const sent: string[][] = Array.from({ length: PARTITIONS }, () => []);
  for (let round = 0; round < 4; round++) {
    producer.begin();
    for (let index = chance.integer(25); index >= 0; index--) {
      const partition = chance.integer(PARTITIONS);
      const builder = pool.take();
      for (let count = chance.integer(3); count >= 0; count--) {
        const value = `${round}.${index}.${count}`;
        (sent[partition] as string[]).push(value);
        builder.appendText(1, null, 0, 0, value, noHeaders);
      }
      void producer.send('t', partition, builder);
      if (chance.float() < 0.3) await broker.time.advance(chance.integer(30));
    }
    if (transactionalId === undefined) await broker.run(producer.flush(), 400_000);
    else await broker.run(producer.end(true), 400_000);
    expect(producer.inFlight).toEqual({ batches: 0, bytes: 0 });
  }
  for (let partition = 0; partition < PARTITIONS; partition++)
    expect(valuesOf(broker, partition), `seed ${seed}, partition ${partition}`).toEqual(sent[partition]);
}

test('idempotent: whatever is refused, lost, late or applied without an answer, the log holds every record once, in order', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await history(seed, undefined).catch((error: unknown) => rethrow(seed, error));
});

test('transactional: the same, with each transaction ended only when all of it was acknowledged', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await history(seed, 'tx').catch((error: unknown) => rethrow(seed, error));
});

function rethrow(seed: number, error: unknown): never {
  const code = MillraceError.is(error) ? `${error.code} ` : '';
  throw new Error(`seed ${seed}: ${code}${error instanceof Error ? error.message : String(error)}`, { cause: error });
}
