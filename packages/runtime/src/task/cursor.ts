// The record in hand of one task: one object, reused for every record, so that forwarding allocates nothing.
// Owns: nothing else.  Who writes: the task before each record, a node that changes time or headers (and restores them), a punctuation.
import { noHeaders, type RecordHeaders } from '@millrace/core';
import type { RecordCursor, SourcePosition } from '@millrace/topology';

export class TaskCursor implements RecordCursor {
  timestamp = -1;
  headers: RecordHeaders = noHeaders;
  streamTime = -1;
  source: SourcePosition | undefined = undefined;
  readonly taskId: string;
  constructor(taskId: string) {
    this.taskId = taskId;
  }
}
