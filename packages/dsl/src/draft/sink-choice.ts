// Adds a sink to the plan that chooses a topic per record, out of a list that is known beforehand: partition counts and rights are checked at start.

import { MillraceError } from '@millrace/core';
import type { RecordContext } from '@millrace/topology';
import { type TopicDeclaration, topicDeclaration } from '../topic.ts';
import type { ErasedOptions, StreamNode } from './stream-node.ts';

export type ErasedTopicChooser = (value: unknown, key: unknown, context: RecordContext) => { readonly name: string };

export function sinkToChosen(
  stream: StreamNode,
  choose: ErasedTopicChooser,
  options: ErasedOptions & { readonly topics?: readonly { readonly name: string }[] },
): void {
  const topics = (options.topics ?? []).map((topic) => topicDeclaration(topic, 'to()'));
  const [first] = topics;
  if (first === undefined)
    throw new MillraceError(
      'ERR_OPTION',
      'to() was given a function that chooses a topic, but not the topics it chooses from. List them: to(choose, { topics: [a, b] }).',
      {
        option: 'topics',
      },
    );
  const name = stream.draft.names.node(options.as, 'KSTREAM-SINK-');
  const indexes = new Map(topics.map((topic, index) => [topic.name, index]));
  const pick = (value: unknown, key: unknown, context: RecordContext): number => {
    const chosen = choose(value, key, context);
    const index = indexes.get(chosen?.name);
    if (index !== undefined) return index;
    throw notListed(name, chosen, topics);
  };
  const choice = { name: choose.name === '' ? 'anonymous' : choose.name, topics, pick };
  stream.draft.add({ kind: 'sink', name, parents: [stream.node], topic: first, choice, onError: options.onError });
}

function notListed(node: string, chosen: { readonly name: string } | undefined, topics: readonly TopicDeclaration[]): Error {
  const listed = topics.map((topic) => topic.name).join(', ');
  return new MillraceError(
    'ERR_PROCESS',
    `${node} chose ${chosen === undefined ? 'no topic' : `topic "${chosen.name}"`} for a record; it may choose ${listed}. Add the topic to { topics }.`,
    {
      node,
    },
  );
}
