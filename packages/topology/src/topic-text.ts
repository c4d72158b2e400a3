// How a topic, or the pattern that stands for topics, is told to people and in plans.
import type { TopicRef } from './topology.ts';

/** How a topic or pattern is told: `orders`, `/orders-.+/i`. */
export function topicText({ name, pattern }: TopicRef): string {
  return pattern === undefined ? name : `/${name}/${pattern.flags}`;
}
