import { hasCodec } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { checkConfig, parseTopicConfig, TOPIC_CONFIGS } from './topic-config.ts';

test('every default passes its own check', () => {
  for (const spec of TOPIC_CONFIGS.values()) expect(checkConfig(spec.name, spec.default), spec.name).toBeUndefined();
});

test("the log's form of the defaults is Kafka's", () => {
  expect(parseTopicConfig({})).toEqual({
    compact: false,
    delete: true,
    retentionMs: 604_800_000,
    retentionBytes: -1,
    segmentBytes: 1_073_741_824,
    segmentMs: 604_800_000,
    maxMessageBytes: 1_048_588,
    logAppendTime: false,
    timestampBeforeMaxMs: Number('9223372036854775807'),
    timestampAfterMaxMs: 3_600_000,
    deleteRetentionMs: 86_400_000,
    minCompactionLagMs: 0,
    maxCompactionLagMs: Number('9223372036854775807'),
    minCleanableDirtyRatio: 0.5,
    flushMessages: Number.POSITIVE_INFINITY,
    compression: undefined,
  });
});

describe('a value', () => {
  test.each([
    ['cleanup.policy', ['compact', 'delete', 'compact,delete', 'delete, compact', ''], ['shrink', 'compact,']],
    ['retention.ms', ['-1', '0', '9223372036854775807'], ['-2', '1.5', 'week', '']],
    ['retention.bytes', ['-1', '0'], ['-2']],
    ['segment.bytes', ['1024', '2147483647'], ['1023', '2147483648']],
    ['segment.ms', ['1'], ['0', '-1']],
    ['max.message.bytes', ['0', '10485760'], ['-1', '2147483648']],
    ['message.timestamp.type', ['CreateTime', 'LogAppendTime'], ['createtime', '']],
    ['message.timestamp.before.max.ms', ['0'], ['-1']],
    ['message.timestamp.after.max.ms', ['0'], ['-1']],
    ['delete.retention.ms', ['0'], ['-1']],
    ['min.compaction.lag.ms', ['0'], ['-1']],
    ['max.compaction.lag.ms', ['1'], ['0']],
    ['min.cleanable.dirty.ratio', ['0', '0.5', '1', '.25'], ['-0.1', '1.01', 'half']],
    ['compression.type', ['producer', 'uncompressed', 'gzip', 'snappy', 'lz4'], ['none', 'brotli', '']],
    ['min.insync.replicas', ['1'], ['0']],
    ['unclean.leader.election.enable', ['true', 'false'], ['yes']],
  ])('of %s is checked', (name, good, bad) => {
    for (const value of good) expect(checkConfig(name, value), value).toBeUndefined();
    for (const value of bad) expect(checkConfig(name, value), value).toMatch(new RegExp(`^Invalid value ${value} for configuration ${name}: must be `));
  });

  test('zstd is taken exactly where this process has the codec', () => {
    expect(checkConfig('compression.type', 'zstd') === undefined).toBe(hasCodec(4));
  });

  test('of a name nobody knows is refused', () => {
    expect(checkConfig('retention.hours', '1')).toBe('Unknown topic config name: retention.hours');
  });
});
