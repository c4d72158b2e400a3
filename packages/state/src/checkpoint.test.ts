import { describe, expect, test } from 'vitest';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint, META_STORE, memoryEngine, putCheckpoint, readCheckpoint, WriteBatch } from './index.ts';

const checkpoint: Checkpoint = {
  changelogOffset: 12_345_678_901,
  topicId: '0d0c5b7e-7a52-4b52-9c3a-1c35b1d3f0aa',
  leaderEpoch: 7,
  observedTime: -1,
  duplicates: 3,
  levelAtMs: 1_700_000_000_000,
  inputPositions: '{"flights-0":42}',
};

describe('a checkpoint', () => {
  test('comes back as it was, with and without input positions', () => {
    expect(decodeCheckpoint(encodeCheckpoint(checkpoint))).toEqual(checkpoint);
    const { inputPositions: _, ...plain } = checkpoint;
    expect(decodeCheckpoint(encodeCheckpoint(plain))).toEqual(plain);
  });

  test('is corrupt when any byte differs, or is missing, or is too many', () => {
    const bytes = encodeCheckpoint(checkpoint);
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] as number) ^ 0x10;
      expect(decodeCheckpoint(damaged), `byte ${at}`).toBe('corrupt');
      expect(decodeCheckpoint(bytes.subarray(0, at)), `cut at ${at}`).toBe('corrupt');
    }
    expect(decodeCheckpoint(Buffer.concat([bytes, Buffer.alloc(1)]))).toBe('corrupt');
  });

  test('lies in the database per store; none before the first', async () => {
    const database = await memoryEngine.open({ directory: '', stores: [META_STORE, 'a', 'b'], cacheBytes: 0 });
    expect(readCheckpoint(database, 'a')).toBeUndefined();
    const batch = new WriteBatch();
    putCheckpoint(batch, 'a', checkpoint);
    batch.put(META_STORE, Buffer.from('checkpoint/b'), Buffer.from('nonsense'));
    database.write(batch);
    expect(readCheckpoint(database, 'a')).toEqual(checkpoint);
    expect(readCheckpoint(database, 'b')).toBe('corrupt');
  });
});
