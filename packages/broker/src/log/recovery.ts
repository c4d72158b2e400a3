// Opens a partition's directory: after a clean close from the side files, otherwise from the batches themselves.
// Owns: which files are believed.  Never: serves anything; runs to its end before the log is used.
// V1 a torn or damaged batch ends the log: it and everything behind it, later segments included, is cut off.
// V2 producers, epochs and aborted transactions equal what applying the whole log would give: from the last good snapshot on they are rebuilt.
// V3 an interrupted compaction is either finished (`.swap`) or forgotten (`.cleaned`).
// V4 what is kept and may not be on the device is handed to the sync group: readers see all of it, once the broker has waited for that.
import { type RecordBatchView, readControlMarker } from '@millrace/protocol';
import { indexFileName, type LogFile, logFileName, parseFileName, snapshotFileName } from './file-names.ts';
import { LeaderEpochs } from './leader-epochs.ts';
import { type LogContents, type LogHost, type PartitionIdentity, PartitionLog } from './partition-log.ts';
import { PartitionStateFile } from './partition-state.ts';
import { ProducerState } from './producer-state.ts';
import { Segment } from './segment.ts';
import { decodeSnapshot, type Snapshot } from './snapshot.ts';

export interface OpenedLog {
  readonly log: PartitionLog;
  /** Bytes of segments that were read again; 0 after a clean stop. */
  readonly scannedBytes: number;
  /** What was found damaged and cut off, in words. */
  readonly damage: string | undefined;
}

/** `clean`: the broker's clean-shutdown marker was there. */
export function openPartitionLog(host: LogHost, identity: PartitionIdentity, clean: boolean): OpenedLog {
  const { files } = host;
  const { disk } = files;
  disk.makeDirectory(identity.directory);
  const names = settleCompaction(host, identity.directory);
  const state = new PartitionStateFile(files, identity.directory);
  const offsets = names.filter((name) => name.kind === 'log').map((name) => name.offset);
  const segments = offsets.map((offset) => new Segment(files, identity.directory, offset));
  const snapshots = names
    .filter((name) => name.kind === 'snapshot')
    .map((name) => name.offset)
    .reverse();
  const readSnapshot = (offset: number): Snapshot | undefined => decodeSnapshot(disk.readWhole(disk.join(identity.directory, snapshotFileName(offset))));

  if (clean && segments.length > 0) {
    const snapshot = snapshots[0] === undefined ? undefined : readSnapshot(snapshots[0]);
    if (
      snapshot !== undefined &&
      segments.every((segment) => segment.loadIndex() && segment.fileBytes() === segment.sizeBytes) &&
      snapshot.offset === segments.at(-1)?.nextOffset
    ) {
      // What was written while nobody asked for the device: a close syncs what it has appended, and no names.
      host.syncs.touchDirectory(identity.directory);
      for (const { logPath, nextOffset } of segments) if (nextOffset > state.facts.recoveryPoint) host.syncs.touch(logPath);
      return opened(
        host,
        identity,
        { segments, producers: snapshot.producers, epochs: new LeaderEpochs(snapshot.epochs), state, sideFilesFresh: true },
        0,
        undefined,
      );
    }
  }
  if (segments.length === 0) {
    const first = new Segment(files, identity.directory, state.facts.logStart);
    files.create(first.logPath);
    host.syncs.touchDirectory(identity.directory, Number.isFinite(identity.config().flushMessages));
    return opened(
      host,
      identity,
      { segments: [first], producers: new ProducerState(), epochs: new LeaderEpochs(), state, sideFilesFresh: false },
      0,
      undefined,
    );
  }
  return rescan(host, identity, segments, snapshots, readSnapshot, state);
}

function rescan(
  host: LogHost,
  identity: PartitionIdentity,
  segments: Segment[],
  snapshots: readonly number[],
  readSnapshot: (offset: number) => Snapshot | undefined,
  state: PartitionStateFile,
): OpenedLog {
  const { disk } = host.files;
  const from = scanStart(segments, snapshots, readSnapshot, state.facts.recoveryPoint);
  const producers = from.snapshot?.producers ?? new ProducerState();
  const epochs = new LeaderEpochs(from.snapshot?.epochs ?? []);
  const kept: Segment[] = segments.slice(0, from.segment);
  const nowMs = host.clock.nowMs();
  let scannedBytes = 0;
  let damage: string | undefined;
  for (const segment of segments.slice(from.segment)) {
    const previous = kept.at(-1);
    if (damage === undefined && previous !== undefined && segment.baseOffset < previous.nextOffset)
      damage = `segment ${segment.baseOffset} begins inside the one before it`;
    if (damage !== undefined) {
      segment.remove();
      continue;
    }
    damage = segment.rebuild(nowMs, (batch) => {
      applyToState(batch, segment, producers, epochs, nowMs);
      return undefined;
    }).damage;
    scannedBytes += segment.sizeBytes;
    host.syncs.touch(segment.logPath); // a killed process may have left it in the page cache only
    disk.remove(segment.indexPath);
    kept.push(segment);
    if (damage !== undefined)
      host.log.warn(
        { topic: identity.topic, partition: identity.partition, segment: segment.baseOffset, cutAt: segment.sizeBytes, damage },
        'cut a damaged tail off the log',
      );
  }
  host.syncs.touchDirectory(identity.directory, damage !== undefined); // segments behind damage stay away; with fsync on what was kept has its name
  const logEnd = (kept.at(-1) as Segment).nextOffset;
  for (const offset of snapshots) if (offset > logEnd) disk.remove(disk.join(identity.directory, snapshotFileName(offset)));
  for (const segment of kept.slice(0, -1)) if (!disk.exists(segment.indexPath)) segment.saveIndex();
  epochs.truncate(logEnd);
  // The raised epoch begins here, so that a reader with a position past the lost tail is told so.
  epochs.note(identity.leaderEpoch, logEnd);
  return opened(host, identity, { segments: kept, producers, epochs, state, sideFilesFresh: false }, scannedBytes, damage);
}

