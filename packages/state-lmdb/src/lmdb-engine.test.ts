import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineConformance } from '@millrace/state';
import { afterAll, test } from 'vitest';
import { lmdbEngine } from './lmdb-engine.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-lmdb-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
engineConformance({ engine: lmdbEngine, freshDirectory: () => join(root, String(++folders)), test, keyBytesMax: 1978 });
