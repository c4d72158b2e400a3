// The wrapper of every operator of a topology: who watches sees each record before its operator does (Kafka Streams' processor wrapper).
// Never: changes a record, or costs anything where nobody watches.
import type { ProcessorFactory } from '@millrace/topology';
import { type Change, ChangeCell } from '../change.ts';
import type { StreamRecord } from '../processor.ts';
import { DataRecord } from './stream-record.ts';

export type RecordWatcher = (node: string, record: StreamRecord<unknown, unknown>) => void;

/** What `watch` throws is the operator's failure: its policy decides. */
export function watched(create: ProcessorFactory, watch: RecordWatcher): ProcessorFactory {
  return (context) => {
    const processor = create(context);
    const { record, node } = context;
    return {
      process(key, value) {
        // Between tables changes travel: shown is the new row, null for a delete.
        const shown = value instanceof ChangeCell ? (value as Change).value : value;
        watch(node, new DataRecord(key, shown, record.timestamp, record.headers));
        processor.process(key, value);
      },
      ...(processor.timeMoved === undefined ? {} : { timeMoved: (streamTime: number) => processor.timeMoved?.(streamTime) }),
      ...(processor.drain === undefined ? {} : { drain: () => processor.drain?.() }),
      ...(processor.close === undefined ? {} : { close: () => processor.close?.() }),
    };
  };
}