/**
 * The last segment that begins at a good snapshot, at or below the recovery point, with every earlier segment's index usable.
 * Without one the log is read from its beginning.
 */
function scanStart(
  segments: readonly Segment[],
  snapshots: readonly number[],
  readSnapshot: (offset: number) => Snapshot | undefined,
  recoveryPoint: number,
): { readonly segment: number; readonly snapshot: Snapshot | undefined } {
  let usable = 0;
  while (usable < segments.length - 1 && indexIsSound(segments, usable)) usable += 1;
  for (const offset of snapshots) {
    if (offset > recoveryPoint) continue;
    const segment = segments.findIndex((candidate) => candidate.baseOffset === offset);
    if (segment <= 0 || segment > usable) continue;
    const snapshot = readSnapshot(offset);
    if (snapshot !== undefined && snapshot.offset === offset) return { segment, snapshot };
  }
  return { segment: 0, snapshot: undefined };
}

function indexIsSound(segments: readonly Segment[], at: number): boolean {
  const segment = segments[at] as Segment;
  return segment.loadIndex() && segment.fileBytes() === segment.sizeBytes && segment.nextOffset <= (segments[at + 1] as Segment).baseOffset;
}

/** What one batch of the log means for producers, epochs and the aborted transactions. */
function applyToState(batch: RecordBatchView, segment: Segment, producers: ProducerState, epochs: LeaderEpochs, nowMs: number): void {
  epochs.note(batch.leaderEpoch, batch.baseOffset);
  if (!batch.control) {
    producers.applyBatch(batch, nowMs);
    return;
  }
  const marker = batch.count === 0 ? undefined : readControlMarker(batch);
  if (marker === undefined) return;
  const aborted = producers.applyMarker(batch.producerId, batch.producerEpoch, marker.type === 'commit', marker.coordinatorEpoch, batch.baseOffset, nowMs);
  if (aborted !== undefined) segment.aborted.add(aborted);
}

/** Finishes or forgets what a compaction left, removes strays, and lists what is there in order of offset. */
function settleCompaction(host: LogHost, directory: string): LogFile[] {
  const { disk } = host.files;
  const path = (name: string): string => disk.join(directory, name);
  for (const entry of disk.list(directory)) {
    const file = parseFileName(entry.name);
    if (file?.kind === 'cleaned' || entry.name.endsWith('.tmp')) disk.remove(path(entry.name));
    if (file?.kind === 'swap') finishSwap(host, directory, file.offset, file.endOffset, entry.name);
  }
  return disk
    .list(directory)
    .map((entry) => parseFileName(entry.name))
    .filter((file) => file !== undefined)
    .sort((left, right) => left.offset - right.offset);
}

/** Puts a finished compaction output in place of the segments [baseOffset, endOffset). Safe to repeat. */
export function finishSwap(host: LogHost, directory: string, baseOffset: number, endOffset: number, swapName: string): void {
  const { disk } = host.files;
  for (const entry of disk.list(directory)) {
    const file = parseFileName(entry.name);
    if (file === undefined || (file.kind !== 'log' && file.kind !== 'index') || file.offset < baseOffset || file.offset >= endOffset) continue;
    host.files.release(disk.join(directory, entry.name));
    disk.remove(disk.join(directory, entry.name));
  }
  disk.remove(disk.join(directory, indexFileName(baseOffset)));
  disk.syncDirectory(directory); // the old segments are gone before the new one counts: beside it they would look like damage
  disk.rename(disk.join(directory, swapName), disk.join(directory, logFileName(baseOffset)));
  disk.syncDirectory(directory);
}

function opened(
  host: LogHost,
  identity: PartitionIdentity,
  contents: Omit<LogContents, 'logStart'>,
  scannedBytes: number,
  damage: string | undefined,
): OpenedLog {
  const first = contents.segments[0] as Segment;
  const last = contents.segments.at(-1) as Segment;
  const logStart = Math.min(Math.max(contents.state.facts.logStart, first.baseOffset), last.nextOffset);
  const log = new PartitionLog(host, identity, { ...contents, logStart });
  return { log, scannedBytes, damage };
}
