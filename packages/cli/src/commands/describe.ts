// millrace describe: a topology as text, JSON or a drawing.
import type { DescribeFormat } from '@millrace/topology';
import { type Command, DONE, readOptions, UsageError } from '../command.ts';
import { topologiesOf } from '../topology-module.ts';

const FORMATS: readonly DescribeFormat[] = ['kafka', 'json', 'mermaid', 'dot'];

export const describeCommand: Command = {
  name: 'describe',
  summary: 'show a topology as text, JSON or a drawing',
  help: `Example: millrace describe dist/orders.js --format mermaid

  --format FORMAT   ${FORMATS.join(', ')} (default kafka: the text of Kafka Streams' Topology.describe())`,
  async run([path, ...rest], deps) {
    if (path === undefined || path.startsWith('--')) throw new UsageError('Say which module: millrace describe MODULE.');
    const asked = readOptions(rest, ['format']).format ?? 'kafka';
    const format = FORMATS.find((one) => one === asked);
    if (format === undefined) throw new UsageError(`--format is "${asked}"; there are ${FORMATS.join(', ')}.`);
    for (const topology of await topologiesOf(path, deps)) deps.printLine(topology.describe(format).trimEnd());
    return DONE;
  },
};
