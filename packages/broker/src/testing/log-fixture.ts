// What the tests of the log share: a partition on a disk in memory, and batches as a client would send them. Only tests import it.
import { type Disk, memoryDisk, noHeaders, silentLogger, virtualTime } from '@millrace/core';
import { BatchPool, RecordBatchView, RecordReader, readBatches } from '@millrace/protocol';
import { OpenFiles } from '../log/open-files.ts';
import type { AppendOutcome, LogHost, PartitionLog } from '../log/partition-log.ts';
import { type OpenedLog, openPartitionLog } from '../log/recovery.ts';
import { type FsyncPolicy, SyncGroup } from '../log/sync-group.ts';
import { parseTopicConfig } from '../topics/topic-config.ts';

export const DIRECTORY = '/log';
const pool = new BatchPool();

export function logHost(disk: Disk, fsync: FsyncPolicy = 'never'): LogHost {
  const files = new OpenFiles(disk);
  return { files, syncs: new SyncGroup(files, fsync), clock: virtualTime({ startMs: 1000 }).clock, log: silentLogger };
}

export interface OpenLogOptions {
  readonly disk?: Disk;
  readonly config?: Record<string, string>;
  readonly clean?: boolean;
  readonly leaderEpoch?: number;
  readonly fsync?: FsyncPolicy;
}

export function openLog(options: OpenLogOptions = {}): OpenedLog & { readonly host: LogHost } {
  const disk = options.disk ?? memoryDisk();
  const host = logHost(disk, options.fsync);
  disk.makeDirectory(DIRECTORY); // as Topics does it, durably
  disk.syncDirectory('/');
  const config = parseTopicConfig(options.config ?? {});
  const identity = { topic: 't', partition: 0, directory: DIRECTORY, config: () => config, leaderEpoch: options.leaderEpoch ?? 0 };
  return { ...openPartitionLog(host, identity, options.clean ?? true), host };
}

export interface BatchSpec {
  /** [key, value]; null value: tombstone. */
  readonly records: readonly (readonly [key: string | null, value: string | null])[];
  readonly timestamp?: number;
  readonly timestamps?: readonly number[];
  readonly producerId?: number;
  readonly epoch?: number;
  readonly sequence?: number;
  readonly transactional?: boolean;
  readonly compression?: number;
}

export function clientBatch(spec: BatchSpec): Buffer {
  const builder = pool.take();
  spec.records.forEach(([key, value], at) => {
    const keyBytes = key === null ? null : Buffer.from(key);
    const valueBytes = value === null ? null : Buffer.from(value);
    builder.append(spec.timestamps?.[at] ?? spec.timestamp ?? 1000, keyBytes, 0, keyBytes?.length ?? 0, valueBytes, 0, valueBytes?.length ?? 0, noHeaders);
  });
  const sealed = builder.seal({
    producerId: spec.producerId ?? -1,
    producerEpoch: spec.epoch ?? (spec.producerId === undefined ? -1 : 0),
    baseSequence: spec.sequence ?? (spec.producerId === undefined ? -1 : 0),
    transactional: spec.transactional ?? false,
    compression: spec.compression,
  });
  const bytes = Buffer.from(sealed);
  builder.release();
  return bytes;
}

export function viewOf(bytes: Buffer): RecordBatchView {
  return new RecordBatchView(bytes, 0, bytes.length);
}

export function appendSpec(log: PartitionLog, spec: BatchSpec, nowMs = 1000): AppendOutcome {
  return log.append(viewOf(clientBatch(spec)), nowMs, true);
}

/** Appends one record per value, each in a batch of its own. */
export function appendValues(log: PartitionLog, ...values: string[]): void {
  for (const value of values) appendSpec(log, { records: [['k', value]] });
}

/** Every record below `upTo` as `offset:key=value`, read the way a fetch reads, CRC checked. */
export function readAll(log: PartitionLog, upTo: number = log.logEnd): string[] {
  const found: string[] = [];
  const reader = new RecordReader();
  for (let offset = log.logStart; offset < upTo; ) {
    const { bytes, nextOffset } = log.read(offset, upTo, 1_000_000, true);
    if (bytes.length === 0) break;
    for (const batch of readBatches(bytes, 0, bytes.length, { checkCrc: true })) {
      if (batch.control) continue;
      reader.reset(batch);
      while (reader.next()) {
        if (reader.offset < offset) continue;
        const key = reader.keyLength < 0 ? null : reader.buffer.toString('utf8', reader.keyStart, reader.keyStart + reader.keyLength);
        const value = reader.valueLength < 0 ? null : reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength);
        found.push(`${reader.offset}:${key}=${value}`);
      }
    }
    offset = nextOffset;
  }
  return found;
}

export function marker(producerId: number, commit: boolean, epoch = 0) {
  return { producerId, producerEpoch: epoch, commit, coordinatorEpoch: 0 };
}
