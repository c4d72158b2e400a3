// A sink that chooses a topic per record: one sink for each topic it may choose, and the choice itself, which is judged like producing.
import type { ErrorPolicy, NodeProcessor, SinkChoice, SinkNode } from '@millrace/topology';
import type { TaskCursor } from './cursor.ts';
import type { SinkHost } from './sink.ts';

export function createChoosingSink(
  node: SinkNode,
  choice: SinkChoice,
  sinkTo: (target: SinkNode) => NodeProcessor,
  cursor: TaskCursor,
  policy: ErrorPolicy,
  host: Pick<SinkHost, 'judgeProduce'>,
): NodeProcessor {
  const sinks = choice.targets.map((target) => sinkTo({ ...node, ...target, choice: undefined }));
  return {
    process(key, value) {
      let index: number;
      try {
        index = choice.pick(value, key, cursor);
      } catch (error) {
        host.judgeProduce(policy, node.name, error);
        return;
      }
      sinks[index]?.process(key, value);
    },
  };
}
