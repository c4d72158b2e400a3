// Names of operators, stores and internal topics, equal to Kafka Streams' (semantics 2.1 to 2.8).
// One counter for processors and stores alike. A name given by the user takes an index all the same, so that adding one renumbers nothing.
import { checkName, topologyError } from '@millrace/topology';

export type NamePrefix =
  | 'KSTREAM-SOURCE-'
  | 'KSTREAM-FILTER-'
  | 'KSTREAM-MAP-'
  | 'KSTREAM-MAPVALUES-'
  | 'KSTREAM-FLATMAP-'
  | 'KSTREAM-FLATMAPVALUES-'
  | 'KSTREAM-KEY-SELECT-'
  | 'KSTREAM-PEEK-'
  | 'KSTREAM-BRANCH-'
  | 'KSTREAM-PROCESSOR-'
  | 'KSTREAM-PROCESSVALUES-'
  | 'KSTREAM-MAPASYNC-'
  | 'KSTREAM-MAPVALUESASYNC-'
  | 'KSTREAM-PROCESSASYNC-'
  | 'KSTREAM-FOREACH-'
  | 'KSTREAM-MERGE-'
  | 'KSTREAM-SINK-'
  | 'KSTREAM-REPARTITION-'
  | 'KSTREAM-TOTABLE-'
  | 'KSTREAM-AGGREGATE-'
  | 'KSTREAM-REDUCE-'
  | 'KSTREAM-JOIN-'
  | 'KSTREAM-LEFTJOIN-'
  | 'KSTREAM-WINDOWED-'
  | 'KSTREAM-JOINTHIS-'
  | 'KSTREAM-JOINOTHER-'
  | 'KSTREAM-OUTERTHIS-'
  | 'KSTREAM-OUTEROTHER-'
  | 'COGROUPKSTREAM-AGGREGATE-'
  | 'COGROUPKSTREAM-MERGE-'
  | 'KTABLE-SUPPRESS-'
  | 'KTABLE-SOURCE-'
  | 'KTABLE-FILTER-'
  | 'KTABLE-MAPVALUES-'
  | 'KTABLE-TRANSFORMVALUES-'
  | 'KTABLE-SELECT-'
  | 'KTABLE-AGGREGATE-'
  | 'KTABLE-REDUCE-'
  | 'KTABLE-MERGE-'
  | 'KTABLE-JOINTHIS-'
  | 'KTABLE-JOINOTHER-'
  | 'KTABLE-SINK-'
  | 'KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-'
  | 'KTABLE-FK-JOIN-SUBSCRIPTION-STATE-STORE-'
  | 'KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR-'
  | 'KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-'
  | 'KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR-'
  | 'KTABLE-FK-JOIN-OUTPUT-'
  | 'KTABLE-TOSTREAM-';

const GENERATED = /^KSTREAM.*-[0-9]{10}$/;

export class Names {
  #next = 0;

  /** The next generated name, or `given`; an index is taken either way. */
  node(given: string | undefined, prefix: NamePrefix): string {
    const generated = `${prefix}${this.#index()}`;
    if (given === undefined) return generated;
    checkName(given, 'node');
    return given;
  }

  /** Like `node`, for operators whose own name takes no index when given (repartition, processors). */
  nodeUnlessGiven(given: string | undefined, prefix: NamePrefix): string {
    if (given === undefined) return `${prefix}${this.#index()}`;
    checkName(given, 'node');
    return given;
  }

  /** A given base name with a suffix (`x-source`), or the next generated name; an index is taken either way. */
  suffixed(given: string | undefined, suffix: string, prefix: NamePrefix): string {
    return this.node(given === undefined ? undefined : `${given}${suffix}`, prefix);
  }

  /** The next generated name, whatever the user has given. */
  generated(prefix: NamePrefix): string {
    return `${prefix}${this.#index()}`;
  }

  /** The next generated store name. */
  store(prefix: string): string {
    return `${prefix}STATE-STORE-${this.#index()}`;
  }

  /** Names around a repartition topic; three indexes are taken, shown only where the prefix was generated itself. */
  repartition(prefix: string): { readonly topic: string; readonly sinkName: string; readonly filterName: string; readonly name: string } {
    const topic = prefix.endsWith('-repartition') ? prefix : `${prefix}-repartition`;
    const sink = `KSTREAM-SINK-${this.#index()}`;
    const filter = `KSTREAM-FILTER-${this.#index()}`;
    const source = `KSTREAM-SOURCE-${this.#index()}`;
    if (GENERATED.test(prefix)) return { topic, sinkName: sink, filterName: filter, name: source };
    return { topic, ...repartitionNodeNames(topic) };
  }

  #index(): string {
    if (this.#next >= 1e10) throw topologyError('a topology has at most ten thousand million names');
    return String(this.#next++).padStart(10, '0');
  }
}

/** Names of the nodes around a repartition topic that has a name of its own. */
export function repartitionNodeNames(topic: string): { readonly sinkName: string; readonly filterName: string; readonly name: string } {
  return { sinkName: `${topic}-sink`, filterName: `${topic}-filter`, name: `${topic}-source` };
}
