// suppress: holds changes of a table back until their window has closed, or for a time, or until the buffer is full (semantics 15).
// S1 one change per key leaves: the newest, at the place of the first. S2 time is this node's own: what was dropped above moves nothing here.
// S3 what waits is invisible below: a lookup shows the row as it was last handed on. S4 it leaves as the record it came with: time, headers, source.
import type { ErasedSerde, Windowed } from '@millrace/core';
import { MillraceError } from '@millrace/core';
import type { StagedKeyValueStore } from '@millrace/state';
import type { NodeContext, NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { type Change, ChangeCell } from '../change.ts';
import type { RowReader } from '../draft/table-rows.ts';
import type { BufferedRow } from './buffered-row.ts';
import { ownCopy } from './own-copy.ts';
import { keyValueStore } from './row-readers.ts';
import { SuppressBuffer } from './suppress-buffer.ts';

export interface SuppressSettings {
  readonly store: string;
  readonly key: ErasedSerde;
  readonly value: ErasedSerde;
  /** windowClose: by window end, and deletes are no results. time: by the time of the first change. */
  readonly until: 'windowClose' | 'time';
  /** Behind window end (grace), or behind the first change. */
  readonly waitMs: number;
  /** Infinity: no bound. */
  readonly recordsMax: number;
  readonly bytesMax: number;
  readonly onFull: 'emit' | 'fail';
}

export function suppressOperator(settings: SuppressSettings): ProcessorFactory {
  const { until, waitMs, recordsMax, bytesMax, onFull } = settings;
  const isFinal = until === 'windowClose';
  return (context): NodeProcessor => {
    const { record } = context;
    const countsBytes = bytesMax !== Number.POSITIVE_INFINITY;
    const buffer = new SuppressBuffer({
      store: bufferStore(context, settings.store),
      key: settings.key,
      value: settings.value,
      countsBytes,
    });
    const cell = new ChangeCell();
    const give = (key: unknown, row: BufferedRow): void => {
      if (isFinal && row.value === null) return;
      const { headers, source } = record;
      record.headers = row.headers;
      record.source = row.source;
      context.forwardAt(key, cell.withPrior(row.value, row.old), row.timestamp);
      record.headers = headers;
      record.source = source;
    };
    const isFull = (): boolean => buffer.count > recordsMax || buffer.bytes > bytesMax;
    let observedTime = -1;
    const giveDue = (): void => {
      while (buffer.nextTime <= observedTime - waitMs) buffer.giveFirst(give);
    };
    return {
      get holding() {
        return { rows: buffer.count, rowsMax: recordsMax, bytes: countsBytes ? buffer.bytes : Number.NaN, bytesMax };
      },
      process(key, value) {
        const at = record.timestamp;
        if (at > observedTime) observedTime = at;
        buffer.put(key, rowOf(value as Change, isFinal ? (key as Windowed<unknown>).window.end : at, context));
        giveDue();
        if (!isFull()) return;
        if (onFull === 'fail') throw bufferFull(context.node, buffer, settings);
        while (isFull()) buffer.giveFirst(give);
      },
      timeMoved(streamTime) {
        if (streamTime > observedTime) observedTime = streamTime;
        giveDue();
      },
    };
  };
}

function rowOf(change: Change, bufferTime: number, { record }: NodeContext): BufferedRow {
  const old = change.priorKind === 'present' ? ownCopy(change.prior) : null;
  const { source } = record;
  return {
    prior: old,
    old,
    value: ownCopy(change.value),
    bufferTime,
    timestamp: record.timestamp,
    headers: record.headers,
    source: source === undefined ? undefined : { ...source },
  };
}

/** What tables and joins below see: of a key that waits, the row from before. */
export function readUnsuppressed(parent: RowReader, context: NodeContext, store: string): RowReader {
  return new UnsuppressedRow(parent, bufferStore(context, store));
}

class UnsuppressedRow implements RowReader {
  value: unknown = undefined;
  timestamp = -1;
  readonly #parent: RowReader;
  readonly #store: StagedKeyValueStore<unknown, BufferedRow>;
  constructor(parent: RowReader, store: StagedKeyValueStore<unknown, BufferedRow>) {
    this.#parent = parent;
    this.#store = store;
  }
  find(key: unknown): boolean {
    const entry = this.#store.find(key);
    if (entry.present) {
      const { prior } = entry.value as BufferedRow;
      this.value = prior;
      this.timestamp = -1;
      return prior !== null && prior !== undefined;
    }
    if (!this.#parent.find(key)) return false;
    this.value = this.#parent.value;
    this.timestamp = this.#parent.timestamp;
    return true;
  }
}

/** Sound: the store was declared with the serde of buffered rows. */
function bufferStore(context: NodeContext, name: string): StagedKeyValueStore<unknown, BufferedRow> {
  return keyValueStore(context, name) as StagedKeyValueStore<unknown, BufferedRow>;
}

function bufferFull(node: string, buffer: SuppressBuffer, { recordsMax, bytesMax, store }: SuppressSettings): Error {
  const bound = buffer.count > recordsMax ? `${buffer.count} records, recordsMax is ${recordsMax}` : `${buffer.bytes} bytes, bytesMax is ${bytesMax}`;
  return new MillraceError(
    'ERR_BUFFER_FULL',
    `${node} holds ${bound}. Raise the bound, shorten windows or grace, or let it emit early with { until: '…', onFull: 'emit' }.`,
    { node, store },
  );
}
