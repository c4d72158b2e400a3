// Typed stores whose rows lie in segments or go by themselves, on the engines that keep them on disk: the same histories as in memory.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { runExpiringHistory } from '../../packages/state/src/testing/expiring-history.ts';
import { runSessionHistory } from '../../packages/state/src/testing/session-history.ts';
import { HISTORY_STORES } from '../../packages/state/src/testing/span-life.ts';
import { runVersionedHistory } from '../../packages/state/src/testing/versioned-history.ts';
import { ENGINES } from './engines.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-typed-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe.each(ENGINES)('$name', (engine) => {
  test.each([
    ['expiring', runExpiringHistory],
    ['session', runSessionHistory],
    ['versioned', runVersionedHistory],
  ] as const)('a %s store does what a folded list of writes does, over commits, drops and crashes', async (kind, run) => {
    for (let seed = 1; seed <= 12; seed++) {
      const database = await engine.open({ directory: join(root, `${engine.name}-${kind}-${seed}`), stores: HISTORY_STORES, cacheBytes: 1024 * 1024 });
      try {
        run(seed, database);
      } finally {
        await database.close();
      }
    }
    expect.hasAssertions();
  });
});
