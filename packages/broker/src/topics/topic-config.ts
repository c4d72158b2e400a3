// Topic settings: Kafka's names, types and defaults, and the typed form that the log works with.
// Owns: the table and its checks.  Never: stores anything.
// C1 a name that is not in the table is refused; one that is listed but has no meaning on a single node is kept and shown, nothing more.
// Source: Kafka's topic configuration reference; defaults as seen on 4.3.1 (protocol.md section 10).
import { COMPRESSIONS, type CompressionId, type CompressionName, hasCodec } from '@millrace/protocol';

/** What the log needs, parsed. Sizes in bytes, times in ms; -1 stands for "no limit" where Kafka says so. */
export interface TopicConfig {
  readonly compact: boolean;
  readonly delete: boolean;
  readonly retentionMs: number;
  readonly retentionBytes: number;
  readonly segmentBytes: number;
  readonly segmentMs: number;
  readonly maxMessageBytes: number;
  readonly logAppendTime: boolean;
  readonly timestampBeforeMaxMs: number;
  readonly timestampAfterMaxMs: number;
  readonly deleteRetentionMs: number;
  readonly minCompactionLagMs: number;
  readonly maxCompactionLagMs: number;
  readonly minCleanableDirtyRatio: number;
  /** Records after which the log goes to the device whatever the broker's setting; Infinity: never. */
  readonly flushMessages: number;
  /** Codec that batches are stored under; undefined: as they came. */
  readonly compression: CompressionId | undefined;
}

export type ConfigType = 'boolean' | 'string' | 'int' | 'long' | 'double' | 'list';
/** The numbers of DescribeConfigs v3+. */
export const CONFIG_TYPE_CODES: Readonly<Record<ConfigType, number>> = { boolean: 1, string: 2, int: 3, long: 5, double: 6, list: 7 };

export interface ConfigSpec {
  readonly name: string;
  readonly type: ConfigType;
  readonly default: string;
  readonly doc: string;
  /** The broker setting that a default stems from, as Kafka names it (DescribeConfigs synonyms). */
  readonly brokerName?: string;
  /** Undefined when the value is fine, else what is wanted. */
  readonly check: (value: string) => string | undefined;
}

const LONG_MAX = '9223372036854775807';

const anyText = (): undefined => undefined;
const oneOf =
  (...allowed: string[]) =>
  (value: string): string | undefined =>
    allowed.includes(value) ? undefined : `one of ${allowed.join(', ')}`;
const whole =
  (min: number, max = Number(LONG_MAX)) =>
  (value: string): string | undefined =>
    /^-?\d{1,19}$/.test(value) && Number(value) >= min && Number(value) <= max
      ? undefined
      : `a whole number from ${min}${max < Number(LONG_MAX) ? ` to ${max}` : ' on'}`;
/** In any case of letters, as Kafka reads it. */
const flag = (value: string): string | undefined => (/^(true|false)$/i.test(value) ? undefined : 'true or false');
const fraction = (value: string): string | undefined => (/^\d*\.?\d+$/.test(value) && Number(value) <= 1 ? undefined : 'a number from 0 to 1');
const policy = (value: string): string | undefined => {
  const parts = value.split(',').map((part) => part.trim());
  const known = value === '' || parts.every((part) => part === 'compact' || part === 'delete');
  return known ? undefined : 'compact, delete, both with a comma, or nothing';
};
const codecName = (value: string): string | undefined => {
  if (value === 'producer' || value === 'uncompressed') return undefined;
  const codec = COMPRESSIONS[value as CompressionName];
  if (codec === undefined || value === 'none') return 'one of uncompressed, zstd, lz4, snappy, gzip, producer';
  return hasCodec(codec) ? undefined : `a codec that this process has (${value} comes with Node 22.15, or by registerCodec)`;
};
const INT_MAX = 0x7fff_ffff;

function spec(name: string, type: ConfigType, fallback: string, doc: string, check: ConfigSpec['check'], brokerName?: string): ConfigSpec {
  return { name, type, default: fallback, doc, check, ...(brokerName === undefined ? {} : { brokerName }) };
}

