// The shape of a recorded case: a small program, a script of records, and what Kafka Streams 4.3.1 did with them.

export type SerdeName = string | { readonly windowed: 'time' | 'session'; readonly size?: number; readonly inner: SerdeName };
export interface Row {
  readonly key?: unknown;
  readonly value?: unknown;
  readonly ts?: number;
  readonly headers?: readonly (readonly [string, string | null])[];
}
export interface Materialized {
  readonly name?: string;
  readonly key?: SerdeName;
  readonly value?: SerdeName;
  readonly retention?: number;
  readonly logging?: false;
  readonly caching?: boolean;
  readonly store?: string;
  readonly supplier?: StoreCase;
  readonly topicConfig?: Readonly<Record<string, string>>;
}
export interface Windows {
  readonly type: 'time' | 'sliding' | 'session' | 'unlimited';
  readonly size?: number;
  readonly advance?: number;
  readonly difference?: number;
  readonly gap?: number;
  readonly grace?: number;
  readonly start?: number;
}
export interface StoreCase {
  readonly type: string;
  readonly name: string;
  readonly key: SerdeName;
  readonly value: SerdeName;
  readonly logging?: false;
  readonly memory?: boolean;
  readonly retention?: number;
  readonly windowSize?: number;
  readonly retainDuplicates?: boolean;
  readonly historyRetention?: number;
  readonly capacity?: number;
}
export interface Step {
  /** Processor API: its name, those above it, and the processors that get a store. */
  readonly name?: string;
  readonly parents?: readonly string[];
  readonly processors?: readonly string[];
  readonly id?: string;
  readonly op: string;
  readonly in?: string;
  readonly other?: string;
  readonly fn?: string;
  readonly topic?: string;
  readonly topics?: readonly string[];
  readonly pattern?: string;
  readonly topicExtractor?: string;
  readonly key?: SerdeName;
  readonly value?: SerdeName;
  readonly named?: string;
  readonly extractor?: string;
  readonly reset?: 'earliest' | 'latest';
  readonly partitions?: number;
  readonly materialized?: Materialized;
  readonly windows?: Windows;
  readonly init?: string;
  readonly aggregator?: string;
  readonly reducer?: string;
  readonly merger?: string;
  readonly subtractor?: string;
  /** addStateStore: one store; process: the names of those it uses. */
  readonly store?: StoreCase;
  readonly stores?: readonly string[];
  readonly branches?: readonly { readonly id?: string; readonly fn: string; readonly named?: string }[];
  readonly default?: { readonly id?: string; readonly named?: string };
  readonly joiner?: string;
  readonly foreignKey?: string;
  readonly foreignKeyWithKey?: string;
  readonly tableJoined?: string;
  readonly keySelector?: string;
  readonly joined?: {
    readonly key?: SerdeName;
    readonly value?: SerdeName;
    readonly otherValue?: SerdeName;
    readonly named?: string;
    readonly grace?: number;
    readonly storeName?: string;
    readonly thisStore?: StoreCase;
    readonly otherStore?: StoreCase;
    readonly logging?: false;
  };
}
export interface Pipe {
  readonly topic: string;
  readonly key?: unknown;
  readonly value?: unknown;
  readonly keyHex?: string;
  readonly valueHex?: string;
  readonly ts: number;
  readonly headers?: readonly (readonly [string, string | null])[];
}
export interface TopicSerdes {
  readonly key: SerdeName;
  readonly value: SerdeName;
}
export interface Expectation {
  readonly describe?: string;
  readonly outputs?: Readonly<Record<string, readonly Row[]>>;
  readonly stores?: Readonly<Record<string, readonly Row[]>>;
  readonly dropped?: number;
  readonly internalTopicsUnordered?: Readonly<Record<string, readonly Row[]>>;
  readonly internalTopics?: Readonly<Record<string, readonly Row[]>>;
  readonly internalTopicConfigs?: Readonly<Record<string, { readonly kind: string; readonly partitions?: number; readonly config: Readonly<Record<string, string>> }>>;
  readonly copartitionGroups?: readonly (readonly string[])[];
  readonly error?: object;
  readonly failure?: { readonly step: number; readonly rootClass?: string };
}
export interface Case {
  readonly name: string;
  readonly about: string;
  readonly config: Readonly<Record<string, string>>;
  readonly inputs: Readonly<Record<string, TopicSerdes>>;
  readonly outputs: Readonly<Record<string, TopicSerdes>>;
  readonly topology: readonly Step[];
  readonly script?: readonly { readonly pipe?: Pipe; readonly advanceWallClock?: number }[];
  readonly storeKindMatters?: readonly string[];
  readonly describeOnly?: boolean;
  readonly expect: Expectation;
}
