// Sets of topics that must have equal partition counts: sets that share a topic are one set.
import { topicText } from './topic-text.ts';
import type { TopicRef } from './topology.ts';

export function uniteGroups(groups: readonly (readonly TopicRef[])[]): readonly (readonly TopicRef[])[] {
  const united: Map<string, TopicRef>[] = [];
  for (const group of groups) {
    const whole = new Map(group.map((topic) => [idOf(topic), topic]));
    let place = united.length;
    for (let at = united.length - 1; at >= 0; at--) {
      const other = united[at] as Map<string, TopicRef>;
      if (![...other.keys()].some((id) => whole.has(id))) continue;
      for (const [id, topic] of other) whole.set(id, topic);
      united.splice(at, 1);
      place = at;
    }
    united.splice(place, 0, whole);
  }
  return united.map((group) => [...group.values()]);
}

const idOf = (topic: TopicRef): string => `${topic.internal} ${topicText(topic)}`;
