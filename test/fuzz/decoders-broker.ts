// The decoders of the broker: records of its coordinators, and the files that a start reads.
import { memoryDisk } from '@millrace/core';
import { crc32c } from '@millrace/protocol';
import { decodeConsumerRecord } from '../../packages/broker/src/group/consumer/records.ts';
import { decodeGroupRecord, encodeGroupRecord } from '../../packages/broker/src/group/records.ts';
import { ProducerState } from '../../packages/broker/src/log/producer-state.ts';
import { decodeSnapshot, encodeSnapshot } from '../../packages/broker/src/log/snapshot.ts';
import { appendSpec, DIRECTORY, marker, openLog, readAll } from '../../packages/broker/src/testing/log-fixture.ts';
import { decodeTransactionRecord, encodeTransactionRecord } from '../../packages/broker/src/transaction/records.ts';
import { readCorpus } from './corpus.ts';
import { type Decoder, nothing } from './runner.ts';

// ---- records of the coordinators: 2 bytes length of the key, the key, the value -------------------------------------------

function joined({ key, value }: { readonly key: Buffer; readonly value: Buffer | null }): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(key.length);
  return Buffer.concat([length, key, value ?? Buffer.alloc(0)]);
}
function split(bytes: Buffer): { key: Buffer; value: Buffer | null } {
  const length = bytes.length < 2 ? 0 : bytes.readUInt16BE(0);
  const value = bytes.subarray(2 + length);
  return { key: bytes.subarray(2, 2 + length), value: value.length === 0 ? null : value };
}

function groupRecords(): Buffer[] {
  const value = { offset: 7, leaderEpoch: 1, metadata: 'm', committedAtMs: 5, expiresAtMs: undefined };
  const offset = { kind: 'offset', groupId: 'g', topic: 't', partition: 3, value } as const;
  return [encodeGroupRecord(offset), encodeGroupRecord({ ...offset, value: null })].map(joined);
}

function transactionRecords(): Buffer[] {
  const value = {
    transactionalId: 'x',
    producerId: 5,
    producerEpoch: 2,
    previousProducerId: 5,
    previousEpoch: 1,
    nextProducerId: 9,
    timeoutMs: 60_000,
    status: 'Ongoing',
    partitions: new Map([['t', new Set([0, 1])]]),
    startedAtMs: 3,
    updatedAtMs: 4,
  } as const;
  const record = { kind: 'transaction', transactionalId: 'x', value } as const;
  return [encodeTransactionRecord(record), encodeTransactionRecord({ ...record, value: null }), encodeTransactionRecord({ kind: 'producer-ids', end: 99 })].map(
    joined,
  );
}

// ---- files of a partition -------------------------------------------------------------------------------------------------

function snapshot(): Buffer {
  const producers = new ProducerState();
  const batches = [{ firstSequence: 0, lastSequence: 3, firstOffset: 10, lastOffset: 13, timestampMs: 5 }];
  producers.restore(4, { epoch: 1, batches, lastTimestampMs: 5, coordinatorEpoch: 0, transactionStart: 10 });
  return encodeSnapshot(14, producers, [{ epoch: 0, startOffset: 0 }]);
}

function repairSnapshot(bytes: Buffer): Buffer {
  if (bytes.length >= 4) bytes.writeUInt32BE(crc32c(bytes, 4, bytes.length), 0);
  return bytes;
}

/** A partition of three segments with open, committed and aborted transactions, closed cleanly: its files by name, in order. */
function partitionFiles(): ReadonlyMap<string, Buffer> {
  const disk = memoryDisk();
  const { log } = openLog({ disk, config: { 'segment.bytes': '400' } });
  for (let index = 0; index < 12; index++) {
    const transactional = index % 3 !== 0;
    appendSpec(log, { records: [[`k${index % 4}`, `v${index}`]], producerId: 1 + (index % 3), sequence: Math.floor(index / 3), transactional });
    if (index % 3 === 2) log.appendMarker(marker(2 + (index % 2), index % 2 === 0), 0);
  }
  log.close();
  const names = disk.list(DIRECTORY).filter(({ directory }) => !directory);
  return new Map(names.map(({ name }) => [name, Buffer.from(disk.readWhole(disk.join(DIRECTORY, name)))]));
}

const files = partitionFiles();
const names = [...files.keys()].sort();

/** An input is a file of the partition: its place in `names`, clean or not, then its bytes. */
function runRecovery(bytes: Buffer): void {
  const damaged = names[(bytes[0] ?? 0) % names.length] as string;
  const disk = memoryDisk();
  disk.makeDirectory(DIRECTORY);
  for (const [name, content] of files) {
    const file = disk.open(disk.join(DIRECTORY, name), 'create');
    file.write(name === damaged ? bytes.subarray(2) : content, 0);
    file.close();
  }
  const { log } = openLog({ disk, config: { 'segment.bytes': '400' }, clean: (bytes[1] ?? 0) % 2 === 1 });
  readAll(log);
  readAll(log, log.lastStableOffset);
  log.close();
}

const recoverySeeds = (): Buffer[] => names.flatMap((name, at) => [0, 1].map((clean) => Buffer.concat([Buffer.from([at, clean]), files.get(name) as Buffer])));

export const BROKER_DECODERS: readonly Decoder[] = [
  {
    name: 'group-records',
    seeds: () => [...groupRecords(), ...readCorpus('group-records')],
    run(bytes) {
      decodeConsumerRecord(split(bytes));
      decodeGroupRecord(split(bytes));
      return undefined;
    },
    allocationMax: 65_536,
  },
  {
    name: 'transaction-records',
    seeds: () => [...transactionRecords(), ...readCorpus('transaction-records')],
    run: (bytes) => nothing(decodeTransactionRecord(split(bytes))),
    allocationMax: 65_536,
  },
  {
    name: 'snapshots',
    seeds: () => [snapshot(), ...readCorpus('snapshots')],
    run: (bytes) => (decodeSnapshot(bytes) === undefined ? 'no snapshot' : undefined),
    repair: repairSnapshot,
    allocationMax: 65_536,
  },
  {
    name: 'recovery',
    seeds: () => [...recoverySeeds(), ...readCorpus('recovery')],
    run: (bytes) => nothing(runRecovery(bytes)),
    allocationMax: 1_048_576,
    shortRun: 300,
  },
];
