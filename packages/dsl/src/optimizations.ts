// What may be done to a plan before it is built, by name.

/**
 * - `reuseSourceTopics`: the store of `t.table()` is restored from the table's own topic and has no changelog.
 * - `mergeRepartitions`: repartitions below one key change become one, where every record that passed them passes it.
 * - `singleStoreSelfJoin`: the inner join of a stream with itself keeps one buffer.
 * - `mergeRepartitionsAsKafkaStreams`, never on by itself: merges as Kafka Streams 4.3.1 does with `topology.optimization`, also above `process()`,
 *   `processValues()` and joins with a global table, and past merged streams. Records can so come to a partition of their former key, or be written
 *   before a change of value with the serde that belongs behind it. Only to take over an application that runs like this, with its topics and names.
 */
export type Optimization = 'reuseSourceTopics' | 'mergeRepartitions' | 'singleStoreSelfJoin' | 'mergeRepartitionsAsKafkaStreams';

export const ALL_OPTIMIZATIONS: readonly Optimization[] = ['reuseSourceTopics', 'mergeRepartitions', 'singleStoreSelfJoin'];
export const KNOWN_OPTIMIZATIONS: readonly Optimization[] = [...ALL_OPTIMIZATIONS, 'mergeRepartitionsAsKafkaStreams'];