const SPECS: readonly ConfigSpec[] = [
  spec(
    'cleanup.policy',
    'list',
    'delete',
    'Delete old segments, compact them to the last record per key, or both; empty: neither.',
    policy,
    'log.cleanup.policy',
  ),
  spec('retention.ms', 'long', '604800000', 'Segments whose newest record is older are deleted; -1 keeps them.', whole(-1), 'log.retention.ms'),
  spec(
    'retention.bytes',
    'long',
    '-1',
    'Oldest segments are deleted while the partition stays at least this large; -1 sets no limit.',
    whole(-1),
    'log.retention.bytes',
  ),
  spec('segment.bytes', 'int', '1073741824', 'Size at which a new segment begins.', whole(1024, INT_MAX), 'log.segment.bytes'),
  spec('segment.ms', 'long', '604800000', 'Span of record time after which a new segment begins.', whole(1), 'log.roll.ms'),
  spec('max.message.bytes', 'int', '1048588', 'Largest batch that is accepted.', whole(0, INT_MAX), 'message.max.bytes'),
  spec(
    'message.timestamp.type',
    'string',
    'CreateTime',
    "The producer's time or the broker's.",
    oneOf('CreateTime', 'LogAppendTime'),
    'log.message.timestamp.type',
  ),
  spec('message.timestamp.before.max.ms', 'long', LONG_MAX, 'How far in the past a timestamp may lie.', whole(0), 'log.message.timestamp.before.max.ms'),
  spec('message.timestamp.after.max.ms', 'long', '3600000', 'How far in the future a timestamp may lie.', whole(0), 'log.message.timestamp.after.max.ms'),
  spec('delete.retention.ms', 'long', '86400000', 'How long compaction keeps tombstones and transaction markers.', whole(0), 'log.cleaner.delete.retention.ms'),
  spec('min.compaction.lag.ms', 'long', '0', 'Records younger than this are not compacted.', whole(0), 'log.cleaner.min.compaction.lag.ms'),
  spec(
    'max.compaction.lag.ms',
    'long',
    LONG_MAX,
    'Records older than this are compacted whatever the dirty ratio.',
    whole(1),
    'log.cleaner.max.compaction.lag.ms',
  ),
  spec(
    'min.cleanable.dirty.ratio',
    'double',
    '0.5',
    'Share of not yet compacted bytes from which compaction starts.',
    fraction,
    'log.cleaner.min.cleanable.ratio',
  ),
  spec(
    'compression.type',
    'string',
    'producer',
    'Codec that batches are stored under; "producer" leaves them as they were sent, "uncompressed" unpacks them.',
    codecName,
    'compression.type',
  ),
  spec(
    'flush.messages',
    'long',
    LONG_MAX,
    "Records after which the log is forced to the device before they are acknowledged, whatever the broker's fsync setting.",
    whole(1),
    'log.flush.interval.messages',
  ),
  // Kept and shown; without a meaning here.
  spec('compression.gzip.level', 'int', '-1', "Kept for tools: the codec's own default.", whole(-1, 9), 'compression.gzip.level'),
  spec('compression.lz4.level', 'int', '9', "Kept for tools: the codec's own default.", whole(1, 17), 'compression.lz4.level'),
  spec('compression.zstd.level', 'int', '3', "Kept for tools: the codec's own default.", whole(-131_072, 22), 'compression.zstd.level'),
  spec('min.insync.replicas', 'int', '1', 'Kept for tools: there is one replica.', whole(1, INT_MAX), 'min.insync.replicas'),
  spec('unclean.leader.election.enable', 'boolean', 'false', 'Kept for tools: there is one replica.', flag, 'unclean.leader.election.enable'),
  spec('flush.ms', 'long', LONG_MAX, "Kept for tools: durability is the broker's fsync setting.", whole(0), 'log.flush.interval.ms'),
  spec('index.interval.bytes', 'int', '4096', 'Kept for tools: an index entry every 4096 bytes.', whole(0, INT_MAX), 'log.index.interval.bytes'),
  spec('segment.index.bytes', 'int', '10485760', 'Kept for tools: indexes grow as needed.', whole(4, INT_MAX), 'log.index.size.max.bytes'),
  spec('segment.jitter.ms', 'long', '0', 'Kept for tools.', whole(0), 'log.roll.jitter.ms'),
  spec('file.delete.delay.ms', 'long', '60000', 'Kept for tools: files go at once.', whole(0), 'log.segment.delete.delay.ms'),
  spec('preallocate', 'boolean', 'false', 'Kept for tools: segments grow as needed.', flag, 'log.preallocate'),
  spec('leader.replication.throttled.replicas', 'list', '', 'Kept for tools: there is one replica.', anyText),
  spec('follower.replication.throttled.replicas', 'list', '', 'Kept for tools: there is one replica.', anyText),
  spec('remote.storage.enable', 'boolean', 'false', 'Kept for tools: there is no remote storage.', oneOf('false')),
  spec('local.retention.ms', 'long', '-2', 'Kept for tools: there is no remote storage.', whole(-2)),
  spec('local.retention.bytes', 'long', '-2', 'Kept for tools: there is no remote storage.', whole(-2)),
];

export const TOPIC_CONFIGS: ReadonlyMap<string, ConfigSpec> = new Map(SPECS.map((row) => [row.name, row]));

/** Undefined when name and value are fine, else one sentence for the client. */
export function checkConfig(name: string, value: string): string | undefined {
  const row = TOPIC_CONFIGS.get(name);
  if (row === undefined) return `Unknown topic config name: ${name}`;
  const wanted = row.check(value);
  return wanted === undefined ? undefined : `Invalid value ${value} for configuration ${name}: must be ${wanted}`;
}

/** The typed form of what was set, defaults filled in. The values have passed `checkConfig`. */
export function parseTopicConfig(set: Readonly<Record<string, string>>): TopicConfig {
  const text = (name: string): string => set[name] ?? (TOPIC_CONFIGS.get(name) as ConfigSpec).default;
  const number = (name: string): number => Number(text(name));
  const policies = text('cleanup.policy')
    .split(',')
    .map((part) => part.trim());
  return {
    compact: policies.includes('compact'),
    delete: policies.includes('delete'),
    retentionMs: number('retention.ms'),
    retentionBytes: number('retention.bytes'),
    segmentBytes: number('segment.bytes'),
    segmentMs: number('segment.ms'),
    maxMessageBytes: number('max.message.bytes'),
    logAppendTime: text('message.timestamp.type') === 'LogAppendTime',
    timestampBeforeMaxMs: number('message.timestamp.before.max.ms'),
    timestampAfterMaxMs: number('message.timestamp.after.max.ms'),
    deleteRetentionMs: number('delete.retention.ms'),
    minCompactionLagMs: number('min.compaction.lag.ms'),
    maxCompactionLagMs: number('max.compaction.lag.ms'),
    minCleanableDirtyRatio: number('min.cleanable.dirty.ratio'),
    flushMessages: text('flush.messages') === LONG_MAX ? Number.POSITIVE_INFINITY : number('flush.messages'),
    compression: codecOf(text('compression.type')),
  };
}

function codecOf(type: string): CompressionId | undefined {
  if (type === 'producer') return undefined;
  return type === 'uncompressed' ? COMPRESSIONS.none : COMPRESSIONS[type as CompressionName];
}
